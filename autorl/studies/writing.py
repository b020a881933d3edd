"""A specification as plain data and as YAML, every default written out; reading it again gives an equal one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml
from pydantic import BaseModel

from autorl.studies.comparison_models import Comparison
from autorl.studies.convert import model_fields, resolve
from autorl.studies.models import ComparedTeacher, EnvironmentSettings, Specification, TaskSettings

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*")


def to_mapping(specification: Specification | Comparison) -> dict[str, Any]:
    """Return the resolved experiment as JSON-like data, under the names that users write; what is absent is left out."""
    return _mapping(specification)


def to_yaml(specification: Specification) -> str:
    """Return the resolved specification as YAML that `autorl.studies.specification.parse` reads as an equal one."""
    text: str = yaml.dump(
        to_mapping(specification),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=120,
    )
    return text


def differing_fields(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the sections in which two experiments differ, both as `to_mapping` returns them, by name.

    What a search says of itself in words, and the seed that a warm start draws afresh by, follow from the rest, as this version writes
    them: where an earlier one wrote others, the experiments are the same.
    """
    first, second = _without_words(one), _without_words(other)
    return sorted(key for key in {**first, **second} if first.get(key) != second.get(key))


def _without_words(plain: Mapping[str, Any]) -> dict[str, Any]:
    search = dict(plain.get("search") or {})
    start = dict(search.get("warm_start") or {})
    search.pop("chosen", None)
    if start.get("taken"):
        search["warm_start"] = {**start, "taken": {k: v for k, v in start["taken"].items() if k != "seed"}}
    return {**plain, "search": search} if search else dict(plain)


def _mapping(section: BaseModel) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for written, (attribute, _) in model_fields(type(section)).items():
        value = getattr(section, attribute)
        if value is not None and not (written == "environment" and not value):
            made[written] = _value(value)
    if isinstance(section, Specification) and len(section.environments) == 1:
        made["environment"] = made["environment"][0]
    if isinstance(section, EnvironmentSettings) and not section.task:
        del made["task"]
    if isinstance(section, TaskSettings) and section.vary is not None:
        made["vary"] = {name: bounds and list(bounds) for name, bounds in section.vary.items()}
    return made


def _value(value: Any) -> Any:
    if isinstance(value, ComparedTeacher) and not value.parameters:
        return value.name
    if isinstance(value, BaseModel):
        return _mapping(value)
    if isinstance(value, dict):
        return {key: _value(item) for key, item in value.items()}
    return [_value(item) for item in value] if isinstance(value, list | tuple) else value


class _Dumper(yaml.SafeDumper):
    """Quotes all text that our reader, or a YAML 1.1 reader, would take for something else; never writes anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = _WORD.fullmatch(value) is not None and isinstance(resolve(value), str)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)
