"""What a running study tells whoever watches: plain events, at most a few each second. Rendering is the command line's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """The state of a study at one moment.

    Attributes:
        phase: What runs now, in words: ``search``, ``random search (baseline)``, ``finalists``, ``test``.
        trials, trials_total: Finished and planned trials of this phase.
        failures: Failed trials of this phase.
        best: Best score of this phase so far (a tuning score, never a result); None before the first.
        env_steps, env_steps_total: Training env steps of this phase, done and planned.
        env_steps_per_second: Over the time spent in this phase.
        eta_seconds: Estimate for the rest of this phase; None before there is one.
        note: One line worth telling once (``compiling``, ``saved``); empty otherwise.
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


Reporter = Callable[[Event], None]


def silent(event: Event) -> None:
    """Report nothing."""


class Meter:
    """Counts the work of one phase and reports it."""

    def __init__(self, phase: str, trials_total: int, env_steps_total: int, report: Reporter) -> None:
        self.phase, self.trials_total, self.env_steps_total = phase, trials_total, env_steps_total
        self._report = report
        self._started = time.perf_counter()
        self._here = 0
        self.trials = self.failures = self.env_steps = 0
        self.best: float | None = None

    def already(self, trials: int, failures: int, env_steps: int, best: float | None) -> None:
        """Count what an earlier run of this study had done (it does not count for the speed)."""
        self.trials, self.failures, self.env_steps, self.best = trials, failures, env_steps, best
        self.show()

    def stepped(self, env_steps: int) -> None:
        """Count training env steps."""
        self.env_steps += env_steps
        self._here += env_steps
        self.show()

    def finished(self, score: float | None) -> None:
        """Count one finished trial; ``score`` None is a failure."""
        self.trials += 1
        if score is None:
            self.failures += 1
        elif self.best is None or score > self.best:
            self.best = score
        self.show()

    def show(self, note: str = "") -> None:
        """Report the present state."""
        elapsed = max(time.perf_counter() - self._started, 1e-9)
        speed = self._here / elapsed
        left = max(0, self.env_steps_total - self.env_steps)
        self._report(
            Event(
                phase=self.phase,
                trials=self.trials,
                trials_total=self.trials_total,
                failures=self.failures,
                best=self.best,
                env_steps=self.env_steps,
                env_steps_total=self.env_steps_total,
                env_steps_per_second=speed,
                eta_seconds=left / speed if speed > 0 else None,
                note=note,
            )
        )
