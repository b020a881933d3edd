"""Runs a search method on a landscape: every trial a whole training, on one tuning seed or on several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from _landscape import Landscape, Work

from autorl.errors import IncompatibleError, UsageError
from autorl.keys import derive, generator
from autorl.outer.methods import METHODS, make_method
from autorl.outer.priors import Prior
from autorl.outer.protocol import Budget, Proposal, Result, SearchMethod, Status


@dataclass(frozen=True)
class Outcome:
    """What a search chose.

    Attributes:
        configuration: The winner.
        score: Its score on the test seeds (see `Landscape.test_score`).
        spent: Whole trainings that the search took.
    """

    configuration: int
    score: float
    spent: float


def proposer(
    landscape: Landscape,
    name: str,
    trials: int,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    prior: Prior | None = None,
) -> SearchMethod[Any]:
    """Return the search method called ``name`` for at most ``trials`` configurations of the landscape.

    Raises:
        AutoRLError: No such method, or one that cannot search the landscape.
    """
    budget = Budget(trials, landscape.env_steps)
    method = make_method(name, landscape.space, budget, seed, settings, prior=prior)
    if method.continues:
        others = ", ".join(n for n in METHODS if not METHODS.load(n).continues)
        raise IncompatibleError(
            f"--method {name}: it changes candidates while their agents learn, which no record of finished trainings can "
            f"answer. Remedy: one of {others}."
        )
    return method


def seed_order(landscape: Landscape, seed: int) -> tuple[int, ...]:
    """Return the tuning seeds in the order in which a search takes them: the same for all configurations of the search."""
    return tuple(int(s) for s in generator(derive(seed, "seeds")).permutation(landscape.tuning))


def search(landscape: Landscape, name: str, trainings: int, seeds: int, seed: int) -> Outcome:
    """Search with whole trainings: each configuration on the first ``seeds`` of the tuning seeds; the best mean wins.

    Args:
        landscape: The task.
        name: Name of a search method.
        trainings: Whole trainings granted.
        seeds: Trainings of a configuration, 1 to 5.
        seed: Makes the search reproducible.
    """
    trials = trainings // seeds
    method = proposer(landscape, name, trials, derive(seed, "search"))
    if trials > len(landscape.configurations):
        raise UsageError(
            f"landscape {landscape.name!r}: {trials} configurations are asked for, {len(landscape.configurations)} are on "
            "record. Remedy: a smaller --trainings, or more --seeds for each configuration."
        )
    work, means = Work(landscape, trainings), {}
    state = method.init()
    while not method.finished(state):
        results = []
        for proposal in method.ask(state, method.available(state)):
            configuration = work.nearest(landscape.space.to_unit(proposal.candidate))
            means[configuration] = float(
                np.mean([work.train(configuration, s, 0.0, 1.0) for s in seed_order(landscape, seed)[:seeds]])
            )
            results.append(answer(landscape, proposal, configuration, Status.COMPLETED, means[configuration]))
        state = method.tell(state, results)
    winner = max(means, key=means.__getitem__)
    return Outcome(winner, landscape.test_score(winner), work.spent)


def answer(landscape: Landscape, proposal: Proposal, configuration: int, status: Status, score: float | None) -> Result:
    """Return what a method is told: what was trained in fact, the configuration nearest to its proposal, and how it ended."""
    trained = replace(proposal, candidate=landscape.configurations[configuration])
    return Result(trained, status, score)
