"""ConfigSpace's JSON (Lindauer et al., 2019) as a space of ours: formats 0.1 to 0.4, as versions 0.4 to 1.2 write them.

The file is read as plain data; ConfigSpace itself is not needed. What a space of ours cannot be (forbidden combinations, priors that are
not uniform, conditions on several parents) is one error that lists it all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from autorl.errors import UsageError
from autorl.interop.imports.configspace_conditions import condition_values, single_parent
from autorl.interop.imports.imported import Imported, choices, numeric
from autorl.spaces.dimensions import is_number

_LARGEST_FILE: Final = 4_000_000
_UNIFORM: Final = {"uniform_float": "float", "uniform_int": "int"}


def read(path: Path, prefix: str = "") -> Imported:
    """Return the space in the file ``path``; see `convert`.

    Raises:
        UsageError: No such file, larger than 4 MB, or no JSON; and as `convert`.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UsageError(f"{path.name}: larger than {_LARGEST_FILE} bytes, this is no search space")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}. Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path.name}: no JSON: {error}. Remedy: write it with ConfigurationSpace.to_json") from error
    return convert(data, path.name, prefix)


def convert(data: Any, where: str, prefix: str = "") -> Imported:
    """Return the space that ``data`` (the JSON's content) describes.

    Args:
        data: Content of the file.
        where: What errors call it.
        prefix: Taken off the front of names that have it (``hp_config.``).

    Raises:
        UsageError: Listing everything that is malformed or cannot be represented.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("hyperparameters"), list):
        raise UsageError(
            f"{where}: no search space of ConfigSpace: expected a mapping with a list 'hyperparameters'. "
            "Remedy: write it with ConfigurationSpace.to_json"
        )
    wrong = [
        f"{key}: expected a list, got {data[key]!r}"
        for key in ("conditions", "forbiddens")
        if data.get(key) is not None and not isinstance(data[key], list)
    ]
    if wrong:
        raise UsageError("; ".join(f"{where}: {problem}" for problem in wrong))
    dimensions: dict[str, dict[str, Any]] = {}
    sequences: dict[str, Sequence[Any]] = {}
    defaults: dict[str, Any] = {}
    for entry in data["hyperparameters"]:
        name = str(entry.get("name")) if isinstance(entry, Mapping) else None
        try:
            if not isinstance(entry, Mapping) or name is None:
                raise UsageError(f"expected a mapping with a name, got {entry!r}")
            short = name.removeprefix(prefix)
            if short in dimensions:
                raise UsageError("there is another one of this name")
            dimensions[short] = _dimension(entry)
            sequences[short] = entry["sequence"] if entry.get("type") == "ordinal" else ()
            default = entry.get("default_value", entry.get("default"))
            defaults |= {} if default is None else {short: default}
        except UsageError as error:
            wrong.append(f"hyperparameter {name!r}: {error}")
    wrong += _add_conditions(data.get("conditions") or (), dimensions, sequences, prefix)
    wrong += [f"forbidden combination {_shown(f)}: no counterpart; leave it out" for f in data.get("forbiddens") or ()]
    wrong += [
        f"hyperparameter {name!r}: names are letters, digits and underscores here; rename it, or take a prefix off (--drop-prefix)"
        for name in dimensions
        if not name.isidentifier()
    ]
    if wrong:
        raise UsageError("; ".join(f"{where}: {problem}" for problem in wrong))
    listed = ", ".join(f"{name} {json.dumps(value)}" for name, value in defaults.items())
    return Imported(
        dimensions, (f"Defaults there, which have no place in a space of ours: {listed}",) if listed else ()
    )


def _dimension(entry: Mapping[str, Any]) -> dict[str, Any]:
    kind = entry.get("type")
    if kind in _UNIFORM:
        low, high = (_number(entry, key) for key in ("lower", "upper"))
        return numeric(_UNIFORM[str(kind)], low, high, bool(entry.get("log")), entry.get("q"))
    if kind in ("constant", "unparametrized"):
        return {"type": "fixed", "value": entry.get("value")}
    if kind == "categorical":
        weights = entry.get("weights") or entry.get("probabilities")
        if weights and not (isinstance(weights, list) and all(map(is_number, weights))):
            raise UsageError(f"weights must be a list of numbers, got {weights!r}")
        if weights and len(set(weights)) > 1:
            raise UsageError(f"choices of unequal weights ({weights}) have no counterpart; leave the weights out")
        return choices(_listed(entry, "choices"))
    if kind == "ordinal":
        return choices(_ordered(_listed(entry, "sequence")))
    known = "uniform_float, uniform_int, categorical, ordinal, constant"
    raise UsageError(f"type {kind!r} has no counterpart; there is one of {known}")


def _number(entry: Mapping[str, Any], key: str) -> Any:
    value = entry.get(key)
    if not is_number(value):
        raise UsageError(f"{key} must be a number, got {value!r}")
    return value


def _listed(entry: Mapping[str, Any], key: str) -> list[Any]:
    listed = entry.get(key)
    if not isinstance(listed, list) or not listed:
        raise UsageError(f"{key} must be a list, got {listed!r}")
    return listed


def _ordered(sequence: list[Any]) -> list[Any]:
    """Return the sequence so that its order counts here: numbers that increase."""
    if len(sequence) > 1 and not all(map(is_number, sequence)):
        raise UsageError(f"an order of {sequence!r} has no counterpart: only numbers are ordered. Make it categorical")
    if sequence in (sorted(sequence), sorted(sequence, reverse=True)):
        return sorted(sequence)
    raise UsageError(f"the order {sequence!r} is not that of its numbers. Make it categorical, or sort it")


def _add_conditions(
    listed: Sequence[Any],
    dimensions: dict[str, dict[str, Any]],
    sequences: Mapping[str, Sequence[Any]],
    prefix: str,
) -> list[str]:
    """Put each child's condition into its dimension as ``when``; return what cannot be."""
    wrong: list[str] = []
    several: list[tuple[str, dict[str, list[Any]], Any]] = []
    for condition in listed:
        child = str(condition.get("child") if isinstance(condition, Mapping) else None).removeprefix(prefix)
        try:
            if child not in dimensions:
                raise UsageError(f"there is no hyperparameter {child!r}")
            if "when" in dimensions[child] or any(child == other for other, *_ in several):
                raise UsageError("a second condition of the same hyperparameter; join them (AND)")
            found = condition_values(condition, dimensions, sequences, prefix)
            if len(found) == 1:
                dimensions[child]["when"] = found
            else:
                several.append((child, found, condition))
        except UsageError as error:
            wrong.append(f"condition {_shown(condition)}: {error}")
    for child, found, condition in several:  # last: which parents imply which, the others say
        try:
            dimensions[child]["when"] = single_parent(found, dimensions)
        except UsageError as error:
            wrong.append(f"condition {_shown(condition)}: {error}")
    return wrong


def _shown(data: Any) -> str:
    """Return JSON in one line, cut where it gets long."""
    text = json.dumps(data, separators=(",", ":"))
    return text if len(text) <= 120 else f"{text[:117]}..."
