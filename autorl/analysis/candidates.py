"""A candidate as people read it: its plain values by name, a loss graph as a formula. Arrays are left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorl.spaces.columns import values


def readable(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by name; a graph under its own name (``loss`` where it is the whole candidate)."""
    found: dict[str, Any] = {}
    for name, value in candidate.items():
        if _is_graph(value):
            found["loss" if name == "graph" else name] = _formula(value)
        elif isinstance(value, Mapping):
            inner = readable(value)
            found |= {name if key == "loss" else f"{name}.{key}": v for key, v in inner.items() if key[0] != "$"}
        else:
            found |= values({name: value})
    return found


def _is_graph(value: Any) -> bool:
    return isinstance(value, Mapping) and {"language", "family", "nodes"} <= set(value)


def _formula(data: Mapping[str, Any]) -> str:
    from autorl.objectives.graphs.files import graph_from_json
    from autorl.objectives.graphs.formula import formula_text

    return formula_text(graph_from_json(data))
