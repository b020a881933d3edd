"""Spaces of loss graphs and of their constants, as search-space files write them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from autorl.errors import UsageError, suggestion
from autorl.objectives.graphs.constants_space import ConstantsSpace
from autorl.objectives.graphs.files import graph_to_json
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.space import GrammarSpace, GraphSpace, named_graph

_OUTER = ("name", "source")
_LISTS = ("operators", "registers", "start", "requires")


@dataclasses.dataclass(frozen=True)
class GraphsForm:
    """``{name, source, graphs: {language, family, operators, registers, nodes, start, requires, minimum, sampling, mutations}}``.

    All fields may be left out. ``start`` lists graphs by their names in the catalogue ``learned_objectives``, or written out.
    """

    @property
    def field(self) -> str:
        """The field of a file that tells this form."""
        return "graphs"

    @property
    def kind(self) -> type[GrammarSpace]:
        """What is made of it."""
        return GraphSpace

    def named(self, reference: str | Mapping[str, Any], where: str) -> Graph:
        """Return the graph that an entry of ``start`` means; raise `UsageError` naming ``where`` if none."""
        return named_graph(reference, where)

    def resolve(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the same with the graphs of ``start`` written out."""
        prefix, fields = _prefix(data), _fields(data, self.field)
        if "start" not in fields:
            return data
        graphs = [
            self.named(given, f"{prefix}start[{i}]")
            for i, given in enumerate(_listed(prefix, "start", fields["start"]))
        ]
        return {**data, self.field: {**fields, "start": [graph_to_json(graph) for graph in graphs]}}

    def parse(self, data: Mapping[str, Any], name: str) -> GrammarSpace:
        """Return the space; raise `UsageError` naming the field, its value and the remedy."""
        prefix = _prefix({"name": name})
        fields = dict(_fields(self.resolve(data), self.field))
        known = [f.name for f in dataclasses.fields(self.kind) if f.init and f.name not in _OUTER]
        _refuse_unknown(prefix, fields, known)
        for field in ("language", "family", "sampling", "teacher"):
            if field in fields and not isinstance(fields[field], str):
                raise UsageError(f"{prefix}{field}: expected a name, got {fields[field]!r}")
        for field in _LISTS:
            if field in fields:
                fields[field] = tuple(_listed(prefix, field, fields[field]))
        for field in ("operators", "registers", "requires"):
            for entry in fields.get(field, ()):
                if not isinstance(entry, str):
                    raise UsageError(f"{prefix}{field}: expected names, got {entry!r}")
            if field in fields and field != "requires" and not fields[field]:
                raise UsageError(
                    f"{prefix}{field}: expected at least one name. Remedy: leave {field!r} out for all of them"
                )
        if not isinstance(fields.get("mutations", {}), Mapping):
            raise UsageError(
                f"{prefix}mutations: expected a mapping of mutations to weights, got {fields['mutations']!r}"
            )
        fields["start"] = tuple(self.named(given, f"{prefix}start") for given in fields.get("start", ()))
        return self.kind(name, source=_source(data, prefix), **fields)


@dataclasses.dataclass(frozen=True)
class ConstantsForm:
    """``{name, source, constants: {graph, span}}``: ``graph`` by its name in the catalogue ``learned_objectives``, or written out."""

    def resolve(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the same with the graph written out."""
        prefix, fields = _prefix(data), _fields(data, "constants")
        if "graph" not in fields:
            raise UsageError(f"{prefix}constants needs 'graph': the name of a learned objective, or a graph")
        graph = named_graph(fields["graph"], f"{prefix}graph")
        return {**data, "constants": {**fields, "graph": graph_to_json(graph)}}

    def parse(self, data: Mapping[str, Any], name: str) -> ConstantsSpace:
        """Return the space; raise `UsageError` naming the field, its value and the remedy."""
        prefix = _prefix({"name": name})
        fields = _fields(self.resolve(data), "constants")
        _refuse_unknown(prefix, fields, ["graph", "span"])
        graph = named_graph(fields["graph"], f"{prefix}graph")
        return ConstantsSpace(name, graph, fields.get("span", 10.0), _source(data, prefix))


GRAPHS = GraphsForm()
CONSTANTS = ConstantsForm()


def _prefix(data: Mapping[str, Any]) -> str:
    return f"search space {data.get('name', 'inline')!r}: "


def _fields(data: Mapping[str, Any], form: str) -> Mapping[str, Any]:
    prefix = _prefix(data)
    _refuse_unknown(prefix, data, [*_OUTER, form])
    fields = data[form] if data[form] is not None else {}
    if not isinstance(fields, Mapping):
        raise UsageError(f"{prefix}{form}: expected a mapping, got {fields!r}")
    return fields


def _refuse_unknown(prefix: str, data: Mapping[str, Any], known: list[str]) -> None:
    wrong = [f"unknown field {key!r}.{suggestion(str(key), known)}" for key in data if key not in known]
    if wrong:
        raise UsageError("; ".join(prefix + problem for problem in wrong))


def _listed(prefix: str, field: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"{prefix}{field}: expected a list, got {value!r}")
    return list(value)


def _source(data: Mapping[str, Any], prefix: str) -> str:
    source = data.get("source") or ""
    if not isinstance(source, str):
        raise UsageError(f"{prefix}source: expected text, got {source!r}")
    return source
