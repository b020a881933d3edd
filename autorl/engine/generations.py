"""Trained states of the last generation, so that trials can continue from a parent, also after the study was killed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from autorl.engine.inflight import NAME as INFLIGHT
from autorl.engine.lanes import fits, flatten, lane, unflatten
from autorl.engine.session import Session
from autorl.errors import StudyError
from autorl.studies import checkpoint
from autorl.studies.trial import Arm, Trial


class GenerationStore:
    """States of the trials told last, one checkpoint for each number of trials told.

    A checkpoint is written before the record knows its generation. So the record's last generation always has its states, and an
    interrupted generation is trained again from the one before.
    """

    def __init__(self, session: Session, arm: Arm) -> None:
        self._session, self._arm = session, arm
        self._folder = session.folder.checkpoints
        self._held: dict[int, list[Any]] = {}
        self._held_at = 0

    def nominal(self, parent: int | None, told: Sequence[Trial]) -> int:
        """Return the env steps granted to ``parent`` and its ancestors together: where a child's training begins."""
        by_number = {t.number: t for t in told}
        steps = 0
        while parent is not None:
            steps += by_number[parent].env_steps
            parent = by_number[parent].parent
        return steps

    def load(self, told: int, batch: Sequence[Trial]) -> dict[int, list[Any]]:
        """Return the states of the trials that ``batch`` continues from."""
        wanted = {t.parent for t in batch if t.parent is not None}
        if wanted and self._held_at != told:
            self._held, self._held_at = self._read(told, batch), told
        missing = wanted - set(self._held)
        if missing:
            raise StudyError(f"no trained state of trials {sorted(missing)}: they are not of the last generation")
        return {number: self._held[number] for number in wanted if number is not None}

    def save(self, told: int, trials: Sequence[Trial], states: Mapping[int, Sequence[Any]]) -> None:
        """Keep the states of a generation after which ``told`` trials will have been told."""
        kept = [t.number for t in trials if all(s is not None for s in states[t.number])]
        self._held, self._held_at = {n: list(states[n]) for n in kept}, told
        arrays: dict[str, np.ndarray] = {}
        seeds = len(trials[0].seeds)
        for e in range(len(self._session.environments) if kept else 0):
            own = [state for n in kept for state in states[n][e * seeds : (e + 1) * seeds]]
            arrays |= flatten(jax.tree.map(lambda *x: np.stack(x), *own), f"environment-{e}-leaf-")
        checkpoint.save(self._folder, self._name(told), arrays, {"trials": kept, "seeds": seeds})

    def prune(self, told: int) -> None:
        """Drop all generations of this arm but the one after ``told`` trials, and whatever was in flight."""
        old = f"{self._arm}-generation-"
        keep = [n for n in checkpoint.names(self._folder) if not n.startswith(old) and n != INFLIGHT]
        checkpoint.prune(self._folder, [*keep, self._name(told)])

    def _name(self, told: int) -> str:
        return f"{self._arm}-generation-{told:08d}"

    def _read(self, told: int, batch: Sequence[Trial]) -> dict[int, list[Any]]:
        arrays, meta = checkpoint.load(self._folder, self._name(told))
        states: dict[int, list[Any]] = {int(n): [] for n in meta["trials"]}
        trainer, values = self._session.trainer, self._session.values
        for e in range(len(self._session.environments)):
            like = trainer.state_like(e, values(batch[0].candidate, e))
            prefix, count = f"environment-{e}-leaf-", len(states) * int(meta["seeds"])
            if not fits(like, arrays, prefix, (count,)):
                raise StudyError(
                    f"the trained states of {self._name(told)!r} in environment {e} were saved by a version of AutoRL whose agents or "
                    "teachers have another form. Remedy: resume the study with that version, or run it anew under another name."
                )
            stacked = unflatten(like, arrays, prefix)
            for index in range(count):
                states[int(meta["trials"][index // int(meta["seeds"])])].append(lane(stacked, index))
        return states
