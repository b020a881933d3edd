"""A population in flight, kept between segments, so that a long training that was stopped goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autorl.engine.lanes import Job, Outcome, flatten, unflatten
from autorl.engine.trainer import Saver
from autorl.outer.protocol import Status
from autorl.studies import checkpoint

NAME = "inflight"
SAVE_SECONDS = 60.0
"""Least time between two saves; a population that takes less is simply trained again (same seeds, same numbers)."""


class InflightSaver(Saver):
    """Keeps one population of a study in flight. What is saved is used only for exactly the same work."""

    def __init__(self, folder: Path, phase: str, jobs: Sequence[Job]) -> None:
        self._folder = folder
        self._identity = identity(phase, jobs)
        self._last = time.monotonic()

    def load(self, like: Any) -> tuple[int, list[Outcome], Any] | None:
        """Return what was saved of this work, or None."""
        if NAME not in checkpoint.names(self._folder):
            return None
        try:
            arrays, meta = checkpoint.load(self._folder, NAME)
        except checkpoint.CheckpointError:
            return None  # nothing is lost: the same work is done again from the last recorded trial
        if meta.get("identity") != self._identity:
            return None
        outcomes = [_outcome(entry) for entry in meta["outcomes"]]
        return int(meta["segment"]), outcomes, unflatten(like, arrays)

    def save(
        self, segment: int, outcomes: Sequence[Outcome], states: Callable[[], Any], *, force: bool = False
    ) -> None:
        """Save at most every `SAVE_SECONDS`, or now if ``force``."""
        if not force and time.monotonic() - self._last < SAVE_SECONDS:
            return
        entries = [{**dataclasses.asdict(dataclasses.replace(o, state=None))} for o in outcomes]
        meta = {"identity": self._identity, "segment": segment, "outcomes": entries}
        checkpoint.save(self._folder, NAME, flatten(states()), meta)
        self._last = time.monotonic()


def identity(phase: str, jobs: Sequence[Job]) -> str:
    """Return a hash of everything that decides what these jobs train."""
    plain = [
        [j.trial, j.environment, j.seed, j.start, list(j.points), [[s.until, dict(s.candidate)] for s in j.plan]]
        for j in jobs
    ]
    return hashlib.sha256(json.dumps([phase, plain], sort_keys=True, default=str).encode()).hexdigest()


def _outcome(entry: dict[str, Any]) -> Outcome:
    values = {**entry, "status": Status(entry["status"])}
    return Outcome(**{**values, "env_steps": tuple(values["env_steps"]), "returns": tuple(values["returns"])})
