"""What the exported tests compare: the losses in recorded inputs, which of them, and how closely."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from autorl.objectives.graphs.compiled import functions
from autorl.objectives.graphs.formula import number_text
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.types import Type

SHARE: Final = 1e-5
_MOST: Final = 1e-3
_LARGE: Final = 1e8
"""A step beyond it may saturate, written in another order."""


@dataclass(frozen=True)
class Compared:
    """What a test compares.

    Attributes:
        losses: float32 [N].
        marked: float32 [N]; the losses if some stopped slopes were marked by 2 x + 1, which shows where they are.
        samples: Those that are compared.
        share: Of a loss, by which it may differ.
        least: By which a loss near 0 may differ.
    """

    losses: np.ndarray
    marked: np.ndarray
    samples: tuple[int, ...]
    share: float
    least: float


def compared(
    graph: Graph,
    registers: Mapping[str, np.ndarray],
    losses: np.ndarray,
    stops: Collection[int],
    share: float = SHARE,
    reordered: bool = False,
) -> Compared:
    """Return what a test compares.

    Each library rounds in its way, and a program may make much of that: a difference of what is nearly equal, an exponential. What
    JAX and NumPy differ by says how much; a sample in which it is more than a thousandth is not compared.

    Args:
        graph: The loss.
        registers: Recorded inputs.
        losses: Its losses there, by JAX, float32 [N].
        stops: Positions of the nodes whose stopped slopes are marked.
        share: The least share by which losses may differ.
        reordered: Whether the test computes in another order and with constants of six digits, as a formula is written: then
            samples in which a step is beyond 1e8 are not compared, and rounded constants count as rounding.
    """
    with np.errstate(all="ignore"):
        plain, marked = (node_values(graph, registers, which) for which in ((), stops))
        others = [plain[-1]] + ([node_values(_rounded(graph), registers)[-1]] if reordered else [])
    size = _size(losses)
    apart = np.max([np.abs(_row(other, losses) - losses) / (size + np.abs(losses)) for other in others], axis=0)
    fit = 4.0 * apart <= _MOST
    if reordered:
        fit &= np.all([np.max(np.abs(_wide(value, losses)), axis=0) < _LARGE for value in (*plain, *marked)], axis=0)
    samples = tuple(int(i) for i in np.flatnonzero(fit))
    worst = 4.0 * max((float(apart[i]) for i in samples), default=0.0)
    share = share if worst <= share else float(f"{worst:.1g}")
    least = share * _size(losses[list(samples)])
    return Compared(losses, _row(marked[-1], losses).astype(np.float32), samples, share, float(f"{least:.1g}"))


def _size(losses: np.ndarray) -> float:
    """Return what is small beside the losses: 1, or the middle one of those that are not 0, if that is less."""
    sizes = np.abs(losses[losses != 0.0])
    return min(1.0, float(np.median(sizes))) if sizes.size else 1.0


def _row(value: np.ndarray, losses: np.ndarray) -> np.ndarray:
    return np.broadcast_to(value[0], losses.shape)


def _wide(value: np.ndarray, losses: np.ndarray) -> np.ndarray:
    return np.broadcast_to(value, (len(value), *losses.shape))


def _rounded(graph: Graph) -> Graph:
    nodes = tuple(replace(node, constant=float(number_text(node.constant))) for node in graph.nodes)
    return replace(graph, nodes=nodes)


def node_values(graph: Graph, registers: Mapping[str, np.ndarray], marked: Collection[int] = ()) -> list[np.ndarray]:
    """Return the value of each live node, [1 or A or D, 1 or N], by NumPy; that of the nodes ``marked`` is 2 x + 1."""
    module, count = functions(graph.language, "numpy"), len(graph.registers)
    values: dict[int, Any] = {}
    for i, register in enumerate(graph.registers):
        recorded = registers[register.name]
        if register.type in (Type.PARAMETERS, Type.HEAD):
            values[i] = lambda states, weights=recorded: np.tanh(weights @ states)
        else:
            values[i] = recorded.reshape(1, -1) if register.type is Type.FLOAT else recorded
    for row, position in enumerate(graph.live):
        node = graph.nodes[position]
        operator, types = graph.table.operator(node.op), tuple(graph.types[i] for i in node.inputs)
        given = [module.folded(values[i], row) if operator.random else values[i] for i in node.inputs]
        constant = np.float32(node.constant if operator.has_constant else 1.0)
        value = module.bounded(getattr(module, operator.function(types))(constant, *given))
        values[count + position] = module.bounded(2.0 * value + 1.0) if position in marked else value
    return [values[count + position] for position in graph.live]


def stop_nodes(graph: Graph) -> tuple[int, ...]:
    """Return the positions of the live nodes that stop slopes."""
    return tuple(position for position in graph.live if graph.nodes[position].op == "stop_gradient")
