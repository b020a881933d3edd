"""What is wrong with a specification: every problem at once, each with its place, field, value and remedy."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autorl.errors import UsageError

Path = tuple[str | int, ...]
"""Names of fields and positions in lists, from the root of a specification."""


@dataclass(frozen=True)
class Position:
    """A place in a source. ``line`` and ``column`` count from 1 and are None where the source has none (Python, an override)."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One problem, at one place. ``value`` is what stands there (text as written, where it could not be read)."""

    file: str
    line: int | None
    column: int | None
    field: str
    value: Any
    message: str

    def __str__(self) -> str:
        place = str(Position(self.file, self.line, self.column))
        return ": ".join(part for part in (place, self.field, self.message) if part)

    @classmethod
    def at(cls, position: Position, path: Path, message: str, value: Any = None) -> Problem:
        """Build a problem from a position and a path."""
        return cls(position.source, position.line, position.column, dotted(path), value, message)


class SpecificationError(UsageError):
    """A specification with problems: all of them in ``problems``, one line each in the message."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        distinct = {str(problem): problem for problem in problems}
        self.problems: tuple[Problem, ...] = tuple(sorted(distinct.values(), key=_order))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def _order(problem: Problem) -> tuple[bool, str, int, int]:
    """Order problems as one reads: files first (by line), then overrides and Python."""
    return problem.line is None, problem.file, problem.line or 0, problem.column or 0


def dotted(path: Path) -> str:
    """Return ``path`` as it is written in an override: ``environment.0.id``."""
    return ".".join(str(part) for part in path)


def shown(value: Any, depth: int = 2) -> str:
    """Return ``value`` for a message: as YAML has it (true, null, 'text'), on one short line, and never failing."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": ".inf", "-inf": "-.inf"}.get(str(value), ".nan")
    if isinstance(value, Mapping):
        inner = [f"{key}: {shown(item, depth - 1)}" for key, item in list(value.items())[:4]] if depth else ["..."]
        return "{" + ", ".join(inner + ["..."] * (len(value) > len(inner))) + "}"
    if isinstance(value, list | tuple):
        inner = [shown(item, depth - 1) for item in value[:4]] if depth else ["..."]
        return "[" + ", ".join(inner + ["..."] * (len(value) > len(inner))) + "]"
    try:
        text = repr(value)
    except Exception:  # an integer too long to print, or a value of somebody's own class
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}"
