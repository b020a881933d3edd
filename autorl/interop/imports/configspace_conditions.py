"""ConfigSpace's conditions as ours: one parent and a list of its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from autorl.errors import UsageError
from autorl.interop.imports.imported import MOST_STEPS
from autorl.spaces.dimensions import is_number, same

Dimensions = Mapping[str, Mapping[str, Any]]
_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {"LT": lambda a, b: a < b, "GT": lambda a, b: a > b}


def condition_values(
    condition: Mapping[str, Any], dimensions: Dimensions, sequences: Mapping[str, Sequence[Any]], prefix: str
) -> dict[str, list[Any]]:
    """Return the parents of a condition, each with the values that it must have: all of them together.

    Args:
        condition: ``{type, child, parent, value | values}``, or ``{type, child, conditions}`` of AND and OR.
        dimensions: As our files write them.
        sequences: Of ordinal hyperparameters, in their own order.
        prefix: Taken off the front of names.

    Raises:
        UsageError: An alternative between parents, or a parent whose values cannot be listed.
    """
    if not isinstance(condition, Mapping):
        raise UsageError(f"a condition is a mapping with a type, got {condition!r}")
    kind = condition.get("type")
    if kind in ("AND", "OR"):
        joined = condition.get("conditions")
        if not isinstance(joined, list) or not joined:
            raise UsageError(f"conditions must be a list of what it joins, got {joined!r}")
        parts = [condition_values(part, dimensions, sequences, prefix) for part in joined]
        return _both(parts) if kind == "AND" else _either(parts)
    parent = str(condition.get("parent")).removeprefix(prefix)
    if parent not in dimensions:
        raise UsageError(f"there is no hyperparameter {parent!r}")
    if kind in ("EQ", "IN"):
        wanted = [condition.get("value")] if kind == "EQ" else condition.get("values")
        if not isinstance(wanted, list) or not wanted:
            raise UsageError(f"values must be a list, got {wanted!r}")
        if dimensions[parent]["type"] == "float":
            raise UsageError(f"{parent!r} is real: only choices and whole numbers can be conditions")
        return {parent: wanted}
    value, possible = condition.get("value"), _possible(parent, dimensions[parent])
    if kind == "NEQ":
        kept = [v for v in possible if not same(v, value)]
    elif kind in _COMPARED:
        if not sequences.get(parent) and not all(map(is_number, [value, *possible])):
            raise UsageError(f"{kind} compares numbers, got {value!r} for {parent!r}, which is one of {possible}")
        order = list(sequences.get(parent) or sorted(possible))
        if value not in order and sequences.get(parent):
            raise UsageError(f"{value!r} is no value of {parent!r}")
        place = order.index if sequences.get(parent) else (lambda v: v)
        kept = [v for v in order if _COMPARED[str(kind)](place(v), place(value))]
    else:
        raise UsageError(f"type {kind!r} has no counterpart; there is one of EQ, NEQ, IN, LT, GT, AND, OR")
    if not kept:
        raise UsageError(f"no value of {parent!r} meets it")
    return {parent: kept}


def single_parent(found: Mapping[str, Sequence[Any]], dimensions: Dimensions) -> dict[str, list[Any]]:
    """Return the one parent whose own conditions imply those on the others.

    Raises:
        UsageError: There is none: a dimension of ours has one parent.
    """
    for parent, values in found.items():
        rest = {other: wanted for other, wanted in found.items() if other != parent}
        above: Any = dimensions[parent].get("when")
        seen = {parent}
        while rest and above:
            ((name, given),) = above.items()
            if name in rest and all(_among(value, rest[name]) for value in given):
                del rest[name]
            above = None if name in seen else dimensions[name].get("when")
            seen.add(name)
        if not rest:
            return {parent: list(values)}
    names = " and ".join(map(repr, found))
    raise UsageError(
        f"it has the parents {names}, and a dimension here has one. Remedy: keep one, whose own condition is on the other"
    )


def _possible(parent: str, dimension: Mapping[str, Any]) -> list[Any]:
    """Return every value of a dimension."""
    kind = dimension["type"]
    if kind == "bool":
        return [False, True]
    if kind == "categorical":
        return list(dimension["choices"])
    if kind == "fixed":
        return [dimension["value"]]
    if kind == "int" and dimension["high"] - dimension["low"] < MOST_STEPS:
        return list(range(int(dimension["low"]), int(dimension["high"]) + 1))
    raise UsageError(
        f"the values of {parent!r} cannot be listed: it is real, or has more than {MOST_STEPS} whole numbers"
    )


def _both(parts: Sequence[Mapping[str, list[Any]]]) -> dict[str, list[Any]]:
    joined: dict[str, list[Any]] = {}
    for part in parts:
        for parent, values in part.items():
            joined[parent] = [v for v in joined[parent] if _among(v, values)] if parent in joined else list(values)
            if not joined[parent]:
                raise UsageError(f"no value of {parent!r} meets all of it")
    return joined


def _either(parts: Sequence[Mapping[str, list[Any]]]) -> dict[str, list[Any]]:
    parents = {parent for part in parts for parent in part}
    if len(parents) != 1:
        raise UsageError(
            f"an alternative between {', '.join(map(repr, sorted(parents)))} has no counterpart; a dimension has one parent"
        )
    (parent,) = parents
    found: list[Any] = []
    for part in parts:
        found += [v for v in part[parent] if not _among(v, found)]
    return {parent: found}


def _among(value: Any, values: Sequence[Any]) -> bool:
    return any(same(value, v) for v in values)
