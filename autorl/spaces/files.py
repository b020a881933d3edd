"""Search spaces as data: one YAML file, or the same mapping written inside an experiment."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from autorl.errors import UsageError, suggestion
from autorl.registry import Registry
from autorl.spaces.arrays import ArraySpace
from autorl.spaces.dimensions import KINDS, Dimension
from autorl.spaces.hyperparameters import Condition, HyperparameterSpace
from autorl.spaces.plain_values import TEACHER
from autorl.spaces.product import ProductSpace
from autorl.spaces.protocol import Space


class Form(Protocol):
    """A way to write a space that another package knows."""

    def resolve(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the same with everything written out that it refers to by name."""

    def parse(self, data: Mapping[str, Any], name: str) -> Any:
        """Return the space; raise `UsageError` that lists everything wrong with it."""


OTHER_FORMS: Registry[Form] = Registry(
    "form of a search space",
    {
        "graphs": "autorl.objectives.graphs.space_files:GRAPHS",
        "constants": "autorl.objectives.graphs.space_files:CONSTANTS",
        "scores": "autorl.objectives.graphs.score_space:SCORES",
        "programs": "autorl.objectives.graphs.program_space:PROGRAMS",
    },
)
"""Forms by the field that tells them: ``{name, source, graphs: {...}}``, ``{name, source, constants: {...}}``."""

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\Z")
_PARAMETER = re.compile(TEACHER + r"\.[a-z_]\w*\.[a-z_]\w*(\.\d+)*", re.ASCII)
_LARGEST_FILE = 1_000_000
_DEEPEST = 8


def load_space(reference: str | Mapping[str, Any]) -> Space:
    """Return the space of that name in the catalogue, in the ``.yaml`` file of that path, or written inline.

    Args:
        reference: ``ppo_arlbench``; a path that ends in ``.yaml``; or a mapping of one of the forms (name, learner and source may be
            left out) ``{name, learner, source, dimensions}``, ``{name, arrays: {w: [4, 2]}, init_scale}`` for named float32 arrays,
            ``{name, parts: {part: a space's name or a mapping of any form}}`` for several searched together, and those of `OTHER_FORMS`.

    Raises:
        UnknownNameError: No such space.
        UsageError: Listing all problems of the file, each with its dimension, value and remedy.
    """
    return parse_space(resolve_space(reference), default_name="inline")


