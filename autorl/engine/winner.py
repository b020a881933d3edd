"""Which trial of a study is the best so far, from its record alone: the same that the engine goes on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autorl.engine.selection import choose_finalists, pick_winner
from autorl.outer.protocol import Status
from autorl.spaces import Space
from autorl.spaces.plain_values import leaves
from autorl.spaces.screening import size
from autorl.studies.trial import Trial


def searches_graphs(space: Space | None) -> bool:
    """Return whether ``space`` has graphs in it, of which different ones may do the same."""
    return any(hasattr(part, name) for part in leaves(space) for name in ("objective", "scored"))


def sizes(space: Space | None) -> Callable[[Trial], int]:
    """Return the function that says how many parts a trial's candidate is made of; 0 for all where size does not matter."""
    if space is None or not searches_graphs(space):
        return lambda trial: 0
    # as recorded, unchecked: the simplest form of a candidate need not be of the space (programs have a fixed length)
    return lambda trial: size(space, trial.candidate)


def best_of(trials: Sequence[Trial], space: Space | None, parsimony: float) -> Trial | None:
    """Return the method's best trial; None before any completed.

    The finalist that is tested, or would be as things stand; without finalists the best of the search; without a search what is tested.

    Args:
        trials: All trials of the study.
        space: What is searched.
        parsimony: What a part of a candidate costs, in units of the score.
    """
    own = [t for t in trials if t.arm == "method"]
    tested = next((t for t in own if t.phase == "test"), None)
    finalists = [t for t in own if t.phase == "finalists" and t.status is not Status.RUNNING]
    if finalists:
        # what is tested was chosen among them, if by an older version's rule
        chosen = [t for t in finalists if tested and (t.candidate, t.schedule) == (tested.candidate, tested.schedule)]
        return chosen[0] if chosen else pick_winner(finalists, sizes(space), parsimony)
    ended = [t for t in own if t.phase == "search" and t.status is not Status.RUNNING]
    if not ended:
        return tested
    top = choose_finalists(ended, 1, continues=any(t.parent is not None for t in ended))
    return next((t for t in ended if top and t.number == top[0].source), None)
