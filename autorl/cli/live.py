"""Live progress: one line that moves in a terminal, a plain line now and then where there is none."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from autorl.engine.progress import Event

REFRESHES = 4.0
"""Updates of the moving line each second, at most."""
PLAIN_SECONDS = 5.0
"""Least time between two plain lines of one phase, its last one apart."""
BAR = 24
"""Width of the bar, where there is room for it."""
LEAST_BAR = 8
UNSEEN = ("test", "comparison")
"""Phases whose best score is not to be looked at before the end, or says nothing."""


class Live:
    """A reporter for the engine (see `autorl.engine.progress.Event`). Use as a context manager; writes to standard error.

    Nothing that happens to standard error (a closed pipe, a full disk) stops the study: from then on nothing is shown.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        self._phase = ""
        self._last = -PLAIN_SECONDS
        self._shown: Event | None = None
        self._written: Event | None = None
        self._live: Any = None

    def __enter__(self) -> Live:
        if self._terminal and not self._quiet:
            from rich.console import Console
            from rich.live import Live as RichLive

            console = Console(stderr=True)
            self._live = RichLive(console=console, refresh_per_second=REFRESHES, auto_refresh=False, transient=True)
            with self._patiently():
                self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_phase()
        if self._live is not None:
            with self._patiently():
                self._live.stop()

    def __call__(self, event: Event) -> None:
        """Show ``event`` if it is time to."""
        if self._quiet:
            return
        if event.phase != self._phase:
            self._end_phase()
            self._phase = event.phase
            self._last = -PLAIN_SECONDS
        now = time.monotonic()
        self._shown = event
        if now - self._last >= (1 / REFRESHES if self._terminal else PLAIN_SECONDS):
            self._last = now
            self._write(event)

    def _write(self, event: Event) -> None:
        with self._patiently():
            if self._live is not None:
                self._live.update(_moving(event, self._live.console.width), refresh=True)
            else:
                print(line(event), file=sys.stderr, flush=True)
            self._written = event

    def _end_phase(self) -> None:
        """Leave the phase's last line standing."""
        event, self._shown = self._shown, None
        if event is None or self._quiet:
            return
        with self._patiently():
            if self._live is not None:
                from rich.text import Text

                self._live.update(Text(""), refresh=True)
                self._live.console.print(Text(line(event)), soft_wrap=True)
            elif event is not self._written:
                print(line(event), file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def _patiently(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._quiet = True


def line(event: Event) -> str:
    """Return one plain line with everything: phase, trials, failures, best, env steps, speed, time left."""
    steps = f"{event.env_steps:,} of {event.env_steps_total:,} env steps"
    parts = [_head(event), _best(event), steps, _speed(f"{event.env_steps_per_second:,.0f}"), _left(event), event.note]
    return " | ".join(part for part in parts if part)


def short_line(event: Event, width: int) -> str:
    """Return what fits into ``width`` columns of `line`, the least needed left out first; trials and failures always stay."""
    parts = [_head(event), _best(event), _speed(_rounded(event.env_steps_per_second)), _left(event), event.note]
    for dropped in ([], [2], [2, 1], [1, 2, 3], [1, 2, 3, 4]):
        text = " | ".join(part for i, part in enumerate(parts) if part and i not in dropped)
        if len(text) <= width:
            break
    return text


def duration(seconds: float) -> str:
    """Return ``3 s``, ``4 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _head(event: Event) -> str:
    failed = f", {event.failures} failed" if event.failures else ""
    return f"{event.phase}: {event.trials}/{event.trials_total} trials{failed}"


def _best(event: Event) -> str:
    """The best score so far, which is only shown where it may be looked at: never of the test."""
    if event.best is None or event.phase in UNSEEN:
        return ""
    cut = event.reached is not None and event.reached < 1.0
    return f"best {event.best:.4g} at {event.reached:.0%} of the steps" if cut else f"best {event.best:.4g}"


def _speed(number: str) -> str:
    return "" if number == "0" else f"{number} env steps/s"


def _left(event: Event) -> str:
    over = event.trials >= event.trials_total and event.reached is None  # under a policy trials that have begun go on
    if event.eta_seconds is None or event.eta_seconds < 0.5 or over:
        return ""
    return f"{duration(event.eta_seconds)} left"


def _rounded(number: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{number:.0f}"


def _moving(event: Event, width: int) -> Any:
    """Return the moving line: a bar as wide as there is room for, then the words. Never more than one row."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    text = short_line(event, width)
    words = Text(text, no_wrap=True, overflow="ellipsis")
    room = min(BAR, width - len(text) - 1)
    if room < LEAST_BAR:
        return words
    total = max(event.env_steps_total, 1)
    done = total * _share([(event.env_steps, total), (event.trials, event.trials_total)])
    table = Table.grid(padding=(0, 1), expand=False)
    table.add_row(ProgressBar(total=total, completed=done, width=room), words)
    return table


def _share(counts: Sequence[tuple[int, int]]) -> float:
    """Return the largest part done: failed trainings stop early, so steps alone may never reach their total."""
    return min(1.0, max((done / total for done, total in counts if total), default=0.0))