def resolve_space(reference: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the space that ``reference`` names written inline: what a study keeps, so that an edited file changes no study.

    Raises:
        UnknownNameError: No such space.
        UsageError: The file cannot be read as a mapping.
    """
    return _resolved(reference if isinstance(reference, Mapping) else _read(reference))


def _read(name: str) -> Mapping[str, Any]:
    from autorl import catalogue

    path = catalogue.find("search_spaces", name)
    return {"name": path.stem, **read_mapping(path)}


def _resolved(data: Mapping[str, Any], within: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Return ``data`` with everything written out that it refers to by name; it is itself a part of the spaces ``within``."""
    if isinstance(data.get("parts"), Mapping):
        return {**data, "parts": {key: _resolved_part(data, key, part, within) for key, part in data["parts"].items()}}
    form = _form(data)
    return data if form is None else form.resolve(data)


def _resolved_part(data: Mapping[str, Any], key: str, part: Any, within: tuple[str, ...]) -> Any:
    if isinstance(part, Mapping):
        return _resolved(part, within)
    if not isinstance(part, str):
        return part  # said where it is parsed
    place = f"search space {data.get('name', 'inline')!r}: parts: {key}"
    if part in within:
        raise UsageError(
            f"{place}: {part!r} is a part of itself: {' > '.join([*within, part])}. Remedy: name another space"
        )
    try:
        return _resolved(_read(part), (*within, part))
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def _form(data: Mapping[str, Any]) -> Form | None:
    return next((OTHER_FORMS.load(field) for field in OTHER_FORMS if field in data), None)


def parse_space(data: Mapping[str, Any], default_name: str) -> Space:
    """Return the space that ``data`` describes; raise `UsageError` that lists everything wrong with it."""
    name = data.get("name", default_name)
    if "arrays" in data:
        return _parse_arrays(data, name)
    if "parts" in data:
        return _parse_parts(data, name)
    form = _form(data)
    if form is not None:
        space: Space = form.parse(data, name)
        return space
    return _parse_dimensions(data, name)


def _parse_arrays(data: Mapping[str, Any], name: str) -> ArraySpace:
    _only(data, name, ("name", "source", "arrays", "init_scale"))
    shapes, scale = data["arrays"], _number(data.get("init_scale", 0.1))
    if not isinstance(shapes, Mapping) or not all(isinstance(shape, list | tuple) for shape in shapes.values()):
        raise UsageError(f"search space {name!r}: arrays: expected a mapping of names to shapes, got {shapes!r}")
    if isinstance(scale, bool) or not isinstance(scale, int | float):
        raise UsageError(f"search space {name!r}: init_scale: expected a number above 0, got {scale!r}")
    return ArraySpace({key: tuple(_number(n) for n in shape) for key, shape in shapes.items()}, float(scale), name)


def _parse_parts(data: Mapping[str, Any], name: str) -> ProductSpace:
    _only(data, name, ("name", "source", "parts"))
    parts = data["parts"]
    prefix = f"search space {name!r}: parts: "
    if not isinstance(parts, Mapping):
        raise UsageError(f"{prefix}expected a mapping of names to spaces, got {parts!r}")
    wrong = [
        f"{prefix}{key}: expected a space, or the name of one, got {part!r}"
        for key, part in parts.items()
        if not isinstance(part, Mapping)
    ]
    if wrong:
        raise UsageError("; ".join(wrong))
    return ProductSpace({key: parse_space(part, default_name=str(key)) for key, part in parts.items()}, name)


def _only(data: Mapping[str, Any], name: str, known: tuple[str, ...]) -> None:
    wrong = [f"unknown field {key!r}.{suggestion(str(key), known)}" for key in data if key not in known]
    if wrong:
        raise UsageError("; ".join(f"search space {name!r}: {problem}" for problem in wrong))


def _parse_dimensions(data: Mapping[str, Any], name: str) -> HyperparameterSpace:
    prefix = f"search space {name!r}: "
    known = ("name", "learner", "teacher", "source", "dimensions")
    wrong = [f"unknown field {key!r}.{suggestion(str(key), known)}" for key in data if key not in known]
    wrong += [
        f"{key}: expected text, got {data[key]!r}" for key in known[:4] if not isinstance(data.get(key) or "", str)
    ]
    entries = data.get("dimensions")
    if not isinstance(entries, Mapping) or not entries:
        wrong.append(f"dimensions: expected a mapping of names to dimensions, got {entries!r}")
        entries = {}
    dimensions: dict[str, Dimension] = {}
    conditions: dict[str, Condition] = {}
    prefixed = f"{TEACHER}.{data['teacher']}." if isinstance(data.get("teacher"), str) else ""
    for key, entry in _spread(entries, prefixed).items():
        try:
            dimensions[str(key)], condition = _parse_dimension(str(key), entry)
        except UsageError as error:
            wrong.append(f"dimension {key!r}: {error}")
            continue
        if condition is not None:
            conditions[str(key)] = condition
    if wrong:
        raise UsageError("; ".join(prefix + problem for problem in wrong))
    return HyperparameterSpace(name, dimensions, conditions, data.get("learner"), data.get("source") or "")


def _spread(entries: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the dimensions, those with a ``shape`` once for each entry of an array, the names of all behind ``prefix``."""
    made: dict[str, Any] = {}
    for key, entry in entries.items():
        name = prefix + str(key)
        if not isinstance(entry, Mapping) or "shape" not in entry:
            made[name] = entry
            continue
        shape, one = entry["shape"], {field: value for field, value in entry.items() if field != "shape"}
        sizes = list(shape) if isinstance(shape, list | tuple) else [shape]
        if not sizes or any(
            not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= 1000 for size in sizes
        ):
            raise UsageError(f"dimension {name!r}: shape: expected whole numbers from 1 to 1000, got {shape!r}")
        for index in itertools.product(*map(range, sizes)):
            made[".".join([name, *map(str, index)])] = one
    return made


def _parse_dimension(name: str, entry: Any) -> tuple[Dimension, Condition | None]:
    if not name.isidentifier() and not _PARAMETER.fullmatch(name):
        raise UsageError(f"names are letters, digits and underscores, or {TEACHER}.NAME.PARAMETER")
    if not isinstance(entry, Mapping):
        raise UsageError(f"expected a mapping such as {{type: float, low: 0, high: 1}}, got {entry!r}")
    kind = entry.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise UsageError(f"type must be one of {', '.join(KINDS)}, got {kind!r}.{suggestion(str(kind), KINDS)}")
    make = KINDS[kind]
    fields = {f.name: f.default is dataclasses.MISSING for f in dataclasses.fields(make)}  # type: ignore[arg-type]
    given = {key: value for key, value in entry.items() if key not in ("type", "when")}
    for key in given:
        if key not in fields:
            raise UsageError(f"unknown field {key!r} of type {kind}.{suggestion(str(key), [*fields, 'type', 'when'])}")
    for key, needed in fields.items():
        if needed and key not in given:
            raise UsageError(f"type {kind} needs {key!r}")
    if kind == "categorical" and not isinstance(given["choices"], list | tuple):
        raise UsageError(f"choices must be a list, got {given['choices']!r}")
    if kind in ("float", "int"):  # an inline mapping may come from a YAML reader to which 1e-6 is text
        given |= {key: _number(given[key]) for key in ("low", "high")}
    return make(**given), _parse_condition(entry["when"]) if "when" in entry else None


def _parse_condition(when: Any) -> Condition:
    if not isinstance(when, Mapping) or len(when) != 1:
        raise UsageError(f"when must name one dimension and its value or list of values, got {when!r}")
    ((parent, values),) = when.items()
    return Condition(str(parent), tuple(values) if isinstance(values, list | tuple) else (values,))


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _NUMBER.match(value) else value


def read_mapping(path: Path, what: str = "search space") -> Mapping[str, Any]:
    """Read one YAML mapping: YAML 1.2 scalars (1e-6 is a number, ``on`` is text), no duplicate keys, tags or anchors.

    Raises:
        UsageError: The file is no such mapping, and so no ``what``.
    """
    import yaml

    if path.stat().st_size > _LARGEST_FILE:
        raise UsageError(f"{path.name}: larger than {_LARGEST_FILE} bytes, this is no {what}")
    try:
        text = path.read_text(encoding="utf-8")
        depth = 0
        for event in yaml.parse(
            text, Loader=yaml.SafeLoader
        ):  # events first: composing is recursive and follows aliases
            if getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise UsageError(
                    f"{_place(path, event)}: tags, anchors and aliases are not allowed. Remedy: write it out"
                )
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise UsageError(f"{_place(path, event)}: nested more than {_DEEPEST} deep, this is no {what}")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name}: not a YAML file: {' '.join(str(error).split())}") from error
    data = _plain(path, root)
    if not isinstance(data, Mapping):
        raise UsageError(f"{path.name}: expected a mapping with 'dimensions', got {data!r}")
    return data


def _plain(path: Path, node: Any) -> Any:
    kind = node.id if node is not None else "scalar"
    if kind == "sequence":
        return [_plain(path, item) for item in node.value]
    if kind == "scalar":
        return _scalar(node.value, node.style) if node is not None else None
    made: dict[str, Any] = {}
    for key, value in node.value:
        if key.id != "scalar":
            raise UsageError(f"{_place(path, key)}: keys must be plain names")
        if key.value in made:
            raise UsageError(f"{_place(path, key)}: duplicate key {key.value!r}. Remedy: keep one of them")
        made[key.value] = _plain(path, value)
    return made


def _scalar(text: str, style: str | None) -> Any:
    if style:  # quoted or block text is always text
        return text
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "null", "~"):
        return None
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text)
    return float(text) if _NUMBER.match(text) else text


def _place(path: Path, mark: Any) -> str:
    return f"{path.name}:{mark.start_mark.line + 1}:{mark.start_mark.column + 1}"
