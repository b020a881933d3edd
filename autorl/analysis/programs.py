"""How many programs a study compiled, and why there was not one: what differs among them is static, and each value costs one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autorl.analysis.scores import plural, seconds
from autorl.studies.trial import Json

_MOST_VALUES = 8
"""More values of one hyperparameter are counted, not listed."""


def programs_sentence(compiled: Sequence[Json], environments: Sequence[str]) -> str:
    """Return how many programs were compiled and what they differ in; nothing if none is known.

    Args:
        compiled: One entry for each program and session, as `autorl.engine.trainer.Trainer.compiled_programs` makes them.
        environments: Names of the study's environments, in order.
    """
    distinct = {_key(entry): entry for entry in compiled}
    if not distinct:
        return ""
    spent = sum(entry["seconds"] for entry in compiled)
    again = len(compiled) - len(distinct)
    resumed = f" ({plural(again, 'time')} again after a resume)" if again else ""
    head = f"{plural(len(distinct), 'compiled program')}{resumed}, {seconds(spent)} of compiling"
    reasons = _reasons(list(distinct.values()), environments)
    if not reasons:
        return f"{head}: everything that was searched is data of it."
    return f"{head}. They differ in {'; '.join(reasons)}. Each value compiles its own; all else is data."


def _key(entry: Json) -> tuple[Any, ...]:
    static = tuple(sorted((name, repr(value)) for name, value in entry["static"].items()))
    return entry["environment"], static, entry["form"], entry["lanes"]


def _reasons(entries: Sequence[Json], environments: Sequence[str]) -> list[str]:
    """Return what differs among ``entries``, each with its values."""
    acted = {entry["environment"] for entry in entries}
    found = [f"environment ({', '.join(environments[i] for i in sorted(acted))})"] if len(acted) > 1 else []
    for name in dict.fromkeys(name for entry in entries for name in entry["static"]):
        values = _distinct([entry["static"].get(name) for entry in entries])
        if len(values) > 1:
            shown = ", ".join(map(str, values)) if len(values) <= _MOST_VALUES else f"{len(values)} values"
            found.append(f"{name} ({shown})")
    forms = {entry["form"] for entry in entries}
    if len(forms) > 1:
        found.append(f"the form of the objective ({len(forms)} forms)")
    lanes = sorted({entry["lanes"] for entry in entries})
    if len(lanes) > 1:
        found.append(f"how many trainings run side by side ({', '.join(map(str, lanes))})")
    return found


def _distinct(values: Sequence[Any]) -> list[Any]:
    """Return each of ``values`` once, numbers in increasing order."""
    once = list({repr(value): value for value in values}.values())
    return sorted(once) if all(isinstance(value, int | float) for value in once) else once
