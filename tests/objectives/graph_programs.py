"""Loss graphs for the tests of the search, written with names."""

from __future__ import annotations

from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.sampling import Grammar

VALUE = Grammar(nodes=10, reads=("reward", "action"))
PAIRS = Grammar(nodes=10, sampling="pair")
POLICY = Grammar(family="policy_gradient", nodes=12, reads=("advantage",))
NARROW = Grammar(operators=("add", "sub", "mul", "square", "max_a", "select", "scale"), nodes=6, reads=("reward",))
GRAMMARS = {"value": VALUE, "pairs": PAIRS, "policy": POLICY, "narrow": NARROW}


def made(*nodes: tuple[object, ...], family: str = "value") -> Graph:
    """Return a graph; a node is (operator, inputs..., constant in a list), an input a register's name or a node's position."""
    entries = []
    for op, *rest in nodes:
        constants = [i[0] for i in rest if isinstance(i, list)]
        inputs = [i for i in rest if not isinstance(i, list)]
        entries.append({"op": op, "in": inputs, "c": constants[0] if constants else 1.0})
    return graph_from_json({"language": "autorl", "family": family, "nodes": entries})


DELTA = (("max_a", "q_target_next"), ("mul", "discount", 0), ("add", "reward", 1), ("sub", "q_action", 2))
TD = made(*DELTA, ("square", 3))
DOUBLE = made(
    ("argmax_a", "q_next"),
    ("select", "q_target_next", 0),
    ("mul", "discount", 1),
    ("add", "reward", 2),
    ("sub", "q_action", 3),
    ("square", 4),
)
MASKED = made(
    ("max_a", "q_target_next"), ("add", "reward", 0), ("mul", "discount", 1), ("sub", "q_action", 2), ("square", 3)
)
