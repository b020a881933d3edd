"""Trained states of paused trainings, so that each can continue from its own, also after the study was killed."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from autorl.engine.inflight import NAME as INFLIGHT
from autorl.engine.inflight import identity, outcome_from
from autorl.engine.lanes import Job, Outcome, fits, flatten, unflatten
from autorl.engine.session import Session
from autorl.errors import StudyError
from autorl.outer.budget.protocol import Run
from autorl.outer.protocol import Status
from autorl.studies import checkpoint
from autorl.studies.trial import Arm

_REPEATED = (Status.CRASHED, Status.OUT_OF_MEMORY)
"""What the machine or the user's environment may be to blame for: such a training is never kept, so that it can be tried again."""


class PausedStore:
    """One checkpoint for each training (trial and seeds) and each place where it was paused: its states, and its outcomes up to there.

    A checkpoint is written as soon as a training is done, before the record knows of it, and the one before stays until then. So the
    record's trainings always have their states; and what of a batch was done at a kill is not trained again.
    """

    def __init__(self, session: Session, arm: Arm) -> None:
        self._session, self._prefix = session, f"{arm}-run-"
        self._folder = session.folder.checkpoints

    def _name(self, trial: int, seed: int, reached: int) -> str:
        return f"{self._prefix}{trial:07d}-{seed:03d}-{reached:05d}"

    def save(
        self, trial: int, seed: int, reached: int, jobs: Sequence[Job], outcomes: Sequence[Outcome], *, states: bool
    ) -> None:
        """Keep the outcomes of ``jobs``, with the trained states if ``states`` (if somebody may continue from them)."""
        if any(o.status in _REPEATED for o in outcomes):
            return
        arrays = {
            key: leaf
            for i, o in enumerate(outcomes)
            if states and o.state is not None
            for key, leaf in flatten(o.state, f"job-{i}-").items()
        }
        entries = [dataclasses.asdict(dataclasses.replace(o, state=None, diary=None, shelf=None)) for o in outcomes]
        meta = {"identity": identity(self._prefix, jobs), "outcomes": entries}
        checkpoint.save(self._folder, self._name(trial, seed, reached), arrays, meta)

    def outcomes(self, trial: int, seed: int, reached: int, jobs: Sequence[Job]) -> list[Outcome] | None:
        """Return the outcomes of exactly these jobs, if they were done before a kill; states are left on the disk."""
        name = self._name(trial, seed, reached)
        if name not in checkpoint.names(self._folder):
            return None
        try:
            _, meta = checkpoint.load(self._folder, name)
        except checkpoint.CheckpointError:
            return None  # trained again
        if meta["identity"] != identity(self._prefix, jobs):
            return None
        return [outcome_from(entry) for entry in meta["outcomes"]]

    def states(self, trial: int, seed: int, reached: int, jobs: Sequence[Job]) -> list[Any]:
        """Return the states that ``jobs`` continue from, one each."""
        arrays, _ = checkpoint.load(self._folder, self._name(trial, seed, reached))
        likes = [self._session.trainer.state_like(job.environment, job.plan[-1].candidate) for job in jobs]
        if not all(fits(like, arrays, f"job-{i}-") for i, like in enumerate(likes)):
            raise StudyError(
                f"trial {trial}: its trained states were saved by a version of AutoRL whose agents or teachers have another form. "
                "Remedy: resume the study with that version, or run it anew under another name."
            )
        return [unflatten(like, arrays, f"job-{i}-") for i, like in enumerate(likes)]

    def prune(self, going: Collection[Run]) -> None:
        """Drop all checkpoints of this arm but those that the runs ``going`` on continue from, and whatever was in flight."""
        others = [n for n in checkpoint.names(self._folder) if not n.startswith(self._prefix) and n != INFLIGHT]
        checkpoint.prune(self._folder, [*others, *(self._name(r.trial, r.seed, r.env_steps) for r in going)])
