"""A population in flight, kept between segments, so that a long training that was stopped goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autorl.engine.chunk import Saver
from autorl.engine.lanes import Job, Outcome, fits, flatten, unflatten
from autorl.outer.protocol import Status
from autorl.studies import checkpoint

NAME = "inflight"
SAVE_SECONDS = 60.0
"""Least time between two saves; a population that takes less is simply trained again (same seeds, same numbers)."""
SAVE_SHARE = 30.0
"""Least time between two saves, in units of what the last one took: large states are saved less often."""


class InflightSaver(Saver):
    """Keeps one population of a study in flight. What is saved is used only for exactly the same work."""

    def __init__(self, folder: Path, phase: str, jobs: Sequence[Job]) -> None:
        self._folder = folder
        self._identity = identity(phase, jobs)
        self._last = time.monotonic()
        self._took = 0.0

    def load(self, like: Any) -> tuple[int, list[Outcome], list[Any]] | None:
        """Return what was saved of this work, or None. Nothing is lost then: it is trained again from its beginning."""
        if NAME not in checkpoint.names(self._folder):
            return None
        try:
            arrays, meta = checkpoint.load(self._folder, NAME)
        except checkpoint.CheckpointError:
            return None
        if meta.get("identity") != self._identity:
            return None
        outcomes = [outcome_from(entry) for entry in meta["outcomes"]]
        prefixes = [f"job-{i}-" for i in range(len(outcomes))]
        if not all(fits(like, arrays, prefix) for prefix in prefixes):
            return None  # saved by a version whose agents have another form
        states = [unflatten(like, arrays, prefix) for prefix in prefixes]
        return int(meta["segment"]), outcomes, states

    def save(
        self, segment: int, outcomes: Sequence[Outcome], states: Callable[[], list[Any]], *, force: bool = False
    ) -> None:
        """Save at most every `SAVE_SECONDS` (less often if saving is slow), or now if ``force``."""
        if not force and time.monotonic() - self._last < max(SAVE_SECONDS, SAVE_SHARE * self._took):
            return
        began = time.monotonic()
        entries = [
            {**dataclasses.asdict(dataclasses.replace(o, state=None, diary=None, shelf=None, agent=None))}
            for o in outcomes
        ]
        meta = {"identity": self._identity, "segment": segment, "outcomes": entries}
        # a state for each job, not for each lane: another machine may have other lanes
        arrays = {k: v for i, state in enumerate(states()) for k, v in flatten(state, f"job-{i}-").items()}
        checkpoint.save(self._folder, NAME, arrays, meta)
        self._last = time.monotonic()
        self._took = self._last - began


def identity(phase: str, jobs: Sequence[Job]) -> str:
    """Return a hash of everything that decides what these jobs train."""
    plain = [
        [
            j.trial,
            j.environment,
            j.seed,
            j.start,
            j.averaged,
            list(j.points),
            [[s.until, dict(s.candidate)] for s in j.plan],
        ]
        for j in jobs
    ]
    return hashlib.sha256(json.dumps([phase, plain], sort_keys=True, default=str).encode()).hexdigest()


def outcome_from(entry: dict[str, Any]) -> Outcome:
    """Return the outcome that was saved as ``entry``, without its state."""
    values = {**entry, "status": Status(entry["status"])}
    several = {name: tuple(values[name]) for name in ("env_steps", "returns", "tasks", "successes")}
    # not in what older versions saved
    halves = {name: tuple(map(tuple, values.get(name, ()))) for name in ("task_halves", "success_halves")}
    return Outcome(**{**values, **several, **halves})
