"""Which trial of a study is the best so far, from its record alone: the same that the engine goes on with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from autorl.engine.selection import choose_finalists, pick_winner
from autorl.outer.protocol import Candidate, Status
from autorl.spaces import Space
from autorl.spaces.plain_values import leaves
from autorl.spaces.screening import simplest, size
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


def behaviour(space: Space | None) -> Callable[[Trial], str] | None:
    """Return a name for what a trial's candidate does, where different candidates may do the same (graphs); else None."""
    if space is None or not searches_graphs(space):
        return None
    return lambda trial: space.fingerprint(space.from_json(trial.candidate))


def kin(space: Space | None) -> Callable[[Trial], str] | None:
    """Return a name for the form of a trial's candidate, whatever the values of its constants, where a form is searched; else None."""
    form = getattr(space, "kin", None)
    if space is None or form is None:
        return None
    return lambda trial: str(form(space.from_json(trial.candidate)))


def plainest(space: Space | None) -> Callable[[Candidate], Candidate]:
    """Return the function from a candidate to the plainest one that does the same, both as recorded."""
    if space is None or not searches_graphs(space):
        return lambda candidate: candidate
    return lambda candidate: space.to_json(simplest(space, space.from_json(candidate)))


def best_of(
    trials: Sequence[Trial],
    space: Space | None,
    parsimony: float,
    merit: Callable[[Sequence[Trial]], Sequence[Trial]] | None = None,
    searched: Mapping[int, Sequence[float | None]] | None = None,
) -> Trial | None:
    """Return the method's best trial; None before any has a score.

    What is tested: a finalist, where there were several, else a trial of the search. Before that what would be tested as things stand.
    Without a search what is tested.

    Args:
        trials: All trials of the study.
        space: What is searched.
        parsimony: What a part of a candidate costs, in units of the score.
        merit: Returns the trials of the search that can be the best, with what they are worth as their scores: a budget policy's
            judgement. None: the trials that have ended, as they are.
        searched: Scores on further seeds in the search, by trial: `autorl.engine.evidence`.
    """
    own = [t for t in trials if t.arm == "method"]
    tested = next((t for t in own if t.phase == "test"), None)
    finalists = [t for t in own if t.phase == "finalists" and t.status is not Status.RUNNING]
    if finalists:
        # what is tested was chosen among them, if by an older version's rule
        chosen = [t for t in finalists if tested and (t.candidate, t.schedule) == (tested.candidate, tested.schedule)]
        return chosen[0] if chosen else pick_winner(finalists, sizes(space), parsimony, searched)
    trained = {t.number: t for t in own if t.phase == "search"}
    if tested is not None:
        source = trained.get(-1 if tested.source is None else tested.source)
        return tested if source is None else replace(source, candidate=tested.candidate, schedule=tested.schedule)
    able = (
        [t for t in trained.values() if t.status is not Status.RUNNING] if merit is None else merit([*trained.values()])
    )
    top = choose_finalists(
        able,
        1,
        continues=any(t.parent is not None for t in able),
        identity=behaviour(space),
        kin=kin(space),
        size=sizes(space),
        parsimony=parsimony,
    )
    return trained[top[0].source] if top else None
