"""Nevergrad's NGOpt on a landscape: a peer, installed for this benchmark alone (`pip install -c constraints.txt '.[benchmarks]'`)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from _landscape import Landscape, Work
from _landscape_search import Outcome, seed_order

from autorl.errors import MissingDependencyError
from autorl.keys import derive

NAME = "ngopt"


def search_ngopt(landscape: Landscape, trainings: int, seed: int) -> Outcome:
    """Search with whole trainings of one seed each, in the unit cube; the configuration that scored best wins.

    Nevergrad minimises. It is told of its own point what the nearest configuration not yet trained scored, as the other methods are.

    Raises:
        MissingDependencyError: Nevergrad is not installed.
    """
    try:
        import nevergrad
    except ImportError as error:
        remedy = "pip install -c constraints.txt '.[benchmarks]'"
        raise MissingDependencyError(f"--method {NAME} needs nevergrad. Remedy: {remedy}.") from error
    size = landscape.units.shape[1]
    cube: Any = nevergrad.p.Array(init=np.full(size, 0.5), lower=0.0, upper=1.0)
    cube.random_state = np.random.RandomState(derive(seed, "search") % 2**32)
    optimizer = nevergrad.optimizers.NGOpt(parametrization=cube, budget=trainings, num_workers=1)
    work, scores = Work(landscape, trainings), {}
    first = seed_order(landscape, seed)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's COBYLA, about a trust region that nevergrad chose
        for _ in range(trainings):
            asked = optimizer.ask()
            configuration = work.nearest(np.asarray(asked.value))
            scores[configuration] = work.train(configuration, first, 0.0, 1.0)
            optimizer.tell(asked, -scores[configuration])
    winner = max(scores, key=scores.__getitem__)
    return Outcome(winner, landscape.test_score(winner), work.spent)
