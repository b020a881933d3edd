"""Losses of the family ``network`` as straight-line code: networks are functions, applied where the graph says so."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from autorl.objectives.graphs.compiled import constants_of, functions, without_constants
from autorl.objectives.graphs.graph import Graph, GraphError
from autorl.objectives.graphs.networks import width
from autorl.objectives.graphs.types import Type

FAMILY = "network"


def evaluate_network(graph: Graph, constants: Any, registers: Mapping[str, Any], module: Any) -> Any:
    """Return the loss of each sample, [1, N] ([1, 1] if it is the same for all), by the functions of any back end.

    Args:
        graph: Well formed, of the family ``network``.
        constants: [live nodes].
        registers: Those that the graph needs: floats [1, N], one-hot actions [A, N], states [D, N], networks as functions;
            ``constant`` (random words, uint32 [2]) if it draws numbers.
        module: Of `functions`.
    """
    values = {graph.index(name): registers[name] for name in graph.needs if name != "constant"}
    count = len(graph.registers)
    for row, (constant, position) in enumerate(zip(constants, graph.live, strict=True)):
        node = graph.nodes[position]
        operator = graph.table.operator(node.op)
        types = tuple(graph.types[i] for i in node.inputs)
        if operator.random:
            read = [module.folded(registers["constant"], row)]
        else:
            read = [None if kind is Type.CONSTANT else values[i] for i, kind in zip(node.inputs, types, strict=True)]
        values[count + position] = module.bounded(getattr(module, operator.function(types))(constant, *read))
    return values[count + len(graph.nodes) - 1]


def loss_by(graph: Graph, registers: Mapping[str, Any], back_end: str) -> Any:
    """Return the loss of each sample [N], by the functions of ``jax``, ``numpy`` or ``torch`` (arrays of that library throughout).

    Registers are as `network_registers` gives them; networks are any functions from [D, N] to [A, N], in torch random words int64.
    """
    module = functions(graph.language, back_end)
    found = evaluate_network(graph, constants_of(graph), rows(registers), module)[0]
    library = importlib.import_module("jax.numpy" if back_end == "jax" else back_end)
    return library.broadcast_to(found, (width(registers),))


def rows(registers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the registers with floats as [1, N]."""
    return {name: value[None] if name in ("reward", "discount") else value for name, value in registers.items()}


def needs_of(graphs: Sequence[Graph]) -> tuple[str, ...]:
    """Return the registers that any of ``graphs`` reads, and ``reward``, which tells the number of samples."""
    read = {"reward"}.union(*(graph.needs for graph in graphs))
    return tuple(register.name for register in graphs[0].registers if register.name in read)


@partial(jax.tree_util.register_dataclass, data_fields=["constants"], meta_fields=["graph"])
@dataclass(frozen=True)
class CompiledNetworkLoss:
    """One graph of the family ``network`` as straight-line code; an `Objective`. Make it with `CompiledNetworkLoss.of`.

    Differentiable by jax with respect to the parameters of ``q_param``, whatever mixes the samples.

    Attributes:
        constants: float32 [live nodes]; data.
        graph: Its live nodes; its own constants do not matter here.
    """

    constants: Any
    graph: Graph = field(metadata={"static": True})

    @classmethod
    def of(cls, graph: Graph) -> CompiledNetworkLoss:
        """Return the loss that ``graph`` says.

        Raises:
            GraphError: It is not well formed, reads no register, or is of another family.
        """
        if graph.family != FAMILY:
            raise GraphError(f"family: expected {FAMILY!r}, got {graph.family!r}; use CompiledLoss for it")
        return cls(constants_of(graph), without_constants(graph))

    @property
    def family(self) -> str:
        """Register family."""
        return FAMILY

    @property
    def needs(self) -> tuple[str, ...]:
        """Registers that it reads."""
        return needs_of([self.graph])

    def per_sample(self, registers: Mapping[str, Any]) -> Array:
        """Return the loss of each sample, float32 [N]; see `network_registers` for what ``registers`` hold."""
        found = evaluate_network(self.graph, self.constants, rows(registers), functions(self.graph.language, "jax"))
        return jnp.broadcast_to(found[0], (width(registers),))


@partial(jax.tree_util.register_dataclass, data_fields=["index", "constants"], meta_fields=["graphs"])
@dataclass(frozen=True)
class FusedNetworkLoss:
    """One of a batch of distinct graphs of the family ``network``, each with its own code in one program; an `Objective`.

    Attributes:
        index: int32 scalar; which graph.
        constants: float32 [most live nodes of any]; padded with ones.
        graphs: All of them.
    """

    index: Any
    constants: Any
    graphs: tuple[Graph, ...] = field(metadata={"static": True})

    @classmethod
    def batch(cls, graphs: Sequence[Graph]) -> list[FusedNetworkLoss]:
        """Return one loss for each graph, in their order; equal ones share their code.

        Raises:
            GraphError: No graphs, or one that is not well formed, reads no register, or is of another family.
        """
        if not graphs:
            raise GraphError("graphs: expected at least one, got none")
        losses = [CompiledNetworkLoss.of(graph) for graph in graphs]
        distinct = tuple(dict.fromkeys(loss.graph for loss in losses))
        room = max(len(loss.constants) for loss in losses)
        return [
            cls(
                np.int32(distinct.index(loss.graph)),
                np.pad(loss.constants, (0, room - len(loss.constants)), constant_values=1.0),
                distinct,
            )
            for loss in losses
        ]

    @property
    def family(self) -> str:
        """Register family."""
        return FAMILY

    @property
    def needs(self) -> tuple[str, ...]:
        """Registers that any of the graphs reads."""
        return needs_of(self.graphs)

    def members(self) -> tuple[Any, tuple[CompiledNetworkLoss, ...]]:
        """Return which of the graphs this is (int32 scalar), and the loss of each, with the constants of this one."""
        return self.index, tuple(CompiledNetworkLoss(self.constants[: len(graph.live)], graph) for graph in self.graphs)

    def per_sample(self, registers: Mapping[str, Any]) -> Array:
        """Return the loss of each sample, float32 [N]."""
        held = {name: registers[name] for name in self.needs}
        branches = [lambda c, r, graph=graph: _loss(graph, c, r) for graph in self.graphs]
        found: Array = lax.switch(self.index, branches, self.constants, held)
        return found


def _loss(graph: Graph, constants: Array, registers: Mapping[str, Any]) -> Array:
    return CompiledNetworkLoss(constants[: len(graph.live)], graph).per_sample(registers)
