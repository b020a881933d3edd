"""The JSON Schema of experiments, for editors, and the table of all fields with their help.

An editor with a YAML language server completes and checks an experiment whose first line is
``# yaml-language-server: $schema=PATH``; ``python -m autorl.studies.schema > PATH`` writes it (``--names`` with the names of
learners, methods, environments and spaces that are known here). ``experiments/schema.json`` is that without names.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from autorl.studies.comparison_models import Comparison
from autorl.studies.convert import model_fields, model_of
from autorl.studies.experiment_files import COMPARED
from autorl.studies.explain import described
from autorl.studies.models import (
    ComparedTeacher,
    EnvironmentChoice,
    EnvironmentSettings,
    LearnerChoice,
    LearnerSettings,
    PolicyChoice,
    Specification,
    TeacherChoice,
)

_KEYWORDS: Final = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
"""What pydantic writes for the bounds of a type that it cannot see through, and what JSON Schema calls them."""
_BOUNDS: Final = ("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


@dataclass(frozen=True)
class FieldHelp:
    """One field: its path, what it expects, its default (None where it has none) and its help."""

    path: str
    expected: str
    default: Any
    required: bool
    help: str


def json_schema(*, names: bool = False) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an experiment: a comparison where it has ``objectives``, else a study.

    Args:
        names: Also list the learners, search methods, environments, search spaces and objectives that are known here, for completion.
    """
    study, comparison = _schema_of(Specification), _schema_of(Comparison)
    definitions: dict[str, Any] = {**study.pop("$defs"), **comparison.pop("$defs")}
    places = (EnvironmentSettings, EnvironmentChoice)
    for model in (*places, LearnerSettings, LearnerChoice, PolicyChoice, TeacherChoice, ComparedTeacher):
        definitions[model.__name__] = _with_shorthand(definitions[model.__name__], str(model.shorthand))
    if names:
        _add_names(definitions, comparison["properties"])
    schema = {"if": {"required": [COMPARED]}, "then": comparison, "else": study, "$defs": definitions}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "AutoRL experiment"}
    return {**head, **_with_underscores(schema)}


def _schema_of(model: type[Specification] | type[Comparison]) -> dict[str, Any]:
    """Return the schema of a kind of experiment; one environment needs no list around it."""
    schema = model.model_json_schema(by_alias=True)
    environment = schema["properties"]["environment"]
    items = environment.pop("items")
    environment.pop("type")
    environment.pop("default", None)
    environment["anyOf"] = [items, {"type": "array", "items": items, "minItems": 1}]
    return schema


def _with_underscores(node: Any) -> Any:
    """Return ``node`` with ``100_000`` allowed wherever a whole number is: to an editor's YAML 1.2 it is text, to us a number."""
    if isinstance(node, list):
        return [_with_underscores(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {_KEYWORDS.get(key, key): _with_underscores(value) for key, value in node.items()}
    if made.get("type") != "integer":
        return made
    bounds = {key: made.pop(key) for key in list(made) if key in _BOUNDS}
    return {**made, "anyOf": [bounds, {"type": "string", "pattern": "^[0-9]+(_[0-9]+)+$"}]}


def _with_shorthand(definition: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Return the definition of a section that may also be written as the text of its ``field``."""
    text = {key: value for key, value in definition["properties"][field].items() if key != "title"}
    return {"title": definition["title"], "description": definition["description"], "anyOf": [text, dict(definition)]}


def _add_names(definitions: dict[str, Any], comparison: dict[str, Any]) -> None:
    """List what is known in the definitions, and in the fields of a comparison."""
    from autorl import catalogue
    from autorl.curricula.teachers import ALL_TEACHERS
    from autorl.environments.registry import ENVIRONMENTS
    from autorl.inner.algorithms import ALGORITHMS
    from autorl.outer.budget.policies import POLICIES, WHOLE
    from autorl.outer.methods import METHODS
    from autorl.spaces.plain_values import NO_TEACHER

    for section, field, known, own in (
        ("EnvironmentSettings", "id", ENVIRONMENTS, True),
        ("EnvironmentChoice", "id", ENVIRONMENTS, True),
        ("LearnerSettings", "algorithm", ALGORITHMS, False),
        ("LearnerChoice", "algorithm", ALGORITHMS, False),
        ("TeacherChoice", "name", ALL_TEACHERS, False),
        ("ComparedTeacher", "name", [*ALL_TEACHERS, NO_TEACHER], False),
    ):
        text, whole = definitions[section]["anyOf"]
        for place in (text, whole["properties"][field]):
            _enumerate(place, list(known), own)
    properties = definitions["Search"]["properties"]
    _enumerate(properties["method"], ["auto", *METHODS], True)
    properties["method"]["anyOf"][1]["pattern"] = ":"  # module:attribute
    text, whole = definitions["PolicyChoice"]["anyOf"]
    for place in (text, whole["properties"]["name"]):
        _enumerate(place, [*POLICIES, WHOLE], False)
    for place in (properties["space"], definitions["Tuning"]["properties"]["space"]):
        place["anyOf"].insert(0, {"enum": list(catalogue.names("search_spaces"))})
    _enumerate(comparison[COMPARED]["items"], list(catalogue.names("learned_objectives")), True)


def _enumerate(place: dict[str, Any], known: list[str], own: bool) -> None:
    """List ``known`` at ``place``; with ``own``, other text is allowed beside it."""
    if own:
        place["anyOf"] = [{"enum": known}, {"type": "string"}]
    else:
        place["enum"] = known


def field_help(model: type[BaseModel] = Specification, prefix: str = "") -> Iterator[FieldHelp]:
    """Yield every field with its help, in the order of the file; sections before their fields."""
    for name, (_, field) in model_fields(model).items():
        default = None if field.default is PydanticUndefined or isinstance(field.default, BaseModel) else field.default
        yield FieldHelp(prefix + name, described(field), default, field.is_required(), field.description or "")
        inner = model_of(field.annotation)
        if inner is not None:
            yield from field_help(inner, f"{prefix}{name}.")


if __name__ == "__main__":
    json.dump(json_schema(names="--names" in sys.argv[1:]), sys.stdout, indent=2)
    sys.stdout.write("\n")
