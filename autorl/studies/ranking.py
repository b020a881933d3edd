"""Which trials of a search did better where a budget policy cut some of them: an order that needs no score in common. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from autorl.outer.protocol import Status
from autorl.studies.trial import AT_HURDLE, Trial


def places(trials: Sequence[Trial]) -> list[float]:
    """Return the place of each trial, 0 for the worst; those that did equally well share one.

    One that trained further stands above one that was stopped earlier, as it was preferred then; of those that got equally far the one
    with the higher score; those that failed come last, all alike. (Where a policy starts trials at different rungs, as hyperband does,
    how far one came is partly luck: the same for every candidate.)

    Args:
        trials: Ended ones.
    """
    keys = [_key(trial) for trial in trials]
    order = {key: place for place, key in enumerate(sorted(set(keys)))}
    return [float(order[key]) for key in keys]


def own_score(trial: Trial) -> float | None:
    """Return the score of a trial that did not fail, of one that was stopped that where it was; None if there is none."""
    if trial.status is Status.PRUNED:
        return trial.values.get(AT_HURDLE)
    return trial.score if trial.status is Status.COMPLETED else None


def _key(trial: Trial) -> tuple[int, float]:
    score = own_score(trial)
    return (-1, 0.0) if score is None else (trial.env_steps, score)
