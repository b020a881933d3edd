"""What the search of a finished study teaches a prior. Imports no jax."""

from __future__ import annotations

from collections.abc import Sequence

from autorl.errors import UsageError
from autorl.outer.prior_fit import Tried
from autorl.outer.protocol import Status
from autorl.spaces import HyperparameterSpace, load_space
from autorl.studies.ranking import places
from autorl.studies.specification import Specification
from autorl.studies.trial import Trial


def tried_in(name: str, specification: Specification, trials: Sequence[Trial]) -> Tried:
    """Return the configurations that a study's method tried, ranked.

    They are ranked by `autorl.studies.ranking.places`. Running ones do not count.

    Args:
        name: Of the study.
        specification: Its own, self-contained.
        trials: Of its method's search.

    Raises:
        UsageError: It searched no hyperparameters, or changed candidates while their agents learned.
    """
    space = None if specification.search is None else load_space(specification.search.space)
    if not isinstance(space, HyperparameterSpace):
        raise UsageError(
            f"study {name!r}: it searched no hyperparameters, so a prior learns nothing from it. Remedy: leave it out."
        )
    ended = [t for t in trials if t.status is not Status.RUNNING]
    if any(t.parent is not None for t in ended):
        raise UsageError(
            f"study {name!r}: its method changed candidates while their agents learned, so no score is one candidate's. "
            "Remedy: leave it out."
        )
    environments = tuple(dict.fromkeys(choice.id for choice in specification.environments))
    candidates = [space.from_json(t.candidate) for t in ended]
    return Tried(name, environments, space, candidates, places(ended))
