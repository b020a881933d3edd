"""From nodes to values and back: the schema's field type decides what a scalar is, and a problem finds its way back to its line."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

from autorl.studies.positions import (
    MAX_DEPTH,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    ValueNode,
)
from autorl.studies.problems import Path, Position, Problem

_INT: Final = re.compile(r"[-+]?[0-9]+(_[0-9]+)*")
_FLOAT: Final = re.compile(r"[-+]?([0-9]+(_[0-9]+)*\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}
_LONGEST_NUMBER: Final = 400  # characters; Python refuses to read integers of thousands of digits


def resolve(text: str) -> Any:
    """Return what a plain scalar means where the schema leaves it open.

    Numbers are decimal (``012`` is 12, ``100_000`` and ``3e-4`` are numbers), only ``true`` and ``false`` are booleans, ``null``, ``~`` and
    nothing are None, and all else is text: ``on``, ``yes``, ``0x10`` and ``1:30`` are not numbers or booleans in disguise.
    """
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def plain(node: Node, annotation: Any = Any) -> Any:
    """Return the value of ``node``, its scalars read as ``annotation`` (a type of the schema) directs."""
    if isinstance(node, ValueNode):
        return node.value
    if isinstance(node, ScalarNode):
        if not node.plain:
            return node.text
        value = resolve(node.text)
        return node.text if value is not None and is_text(annotation) else value
    if isinstance(node, SequenceNode):
        return [plain(item, child_type(annotation, i)) for i, item in enumerate(node.items)]
    return {key: plain(item, child_type(annotation, key)) for key, item in node.entries.items()}


def from_python(value: Any, position: Position, problems: list[Problem], path: Path = ()) -> Node:
    """Return the node of a Python value; keys that are not text, and nesting too deep, are added to ``problems``."""
    nested = isinstance(value, Mapping | list | tuple)
    if nested and len(path) >= MAX_DEPTH:
        problems.append(Problem.at(position, path, f"nested too deep: {MAX_DEPTH} levels at most"))
        return ValueNode(position, None)
    if isinstance(value, Mapping):
        entries: dict[str, Node] = {}
        for key, item in value.items():
            if isinstance(key, str):
                entries[key] = from_python(item, position, problems, (*path, key))
            else:
                problems.append(Problem.at(position, path, f"expected names as keys, got {key!r:.60}", key))
        return MappingNode(position, entries, dict.fromkeys(entries, position))
    if isinstance(value, list | tuple):
        items = [from_python(item, position, problems, (*path, i)) for i, item in enumerate(value)]
        return SequenceNode(position, tuple(items))
    if isinstance(value, BaseModel):
        fields = {alias: getattr(value, name) for alias, (name, _) in model_fields(type(value)).items()}
        given = {
            alias: v for alias, v in fields.items() if model_fields(type(value))[alias][0] in value.model_fields_set
        }
        for alias, item in given.items():  # one environment is as good without the list around it, and reads better
            if isinstance(item, tuple) and len(item) == 1 and getattr(type(item[0]), "shorthand", None):
                given[alias] = item[0]
        return from_python(given, position, problems, path)
    return ValueNode(position, value)


def locate(root: Node, path: Path) -> tuple[Path, Position, Node | None]:
    """Return where ``path`` of the validated data stands in the source: the path as written there, its position, its node.

    A shorthand (``learner: ppo``, one environment without a list) has fewer levels than the data: those are skipped.
    A field that is not there has the position of the mapping that lacks it, and no node.
    """
    node: Node = root
    written: list[str | int] = []
    for depth, part in enumerate(path):
        if isinstance(node, MappingNode):
            if str(part) in node.entries:
                written.append(part)
                node = node.entries[str(part)]
            elif not isinstance(part, int):
                return (*written, *path[depth:]), node.position, None
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.items):
            written.append(part)
            node = node.items[part]
    return tuple(written), node.position, node


def key_position(root: Node, path: Path) -> Position:
    """Return the position of the key at the end of ``path`` (as written), rather than that of its value."""
    _, position, parent = locate(root, path[:-1])
    return parent.keys.get(str(path[-1]), position) if isinstance(parent, MappingNode) else position


# --- the schema's types -----------------------------------------------------------------------------------------------------------------


def arms(annotation: Any) -> tuple[Any, ...]:
    """Return the alternatives of a type, without None and without annotations."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return arms(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(arm for part in get_args(annotation) for arm in arms(part))
    return () if annotation is type(None) else (annotation,)


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a mapping at a field of type ``annotation`` is; a list of one model counts as that model."""
    for arm in arms(annotation):
        if isinstance(arm, type) and issubclass(arm, BaseModel):
            return arm
        if get_origin(arm) is tuple and get_args(arm)[-1] is Ellipsis:
            return model_of(get_args(arm)[0])
    return None


def model_fields(model: type[BaseModel]) -> dict[str, tuple[str, Any]]:
    """Return the fields of ``model`` under the names that users write, each with (attribute, field)."""
    return {field.alias or name: (name, field) for name, field in model.model_fields.items()}


def child_type(annotation: Any, key: str | int) -> Any:
    """Return the type of the item ``key`` of a value of type ``annotation``; Any where the schema leaves it open."""
    model = model_of(annotation)
    for arm in arms(annotation):
        arguments = get_args(arm)
        if get_origin(arm) is tuple and isinstance(key, int):
            return arguments[0] if arguments[-1] is Ellipsis else arguments[min(key, len(arguments) - 1)]
        if isinstance(get_origin(arm), type) and issubclass(typing.cast(type, get_origin(arm)), Mapping):
            return arguments[1]
    if model is not None and isinstance(key, str):
        return model_fields(model)[key][1].annotation if key in model_fields(model) else Any
    return Any


def is_text(annotation: Any) -> bool:
    """Return whether a scalar at a field of this type is text whatever it looks like (a shorthand counts as its field)."""
    model = model_of(annotation)
    return getattr(model, "shorthand", None) is not None or any(arm is str for arm in arms(annotation))


def type_at(annotation: Any, path: Path) -> Any:
    """Return the type at ``path`` below a value of type ``annotation``."""
    for part in path:
        annotation = child_type(annotation, part)
    return annotation
