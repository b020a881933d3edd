"""Live progress: one line that moves in a terminal, a plain line now and then where there is none."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from autorl.engine.progress import Event

REFRESHES = 4.0
"""Updates of the moving line each second, at most."""
PLAIN_SECONDS = 5.0
"""Least time between two plain lines."""


class Live:
    """A reporter for the engine (see `autorl.engine.progress.Event`). Use as a context manager; writes to standard error."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._phase = ""
        self._last = 0.0
        self._shown: Event | None = None
        self._live: Any = None

    def __enter__(self) -> Live:
        if self._terminal and not self._quiet:
            from rich.console import Console
            from rich.live import Live as RichLive

            self._live = RichLive(console=Console(stderr=True), refresh_per_second=REFRESHES, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_phase()
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Show ``event`` if it is time to."""
        if self._quiet:
            return
        if event.phase != self._phase:
            self._end_phase()
            self._phase = event.phase
        now = time.monotonic()
        due = now - self._last >= (1 / REFRESHES if self._terminal else PLAIN_SECONDS)
        self._shown = event
        if not due:
            return
        self._last = now
        self._write(event)

    def _write(self, event: Event) -> None:
        if self._live is not None:
            self._live.update(_panel(event), refresh=True)
        else:
            print(line(event), file=sys.stderr, flush=True)

    def _end_phase(self) -> None:
        """Leave the phase's last line standing."""
        if self._shown is None or self._quiet:
            return
        if self._live is not None:
            self._live.console.print(line(self._shown), highlight=False, soft_wrap=True)
            from rich.text import Text

            self._live.update(Text(""), refresh=True)
        else:
            print(line(self._shown), file=sys.stderr, flush=True)
        self._shown = None


def line(event: Event) -> str:
    """Return one plain line: phase, trials, best, speed, ETA, failures."""
    best = "-" if event.best is None else f"{event.best:.4g}"
    parts = [
        f"{event.phase}: {event.trials}/{event.trials_total} trials",
        f"best tuning score {best}" if event.phase != "test" else "",
        f"{event.env_steps:,} of {event.env_steps_total:,} env steps",
        f"{event.env_steps_per_second:,.0f}/s",
        f"{duration(event.eta_seconds)} left" if event.eta_seconds and event.trials < event.trials_total else "",
        f"{event.failures} failed" if event.failures else "",
        event.note,
    ]
    return " | ".join(part for part in parts if part)


def duration(seconds: float | None) -> str:
    """Return ``3 s``, ``4 min``, ``2 h 10 min``."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 / 60:.0f} min"


def _panel(event: Event) -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1), expand=False)
    table.add_row(
        ProgressBar(
            total=max(event.env_steps_total, 1), completed=min(event.env_steps, event.env_steps_total), width=24
        ),
        Text(line(event)),
    )
    return table
