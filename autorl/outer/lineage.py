"""Who descends from whom: the chain of trials behind a trained state, and the schedule of candidates that made it.

Everything here is duck typed over things with ``number``, ``candidate``, ``env_steps``, ``parent``, ``generation`` and ``origin``:
`autorl.outer.protocol.Proposal` and `autorl.studies.trial.Trial` are two such. Pass trials of one arm and phase only: numbers
are unique there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np

from autorl.errors import StudyError
from autorl.outer.protocol import Candidate


class Trained(Protocol):
    """What lineage needs to know of a trial."""

    @property
    def number(self) -> int:
        """Position in the study."""

    @property
    def candidate(self) -> Candidate:
        """What was trained."""

    @property
    def env_steps(self) -> int:
        """Environment steps of this trial alone."""

    @property
    def parent(self) -> int | None:
        """Trial it continued from."""

    @property
    def generation(self) -> int:
        """Generation of the method's population."""

    @property
    def origin(self) -> str:
        """How it came about, in one word."""


T = TypeVar("T", bound=Trained)


def ancestors(trials: Iterable[T], number: int) -> tuple[T, ...]:
    """Return the trials that trained the state of trial ``number``, the first (started from scratch) first, itself last.

    Raises:
        StudyError: No such trial, a parent that is missing, or one that was not proposed before its child.
    """
    return _chain(_by_number(trials), number)


def schedule(trials: Iterable[Trained], number: int) -> tuple[tuple[int, Candidate], ...]:
    """Return the schedule that replays trial ``number``: pairs of (until, candidate), in order.

    ``until`` is cumulative environment steps; neighbours with equal candidates are one stage. What a trial's lineage trained
    before it was restarted from scratch is no part of its schedule.

    Raises:
        StudyError: As `ancestors`.
    """
    stages: list[tuple[int, Candidate]] = []
    steps = 0
    for trial in ancestors(trials, number):
        steps += trial.env_steps
        if stages and same_candidate(stages[-1][1], trial.candidate):
            stages.pop()
        stages.append((steps, trial.candidate))
    return tuple(stages)


def final_generation(trials: Iterable[T]) -> tuple[T, ...]:
    """Return the trials of the last generation, by number; empty if there are no trials."""
    ordered = sorted(trials, key=lambda trial: trial.number)
    last = max((trial.generation for trial in ordered), default=0)
    return tuple(trial for trial in ordered if trial.generation == last)


def describe(trials: Iterable[Trained]) -> list[dict[str, Any]]:
    """Return the whole lineage as plain data, one dict a trial in order of number, for reports and figures.

    Each has ``number``, ``generation``, ``origin``, ``parent`` (None: from scratch), ``root`` (the trial its lineage began with),
    ``children`` (numbers), ``from_env_steps`` and ``until_env_steps`` (cumulative along the lineage), ``candidate``, and ``changed``:
    dimension to (parent's value, own value), None where one of the two lacks the dimension.

    Raises:
        StudyError: As `ancestors`.
    """
    known = _by_number(trials)
    rows: dict[int, dict[str, Any]] = {}
    for number in sorted(known):
        trial = known[number]
        above = None if trial.parent is None else _parent(known, trial)
        before = 0 if above is None else rows[above.number]["until_env_steps"]
        rows[number] = {
            "number": number,
            "generation": trial.generation,
            "origin": trial.origin,
            "parent": trial.parent,
            "root": number if above is None else rows[above.number]["root"],
            "children": [],
            "from_env_steps": before,
            "until_env_steps": before + trial.env_steps,
            "candidate": trial.candidate,
            "changed": {} if above is None else changes(above.candidate, trial.candidate),
        }
        if above is not None:
            rows[above.number]["children"].append(number)
    return list(rows.values())


def changes(old: Candidate, new: Candidate) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two candidates: dotted name to (old value, new value), None for a value that is absent."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in [*old, *(name for name in new if name not in old)]:
        a, b = old.get(name), new.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found.update({f"{name}.{inner}": pair for inner, pair in changes(a, b).items()})
        elif name not in old or name not in new or not _same_value(a, b):
            found[name] = (a, b)
    return found


def same_candidate(a: Candidate, b: Candidate) -> bool:
    """Return whether two candidates are equal, arrays compared by type, shape and every entry."""
    return not changes(a, b)


def _same_value(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
            return False
        return a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(a, b))
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _by_number(trials: Iterable[T]) -> dict[int, T]:
    known: dict[int, T] = {}
    for trial in trials:
        if trial.number in known:
            raise StudyError(
                f"lineage: two trials are numbered {trial.number}. Remedy: pass the trials of one arm and one phase."
            )
        known[trial.number] = trial
    return known


def _chain(known: Mapping[int, T], number: int) -> tuple[T, ...]:
    if number not in known:
        raise StudyError(f"lineage: there is no trial {number} among {len(known)} trials.")
    chain = [known[number]]
    while chain[-1].parent is not None:
        chain.append(_parent(known, chain[-1]))
    return tuple(reversed(chain))


def _parent(known: Mapping[int, T], trial: T) -> T:
    """Return the trial's parent. Parents come before their children, so a damaged record cannot make an endless chain."""
    assert trial.parent is not None
    if trial.parent not in known or trial.parent >= trial.number:
        why = "comes after it" if trial.parent in known else "is missing"
        raise StudyError(f"lineage: trial {trial.number} continues from trial {trial.parent}, which {why}.")
    return known[trial.parent]
