"""Finished repeats of a measurement, kept as they end: a long one goes on where it was stopped, and its figures can be made again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _repeats import keep

from autorl.errors import UsageError

Row = Mapping[str, tuple[float, float]]
"""Task to the score of a search there, and the trainings that it spent."""


@dataclass
class Rows:
    """The repeats of one measurement.

    Attributes:
        path: File of all measurements, one JSON object a line; None keeps them in memory alone.
        what: What tells this measurement from the others.
        found: Repeat to its row.
    """

    path: Path | None = None
    what: Mapping[str, Any] = field(default_factory=dict)
    found: dict[int, Row] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path | None, what: Mapping[str, Any]) -> Rows:
        """Return the repeats of the measurement ``what`` in the file at ``path``; a line cut short by a kill is passed over.

        Raises:
            UsageError: The file cannot be read.
        """
        made = cls(path, dict(what))
        if path is None or not path.exists():
            return made
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                data = json.loads(line)
                row = {task: (float(score), float(spent)) for task, (score, spent) in data["row"].items()}
                repeat, own = data["repeat"], {key: data[key] for key in what}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                if line.endswith("}}"):
                    raise UsageError(
                        f"--record {path}: line {number} is no row of this benchmark: {error!r}"
                    ) from error
                continue
            if own == made.what:
                made.found[repeat] = row
        return made

    def has(self, repeat: int, tasks: Iterable[str]) -> bool:
        """Return whether all ``tasks`` of a repeat are kept."""
        return repeat in self.found and set(tasks) <= set(self.found[repeat])

    def keep(self, repeat: int, row: Row) -> None:
        """Keep the row of a repeat, rounded as the file holds it: a figure is the same whether it was read or has just been found."""
        rounded = {task: (round(score, 6), round(spent, 3)) for task, (score, spent) in row.items()}
        self.found[repeat] = rounded
        if self.path is not None:
            keep(self.path, {**self.what, "repeat": repeat, "row": rounded})
