"""Where the searches of Co-Reyes et al. (2021) start, and the loss graphs that they ship (``evolving_rl/graph_configs.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from autorl.objectives.graphs.graph import Graph, Node
from autorl.objectives.graphs.language_coreyes2021 import COREYES2021, NETWORK, OPERATORS_33

FAMILY, LANGUAGE = "network", COREYES2021.name
_FIRST = len(NETWORK)
_PLACE = {register.name: i for i, register in enumerate(NETWORK)}


def graph_of(*lines: tuple[str, ...]) -> Graph:
    """Return the graph of lines ``(operator, input, ...)``: an input is a register's name or a node's position, as text."""
    return Graph(_nodes(*lines), FAMILY, LANGUAGE)


def _nodes(*lines: tuple[str, ...]) -> tuple[Node, ...]:
    return tuple(Node(op, tuple(_PLACE[i] if i in _PLACE else _FIRST + int(i) for i in read)) for op, *read in lines)


_Q_ACTION = (("q_value_list", "q_param", "s_tm1"), ("select_list", "0", "action"))
_NEXT = (*_Q_ACTION, ("q_value_list", "q_targ_param", "s_t"), ("max_list", "2"))
_DQN = (*_NEXT, ("dot_product", "discount", "3"), ("add", "reward", "4"), ("l2_distance", "1", "5"))

REFERENCES: Mapping[str, Graph] = MappingProxyType(
    {
        "normal_dqn": graph_of(*_DQN),
        "dqn_reg": graph_of(*_DQN, ("multiply_tenth", "1"), ("add", "6", "7")),
        "dqn_reg_abs": graph_of(*_DQN, ("multiply_tenth", "1"), ("abs", "7"), ("add", "6", "8")),
        "cql": graph_of(
            *_DQN, ("log_sum_exp_list", "0"), ("subtract", "7", "1"), ("multiply_tenth", "8"), ("add", "6", "9")
        ),
        "ddqn": graph_of(
            *_Q_ACTION,
            ("q_value_list", "q_param", "s_t"),
            ("arg_max_list", "2"),
            ("q_value_list", "q_targ_param", "s_t"),
            ("select_list", "4", "3"),
            ("dot_product", "discount", "5"),
            ("add", "reward", "6"),
            ("l2_distance", "1", "7"),
        ),
    }
)
"""The graphs that the released code ships, node for node. Its ``dqn_reg`` is 0.1 Q + delta^2 / 2, its ``cql`` adds
0.1 (logsumexp Q - Q(s, a)); the paper writes DQNReg as 0.1 Q + delta^2."""


@dataclass(frozen=True)
class Start:
    """What a search of the released code begins with.

    Attributes:
        name: As there.
        nodes: At the front of every random program.
        frozen: How many of these mutation leaves alone.
        free: Random nodes after them; the last one is the loss.
        operators: That random nodes and mutations draw from.
        has_constant: Whether the source of constants is among the inputs.
        loose_division: Whether division is offered inputs of two types, which then fail (`DivOpNode`, not `DivOpV2Node`).
    """

    name: str
    nodes: tuple[Node, ...]
    frozen: int
    free: int
    operators: tuple[str, ...]
    has_constant: bool = True
    loose_division: bool = False

    @property
    def forbidden(self) -> frozenset[int]:
        """Indices of registers that its programs may not read."""
        return frozenset() if self.has_constant else frozenset({_PLACE["constant"]})


_ALL = tuple(operator.name for operator in OPERATORS_33)
_GRAPH_10 = tuple(name for name in _ALL if name not in ("l2_norm", "max_float"))
_NEW_IN_7 = ("multiply_float", "l2_norm", "max_float", "sum_list", "mean_list", "std_list", "mean_batch", "std_batch")
_GRAPH_6 = tuple(name for name in _ALL if name not in _NEW_IN_7 and not name.startswith("constant_"))
_WITH_TENTH = (*_NEXT, ("constant_p1", "constant"), ("dot_product", "discount", "3"), ("add", "reward", "5"))

STARTS: Mapping[str, Start] = MappingProxyType(
    {
        start.name: start
        for start in (
            Start("pre_graph_6_existingdqn_nofreeze", _nodes(*_DQN), 0, 14, _GRAPH_6, False, loose_division=True),
            Start("pre_graph_7_existingdqn_nofreeze", _nodes(*_DQN), 0, 14, _ALL, loose_division=True),
            Start("pre_graph_8_scratch", _nodes(*_Q_ACTION), 2, 16, _ALL),
            Start("pre_graph_9_existingdqn_nofreeze", _nodes(*_WITH_TENTH, ("l2_distance", "1", "6")), 0, 13, _ALL),
            Start("pre_graph_10_existingdqn_nofreeze", _nodes(*_DQN), 0, 13, _GRAPH_10),
            Start("pre_graph_11_scratch", _nodes(*_Q_ACTION), 2, 16, _GRAPH_10),
        )
    }
)
"""By name; `run_search.py` takes the first by default. From scratch means that Q(s, a) is given, and frozen."""
