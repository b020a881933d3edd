"""Where trainings in flight are kept between segments. Here: nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from autorl.engine.lanes import Outcome


class Held(NamedTuple):
    """A training in flight: how many of its segments are behind it, what they came to, and its state on the host, without a lane axis."""

    segments: int
    outcome: Outcome
    state: Any


class Saver:
    """Where trainings in flight are kept between segments. This one keeps nothing."""

    def load(self, like: Any) -> Mapping[int, Held]:
        """Return what was saved of the same trainings, by their place among the jobs; ``like`` has the form of one state."""
        return {}

    def save(self, held: Callable[[], Mapping[int, Held]], *, force: bool = False) -> None:
        """Keep this moment if enough time has passed since the last, or if ``force``."""
