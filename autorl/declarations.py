"""How hyperparameters are declared: each once, with its default, its range, and whether it is data or structure of the program.

Hyperparameters are one frozen dataclass, registered as a pytree: traced fields are its leaves, static fields its structure, so that
the structure *is* the static signature by which the engine groups trials, and jit keys its programs. Learners and teachers share the form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, dataclass_transform

import numpy as np

from autorl.errors import UsageError, suggestion

H = TypeVar("H")


def traced(
    default: Any, help: str, *, low: float | None = None, high: float | None = None, shape: tuple[str, ...] = ()
) -> Any:
    """Declare a hyperparameter that is data of the program: changing it compiles nothing.

    Args:
        default: A bool, int or float: it decides the type.
        help: One sentence.
        low: Least value, inclusive.
        high: Greatest value, inclusive.
        shape: Names of the sizes of an array's axes: static hyperparameters, or sizes given to `make_hyperparameters`. One number
            stands for all entries. A scalar by default.
    """
    return dataclasses.field(
        default=default, metadata={"traced": True, "help": help, "low": low, "high": high, "shape": shape}
    )


def static(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """Declare a hyperparameter that shapes the program: each value compiles its own."""
    return dataclasses.field(
        default=default,
        metadata={"traced": False, "help": help, "low": low, "high": high, "choices": choices},
    )


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(traced, static))
def hyperparameters(cls: type[H]) -> type[H]:
    """Class decorator: frozen dataclass, registered as a pytree.

    Traced fields are leaves, static fields structure, and a field whose metadata has a ``parse`` (a function that makes its value of
    what was given, or raises `UsageError`) is a subtree.
    """
    import jax  # declarations are read where no program is made, too

    made: type[H] = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    fields = dataclasses.fields(made)  # type: ignore[arg-type]
    names = {f.name: bool(f.metadata["traced"] or "parse" in f.metadata) for f in fields}
    jax.tree_util.register_dataclass(
        made,
        data_fields=[n for n, is_data in names.items() if is_data],
        meta_fields=[n for n, is_data in names.items() if not is_data],
    )
    return made


def is_traced(cls: type, name: str) -> bool:
    """Return whether hyperparameter ``name`` of ``cls`` is traced: no value of it compiles a program of its own."""
    return bool(cls.__dataclass_fields__[name].metadata["traced"])  # type: ignore[attr-defined]


def static_values(hp: Any) -> dict[str, Any]:
    """Return the static hyperparameters of ``hp``, plain values by name: what its program was compiled for.

    The structure of a subtree (an objective) is static too; of it this says only its kind, and nothing where there is none.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(hp):
        value = getattr(hp, field.name)
        if "parse" not in field.metadata:
            found |= {} if field.metadata["traced"] else {field.name: value}
        elif value is not None:
            found[field.name] = type(value).__name__
    return found


def problems(cls: type, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, message) for every unknown name, wrong type and value out of range in ``values``."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if name not in fields:
            found.append((name, f"unknown hyperparameter {name!r}.{suggestion(name, fields)}"))
            continue
        if "parse" in fields[name].metadata:
            try:
                fields[name].metadata["parse"](value)
            except UsageError as error:
                found.append((name, f"{name}: {error}"))
            continue
        entries = _entries(value) if fields[name].metadata.get("shape") else [value]
        message = next((message for entry in entries if (message := _value_problem(fields[name], entry))), None)
        if message:
            found.append((name, f"{name}: {message}, got {value!r}"))
    return found


def _entries(value: Any) -> list[Any]:
    """Return the numbers of an array, of nested lists or tuples; what is none of these is its own entry."""
    if isinstance(value, np.ndarray):
        return list(value.reshape(-1))
    if isinstance(value, list | tuple):
        return [entry for part in value for entry in _entries(part)]
    return [value]


def _value_problem(field: dataclasses.Field[Any], value: Any) -> str | None:
    default, meta = field.default, field.metadata
    choices = meta.get("choices")
    if choices is not None:
        return None if value in choices else f"expected one of {', '.join(map(repr, choices))}"
    if isinstance(default, bool):
        return None if isinstance(value, bool | np.bool_) else "expected true or false"
    if isinstance(default, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            return "expected a number"
        low, high = meta["low"], meta["high"]
        if not np.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            return f"expected a value in [{'-inf' if low is None else low}, {'inf' if high is None else high}]"
        if isinstance(default, int) and float(value) != int(value):
            return "expected a whole number"
    return None


def make_hyperparameters(cls: type[H], values: Mapping[str, Any], sizes: Mapping[str, int] | None = None) -> H:
    """Build ``cls`` from plain values (missing ones take the default); leaves become float32 / int32 / bool arrays.

    Args:
        cls: A class made by `hyperparameters`.
        values: By name.
        sizes: Lengths of array axes that no static hyperparameter names.

    Raises:
        UsageError: Listing every unknown name, every value out of range and every array of a wrong shape.
    """
    wrong = problems(cls, values)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    parsed = {field.name for field in fields if "parse" in field.metadata}
    if any(name not in parsed for name, _ in wrong):
        raise UsageError("; ".join(message for _, message in wrong))
    arguments: dict[str, Any] = {}
    for field in fields:
        value = values.get(field.name, field.default)
        if "parse" in field.metadata:
            arguments[field.name] = field.metadata["parse"](value)
        elif not field.metadata["traced"]:
            kind: type[Any] = type(field.default)
            arguments[field.name] = kind(value)
    known = {**arguments, **(sizes or {})}
    for field in fields:
        if field.metadata["traced"]:
            shape = tuple(known[name] for name in field.metadata.get("shape", ()))
            arguments[field.name] = _array(field, values.get(field.name, field.default), shape)
    return cls(**arguments)


def _array(field: dataclasses.Field[Any], value: Any, shape: tuple[int, ...]) -> Any:
    kind = np.bool_ if isinstance(field.default, bool) else np.int32 if isinstance(field.default, int) else np.float32
    try:
        return np.broadcast_to(np.asarray(value, kind), shape).copy() if shape else np.asarray(value, kind)
    except ValueError as error:
        raise UsageError(f"{field.name}: expected one number or shape {list(shape)}, got {value!r}") from error
