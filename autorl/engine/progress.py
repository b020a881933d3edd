"""What a running study tells whoever watches: plain events, at most a few each second. Rendering is the command line's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from autorl.errors import AutoRLError


@dataclass(frozen=True)
class Event:
    """The state of a study at one moment.

    Attributes:
        phase: What runs now, in words: ``search``, ``random baseline``, ``finalists``, ``test``.
        trials, trials_total: Finished and planned trials of this phase.
        failures: Failed trials of this phase.
        best: Best score of this phase so far (a tuning score, never a result); None before the first.
        env_steps, env_steps_total: Training env steps of this phase, done and planned.
        env_steps_per_second: Over the time spent in this phase, without its first steps where there are later ones: the first wait
            for the compiler.
        eta_seconds: Estimate for the rest of this phase; None before there is one.
        note: A word on what is going on (``compiling``); mostly empty.
        reached: Where a budget policy cuts trainings: how far the furthest have come, as a share of a whole one. Trials then count as soon
            as they have begun, and ``best`` is the best of the furthest, by the policy's measure. None elsewhere.
    """

    phase: str
    trials: int
    trials_total: int
    failures: int
    best: float | None
    env_steps: int
    env_steps_total: int
    env_steps_per_second: float
    eta_seconds: float | None
    note: str = ""
    reached: float | None = None


Reporter = Callable[[Event], None]


def silent(event: Event) -> None:
    """Report nothing."""


class ReporterError(AutoRLError):
    """Whoever watched the study failed. A failure of its own kind: it must never pass for one of the trials'."""


class Meter:
    """Counts the work of one phase and reports it."""

    def __init__(self, phase: str, trials_total: int, env_steps_total: int, report: Reporter) -> None:
        self.phase, self.trials_total, self.env_steps_total = phase, trials_total, env_steps_total
        self._report = report
        self._started = time.perf_counter()
        self._here = self._first = 0
        self._first_at: float | None = None
        self.trials = self.failures = self.env_steps = 0
        self.best: float | None = None
        self.reached: float | None = None

    def known(self, score: float | None, env_steps: int) -> None:
        """Count one trial that an earlier run had done (it does not count for the speed)."""
        self.already(self.trials + 1, self.failures + (score is None), self.env_steps + env_steps, self.best)

    def repeated(self, env_steps: int) -> None:
        """Take a whole trial off the plan: it is one that was counted before."""
        self.trials_total -= 1
        self.saved(env_steps)

    def already(self, trials: int, failures: int, env_steps: int, best: float | None) -> None:
        """Count what an earlier run of this study had done (it does not count for the speed)."""
        self.trials, self.failures, self.env_steps, self.best = trials, failures, env_steps, best
        self.show()

    def stands(self, trials: int, failures: int, best: float | None, reached: float) -> None:
        """Report how a search stands whose trials come to a halt and go on; see `Event.reached`."""
        self.trials, self.failures, self.best, self.reached = trials, failures, best, reached
        self.show()

    def over(self) -> None:
        """Report that the phase is over, though it did not need all env steps or all trials."""
        self.env_steps_total, self.trials_total = self.env_steps, self.trials
        self.show()

    def stepped(self, env_steps: int) -> None:
        """Count training env steps."""
        self.env_steps += env_steps
        self._here += env_steps
        if self._first_at is None and env_steps:
            self._first, self._first_at = self._here, time.perf_counter()
        self.show()

    def finished(self, score: float | None) -> None:
        """Count one finished trial; ``score`` None is a failure."""
        self.trials += 1
        if score is None:
            self.failures += 1
        elif self.best is None or score > self.best:
            self.best = score
        self.show()

    def saved(self, env_steps: int) -> None:
        """Take training env steps off the plan: a trial stopped at a hurdle."""
        self.env_steps_total -= env_steps

    def pruned(self) -> None:
        """Count one trial that was stopped at a hurdle: finished, and no failure."""
        self.trials += 1
        self.show()

    def show(self, note: str = "") -> None:
        """Report the present state."""
        speed, steady = self._speed()
        left = max(0, self.env_steps_total - self.env_steps)
        event = Event(
            phase=self.phase,
            trials=self.trials,
            trials_total=self.trials_total,
            failures=self.failures,
            best=self.best,
            env_steps=self.env_steps,
            env_steps_total=self.env_steps_total,
            env_steps_per_second=speed,
            eta_seconds=left / speed if steady else None,
            note=note,
            reached=self.reached,
        )
        try:
            self._report(event)
        except AutoRLError:
            raise
        except Exception as error:
            raise ReporterError(
                f"the progress reporter failed ({type(error).__name__}: {error}); every finished trial is saved"
            ) from error

    def _speed(self) -> tuple[float, bool]:
        """Return env steps a second, and whether more than the first steps (with the compiler's wait) went into it."""
        now = time.perf_counter()
        if self._first_at is not None and self._here > self._first:
            return (self._here - self._first) / max(now - self._first_at, 1e-9), True
        return self._here / max(now - self._started, 1e-9), False
