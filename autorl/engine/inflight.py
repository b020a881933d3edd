"""Trainings in flight, kept between segments, so that a long one that was stopped goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autorl.engine.lanes import Job, Outcome, fits, flatten, unflatten
from autorl.engine.saver import Held, Saver
from autorl.outer.protocol import Status
from autorl.studies import checkpoint

NAME = "inflight"
SAVE_SECONDS = 60.0
"""Least time between two saves; a population that takes less is simply trained again (same seeds, same numbers)."""
SAVE_SHARE = 30.0
"""Least time between two saves, in units of what the last one took: large states are saved less often."""


class InflightSaver(Saver):
    """Keeps trainings of a study in flight, each by what it trains: what is saved is used only for exactly the same work."""

    def __init__(self, folder: Path, phase: str, jobs: Sequence[Job]) -> None:
        self._folder = folder
        self._identities = [identity(phase, [job]) for job in jobs]
        self._last = time.monotonic()
        self._took = 0.0

    def load(self, like: Any) -> dict[int, Held]:
        """Return what was saved of these trainings. What was not, or not legibly, loses nothing: it is trained from its beginning."""
        if NAME not in checkpoint.names(self._folder):
            return {}
        try:
            arrays, meta = checkpoint.load(self._folder, NAME)
        except checkpoint.CheckpointError:
            return {}
        saved = {entry["identity"]: (f"job-{n}-", entry) for n, entry in enumerate(meta.get("jobs", ()))}
        found = {}
        for i, own in enumerate(self._identities):
            prefix, entry = saved.get(own, ("", None))
            if entry is not None and fits(like, arrays, prefix):  # another version's agents may have another form
                state = unflatten(like, arrays, prefix)
                found[i] = Held(int(entry["segments"]), outcome_from(entry["outcome"]), state)
        return found

    def save(self, held: Callable[[], Mapping[int, Held]], *, force: bool = False) -> None:
        """Save at most every `SAVE_SECONDS` (less often if saving is slow), or now if ``force``."""
        if not force and time.monotonic() - self._last < max(SAVE_SECONDS, SAVE_SHARE * self._took):
            return
        began = time.monotonic()
        entries: list[dict[str, Any]] = []
        arrays: dict[str, Any] = {}
        # a state for each job, not for each lane: another machine may have other lanes
        for n, (i, one) in enumerate(held().items()):
            plain = dataclasses.replace(one.outcome, state=None, diary=None, shelf=None, agent=None)
            entry = {"identity": self._identities[i], "segments": one.segments, "outcome": dataclasses.asdict(plain)}
            entries.append(entry)
            arrays |= flatten(one.state, f"job-{n}-")
        checkpoint.save(self._folder, NAME, arrays, {"jobs": entries})
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
