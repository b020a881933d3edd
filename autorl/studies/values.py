"""The types of values in a specification, and of lists of them: what each accepts, and what it says when it does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_PLAIN_DEPTH: Final = 20


def complaint(message: str) -> PydanticCustomError:
    """Return the error of a validator; ``message`` starts with what was expected (and the value is added to it)."""
    return PydanticCustomError("autorl", "{message}", {"message": message})


def as_interval(value: Any) -> Any:
    """Accept a list of two numbers in increasing order."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise complaint("expected two numbers [low, high]")
    return tuple(value)


def as_several(value: Any) -> Any:
    """Accept one environment without a list around it."""
    if value is None:
        raise complaint("expected an environment, such as gymnax:CartPole-v1")
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def as_entries(value: Any) -> Any:
    """Accept a list where the model has a tuple."""
    return tuple(value) if isinstance(value, list) else value


def as_names(value: Any) -> Any:
    """Accept one, by its name or written out, without a list around it."""
    return (value,) if isinstance(value, str | Mapping) else as_entries(value)


def _unwrapped(value: Any) -> Any:
    """Return a numpy scalar as the Python number that it holds; anything else as it is."""
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def _whole(value: Any) -> Any:
    """Turn 1e5 and 5.0 into whole numbers; all else is left to pydantic's strict ``int``."""
    value = _unwrapped(value)
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value


def _number(value: Any) -> Any:
    """Turn whole numbers into floats; all else is left to pydantic's strict ``float``."""
    value = _unwrapped(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > 10**300:
            raise complaint("expected a finite number")
        return float(value)
    return value


def _scalar(value: Any) -> Any:
    value = _unwrapped(value)
    if not isinstance(value, bool | int | float | str):
        raise complaint("expected a number, a text, true or false")
    return _finite(value)


def _task_value(value: Any) -> Any:
    value = _unwrapped(value)
    if not isinstance(value, bool | int | float):
        raise complaint("expected a number, true or false")
    return _finite(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise complaint("expected a finite number")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise complaint("expected a number below 2**63")
    return value


def _plain(value: Any, depth: int = 0) -> Any:
    """Copy nested plain data; refuse anything that JSON could not hold exactly."""
    if depth > MAX_PLAIN_DEPTH:
        raise complaint(f"expected {MAX_PLAIN_DEPTH} levels at most")
    if value is None:
        return None
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise complaint("expected names as keys")
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return _scalar(value)


def _name_or_mapping(expected: str) -> Callable[[Any], Any]:
    """Return the check of what may be named or written out."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value:
            return value
        if isinstance(value, Mapping) and value:
            return _plain(value)
        raise complaint(f"expected {expected}")

    return check


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number; 1e5 is one, true and '5' are not."""
Number = Annotated[float, BeforeValidator(_number)]
"""A number; true and '5' are not."""
Scalar = Annotated[Any, PlainValidator(_scalar), WithJsonSchema({"type": ["number", "string", "boolean"]})]
"""One value of a hyperparameter."""
TaskValue = Annotated[Any, PlainValidator(_task_value), WithJsonSchema({"type": ["number", "boolean"]})]
"""One parameter of a task."""
Plain = Annotated[Any, PlainValidator(_plain), WithJsonSchema({})]
"""Plain data: numbers, texts, booleans, null, lists and mappings of them."""
SpaceReference = Annotated[
    str | dict[str, Any],
    PlainValidator(_name_or_mapping("the name of a space, the path of its file, or a mapping with 'dimensions'")),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]}),
]
"""A space: its name in the catalogue, the path of its file, or the space itself."""
StartReference = Annotated[
    str | dict[str, Any],
    PlainValidator(_name_or_mapping("default, or a mapping of hyperparameters")),
    WithJsonSchema({"anyOf": [{"enum": ["default"]}, {"type": "object"}]}),
]
"""A configuration to begin with."""
PriorReference = Annotated[
    str | dict[str, Any],
    PlainValidator(_name_or_mapping("auto, none, or the path of a file that `autorl prior fit` wrote")),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]}),
]
"""A prior: auto, none, the path of its file, or the prior itself."""
TaskReference = Annotated[
    str | dict[str, Any],
    PlainValidator(_name_or_mapping("the name of a level, or a mapping of task parameters")),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]}),
]
"""A task: its name, or its parameters."""
ObjectiveReference = Annotated[
    str | dict[str, Any],
    PlainValidator(_name_or_mapping("the name of a learned objective, or a loss graph {language, family, nodes}")),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]}),
]
"""A learned objective: its name in the catalogue, or a loss graph itself."""
