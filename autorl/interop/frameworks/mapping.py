"""Tables from our hyperparameters to another library's arguments, and what the two do not share, in words.

A table is data: every hyperparameter of a learner stands in one of its rows, so that nothing is lost without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from autorl.errors import UsageError
from autorl.interop.frameworks.configuration import Configuration
from autorl.spaces.plain_values import NOBODY

ABSENT: Final = object()
"""In place of a value: the argument is left at a default that means the same, or there is none."""


@dataclass(frozen=True)
class Row:
    """What one or several of our hyperparameters are there.

    Attributes:
        ours: Our names.
        theirs: Their argument, dots for nested ones; empty if there is none.
        value: Of their argument; by default that of the first of ours. `ABSENT` leaves the argument out.
        remark: What the argument does not express, in words; empty if nothing.
    """

    ours: tuple[str, ...]
    theirs: str = ""
    value: Callable[[Configuration], Any] | None = None
    remark: Callable[[Configuration], str] = field(default=lambda _: "")


@dataclass(frozen=True)
class Algorithm:
    """One of our learners in another library.

    Attributes:
        name: What it is called there.
        rows: The table.
        differences: What always differs, in words.
    """

    name: str
    rows: tuple[Row, ...]
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Translation:
    """Arguments in their words, nested as theirs are, and remarks on what these do not say."""

    name: str
    arguments: Mapping[str, Any]
    remarks: tuple[str, ...]


def translate(tables: Mapping[str, Algorithm], configuration: Configuration, library: str) -> Translation:
    """Return ``configuration`` in the words of ``library``.

    Raises:
        UsageError: There is no table for its learner.
    """
    if configuration.algorithm not in tables:
        raise UsageError(
            f"--to: {library} has no counterpart of learner {configuration.algorithm!r}, or AutoRL no table of it; "
            f"there is one for {', '.join(map(repr, tables))}"
        )
    algorithm = tables[configuration.algorithm]
    arguments: dict[str, Any] = {}
    for row in algorithm.rows:
        if not row.theirs:
            continue
        value = configuration.values[row.ours[0]] if row.value is None else row.value(configuration)
        if value is not ABSENT:
            _put(arguments, row.theirs.split("."), value)
    said = (row.remark(configuration) for row in algorithm.rows)
    remarks = [*(text for text in said if text), *algorithm.differences, *task_remarks(configuration)]
    return Translation(algorithm.name, arguments, tuple(remarks))


def task_remarks(configuration: Configuration) -> list[str]:
    """Return what is to be said of a task that is not the environment's own."""
    if not configuration.task:
        return []
    changed = ", ".join(f"{name} {value}" for name, value in configuration.task.items())
    return [f"task: trained here with {changed}; make the environment so there"]


def whole_iterations(configuration: Configuration, size: int) -> int:
    """Return the env steps that AutoRL trains: whole iterations of ``size`` steps. Libraries that go on beyond do the same then."""
    return configuration.env_steps // size * size


def comments(translation: Translation, lines: Sequence[str]) -> str:
    """Return ``lines`` and the remarks as comments of Python, YAML and the shell."""
    text = [*lines, *(["What the arguments do not say ('here' is AutoRL):"] if translation.remarks else [])]
    return "".join(f"# {line}\n" for line in [*text, *(f"- {remark}" for remark in translation.remarks)])


def unless(name: str, expected: Any, text: str) -> Callable[[Configuration], str]:
    """Return a remark that is made unless our ``name`` has the value that the other library has built in."""

    def remark(configuration: Configuration) -> str:
        value = configuration.values[name]
        return "" if value == expected else f"{name} {value}: {text}"

    return remark


def objective_row(library: str) -> Row:
    """Return the row of the learned objective, which no other library minimises."""

    def remark(configuration: Configuration) -> str:
        chosen = configuration.values["objective"]
        if chosen is None:
            return ""
        name = repr(chosen) if isinstance(chosen, str) else "a loss graph"
        return (
            f"objective {name}: {library} minimises its own loss. NOT the same training; see: autorl objective export"
        )

    return Row(("objective",), remark=remark)


def teacher_row(library: str) -> Row:
    """Return the row of the teacher, which no other library has."""

    def remark(configuration: Configuration) -> str:
        chosen = configuration.values["teacher"]
        if chosen is None:
            return ""
        return f"teacher {chosen['name']!r}: {library} trains on one task. NOT the same training; see: autorl curriculum show"

    return Row(("teacher",), remark=remark)


def guide_row(library: str) -> Row:
    """Return the row of the policy that is imitated, which no other library does."""

    def remark(configuration: Configuration) -> str:
        chosen = configuration.values["distill_from"]
        if chosen in (None, NOBODY):
            return ""
        return f"distill_from {str(chosen).partition('#')[0]!r}: {library} imitates nobody. NOT the same training"

    return Row(("distill_from", "distill_coef", "distill_share"), remark=remark)


def covered(rows: Iterable[Row]) -> list[str]:
    """Return every hyperparameter that ``rows`` speak of."""
    return [name for row in rows for name in row.ours]


def _put(arguments: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        arguments = arguments.setdefault(name, {})
    arguments[path[-1]] = value
