"""Ask and tell for a user's own objective function, on the same record and with the same methods. Imports no jax."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, SupportsFloat

from autorl.engine.methods import method_of, result_of, trial_of
from autorl.errors import UsageError
from autorl.outer.protocol import Proposal, Status
from autorl.spaces import load_space
from autorl.studies.record import Record
from autorl.studies.specification import Specification
from autorl.studies.trial import Trial


class Asker:
    """The outer loop of one open study, driven from outside."""

    def __init__(self, specification: Specification, record: Record) -> None:
        assert specification.search is not None
        self._record = record
        self._space = load_space(specification.search.space)
        self._method = method_of(specification, "method")
        trials = record.trials("method", "search")
        told = sorted((t for t in trials if t.told is not None), key=lambda t: t.told or 0)
        self._state: Any = self._method.init()
        if told:
            self._state = self._method.tell(self._state, [result_of(t, self._space) for t in told])
        self._pending: dict[int, Trial] = {t.number: t for t in trials if t.told is None}
        self._orphans = sorted(n for n, t in self._pending.items() if t.status is Status.RUNNING)
        for number, trial in list(self._pending.items()):
            if trial.status is not Status.RUNNING:  # killed between finishing and telling
                self._tell(number, trial)
        self._note_end()

    def ask(self) -> Proposal:
        """Return the next proposal; see `autorl.api.Study.ask`."""
        if self._orphans:
            return result_of(self._pending[self._orphans.pop(0)], self._space).proposal
        pending = [result_of(t, self._space).proposal for t in self._pending.values()]
        if self._method.available(self._state, pending) < 1:
            if self._method.finished(self._state, pending):
                raise UsageError(
                    "budget.trainings: all of it has been asked for; tell what is pending, or start another study"
                )
            waiting = ", ".join(map(str, sorted(self._pending)))
            raise UsageError(f"method {self._method.name!r} must be told trials {waiting} before it can go on")
        (proposal,) = self._method.ask(self._state, 1, pending)
        trial = trial_of(proposal, self._space, "method", ())
        self._record.add([trial])
        self._pending[trial.number] = trial
        return proposal

    def tell(self, number: int, score: float | None, status: Status | None) -> None:
        """Record and tell one trial; see `autorl.api.Study.tell`."""
        if number not in self._pending:
            known = ", ".join(map(str, sorted(self._pending))) or "none"
            raise UsageError(f"trial {number} is not pending (pending: {known}); each trial is told once")
        if isinstance(score, bool) or not isinstance(score, SupportsFloat | None):
            raise UsageError(f"score: expected a number or None, got {score!r}")
        if status is Status.RUNNING or (status is Status.COMPLETED and score is None):
            raise UsageError(
                f"status: a told trial has ended, and a completed one has a score; got {status} and {score}"
            )
        finite = score is not None and math.isfinite(score)
        if status is None:
            status = Status.COMPLETED if finite else (Status.CRASHED if score is None else Status.DIVERGED)
        if status is Status.COMPLETED and not finite:
            status = Status.DIVERGED
        kept = float(score) if score is not None and status is Status.COMPLETED else None
        trial = replace(
            self._pending[number],
            status=status,
            score=kept,
            scores=((kept,),),
            message="" if kept is not None else f"told score {score}",
        )
        self._record.finish([trial])
        self._orphans = [n for n in self._orphans if n != number]
        self._tell(number, trial)

    def _tell(self, number: int, trial: Trial) -> None:
        self._record.tell([(trial.arm, trial.phase, number)])
        self._state = self._method.tell(self._state, [result_of(trial, self._space)])
        del self._pending[number]
        self._note_end()

    def _note_end(self) -> None:
        if self._method.finished(self._state, [result_of(t, self._space).proposal for t in self._pending.values()]):
            self._record.set_meta("finished", not self._pending)
