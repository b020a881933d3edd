"""The named level scores as graphs: what a search over scores starts from, and by which the interpreter is tested."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from autorl.errors import UnknownNameError
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.graph import Graph

_NODES: Mapping[str, tuple[Mapping[str, Any], ...]] = MappingProxyType(
    {
        "max_mc": ({"op": "sub", "in": ["max_return", "value"]},),
        "positive_value_loss": ({"op": "scale", "in": ["positive_value_loss"], "c": 1.0},),
        "l1_value_loss": ({"op": "scale", "in": ["absolute_value_loss"], "c": 1.0},),
        "learnability": (
            {"op": "constant", "c": 1.0},
            {"op": "sub", "in": [0, "success_rate"]},
            {"op": "mul", "in": ["success_rate", 1]},
        ),
        "regret": ({"op": "sub", "in": ["antagonist_return", "return"]},),
        "progress": ({"op": "sub", "in": ["return", "previous_return"]}, {"op": "abs", "in": [0]}),
    }
)


def score_graph(name: str) -> dict[str, Any]:
    """Return the score called ``name`` (as in `autorl.curricula.scores`) as a graph, plain data; raise `UnknownNameError` if none is."""
    if name not in _NODES:
        raise UnknownNameError("level score", name, _NODES)
    return {"language": "autorl", "family": "level", "nodes": [dict(node) for node in _NODES[name]]}


SCORE_GRAPHS: Mapping[str, Graph] = MappingProxyType({name: graph_from_json(score_graph(name)) for name in _NODES})
"""Name -> graph."""
