"""States as named arrays and back: nested frozen dataclasses of arrays and numbers, and tuples of such dataclasses."""

from __future__ import annotations

import typing
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from autorl.errors import UsageError

T = TypeVar("T")
Arrays = dict[str, NDArray[Any]]


def pack(state: Any, prefix: str = "") -> Arrays:
    """Return every leaf of ``state`` as an array, named by its path (``regions/3/low``); tuples add their length."""
    arrays: Arrays = {}
    for field in fields(state):
        path, value = prefix + field.name, getattr(state, field.name)
        if is_dataclass(value):
            arrays |= pack(value, path + "/")
        elif isinstance(value, tuple):
            arrays[path] = np.asarray(len(value))
            for i, part in enumerate(value):
                arrays |= pack(part, f"{path}/{i}/")
        else:
            arrays[path] = np.asarray(value)
    return arrays


def unpack(kind: type[T], arrays: Arrays, prefix: str = "") -> T:
    """Return the ``kind`` that `pack` turned into ``arrays``.

    Raises:
        UsageError: An array that is missing or of a shape that ``kind`` cannot have.
    """
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # states are dataclasses
        path, hint = prefix + field.name, hints[field.name]
        if is_dataclass(hint):
            values[field.name] = unpack(typing.cast(type[Any], hint), arrays, path + "/")
            continue
        if path not in arrays:
            raise UsageError(f"arrays of a {kind.__name__}: {path!r} is missing.")
        value: Any = arrays[path]
        if hint in (int, float) or typing.get_origin(hint) is tuple:
            if value.shape != ():
                raise UsageError(
                    f"arrays of a {kind.__name__}: {path!r}: expected one number, got shape {value.shape}."
                )
            number = value.item()
            part = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None
            value = hint(number) if part is None else tuple(unpack(part, arrays, f"{path}/{i}/") for i in range(number))
        values[field.name] = value
    return kind(**values)
