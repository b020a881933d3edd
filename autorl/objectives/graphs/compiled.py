"""Loss graphs as straight-line code: the loss that a long training compiles, for one graph or for a batch of distinct ones."""

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

from autorl.objectives.graphs.graph import Graph, GraphError, check
from autorl.objectives.graphs.language import load_language
from autorl.objectives.graphs.slopes import Slopes, differentiable_registers, loss_with_slopes


def functions(language: str, back_end: str) -> Any:
    """Return the module of the functions of a language's operators for ``jax``, ``numpy`` or ``torch``."""
    return importlib.import_module(f"{load_language(language).functions}_{back_end}")


def constants_of(graph: Graph) -> np.ndarray:
    """Return the constants of the live nodes in order, float32 [live nodes]."""
    return np.asarray([graph.nodes[position].constant for position in graph.live], np.float32)


def evaluate(graph: Graph, constants: Any, registers: Mapping[str, Any], module: Any) -> Any:
    """Return the loss of each sample, [1, N] ([1, 1] if it is the same for all), by the functions of any back end.

    Args:
        graph: Well formed.
        constants: [live nodes].
        registers: Those that the graph needs: floats [1, N] or [1, 1], lists and actions [A, N].
        module: Of `functions`.
    """
    values = {graph.index(name): registers[name] for name in graph.needs}
    for constant, position in zip(constants, graph.live, strict=True):
        node = graph.nodes[position]
        found = getattr(module, node.op)(constant, *(values[i] for i in node.inputs))
        values[len(graph.registers) + position] = module.bounded(found)
    return values[len(graph.registers) + len(graph.nodes) - 1]


def as_rows(registers: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the registers ``names`` with floats as [1, N], a scalar (the same for all samples) as [1, 1]."""
    values = {name: jnp.asarray(registers[name], jnp.float32) for name in names}
    return {name: value if value.ndim == 2 else value.reshape(1, -1) for name, value in values.items()}


def samples(registers: Mapping[str, Any]) -> int:
    """Return N; 1 where all registers are scalars."""
    return max((np.shape(value)[-1] for value in registers.values() if np.ndim(value)), default=1)


@partial(jax.tree_util.register_dataclass, data_fields=["constants"], meta_fields=["graph"])
@dataclass(frozen=True)
class CompiledLoss:
    """The live nodes of one graph as straight-line code; an `Objective`. Make it with `CompiledLoss.of`.

    Attributes:
        constants: float32 [live nodes]; data, so that graphs that differ in constants alone share a program.
        graph: The graph; its own constants do not matter here.
    """

    constants: Any
    graph: Graph = field(metadata={"static": True})

    @classmethod
    def of(cls, graph: Graph) -> CompiledLoss:
        """Return the loss that ``graph`` says; raise `GraphError` if it is not well formed or reads no register."""
        return cls(constants_of(graph), without_constants(graph))

    @property
    def family(self) -> str:
        """Register family."""
        return self.graph.family

    @property
    def needs(self) -> tuple[str, ...]:
        """Registers that the graph reads."""
        return self.graph.needs

    def per_sample(self, registers: Mapping[str, Any]) -> Array:
        """Return the loss of each sample, float32 [N]."""
        found = evaluate(
            self.graph, self.constants, as_rows(registers, self.needs), functions(self.graph.language, "jax")
        )
        return jnp.broadcast_to(found[0], (samples(registers),))


@partial(jax.tree_util.register_dataclass, data_fields=["index", "constants"], meta_fields=["graphs"])
@dataclass(frozen=True)
class FusedLoss:
    """One of a batch of distinct graphs, each with its own straight-line code in one program; an `Objective`.

    A population of these trains with one compilation, and only the losses and slopes, not the training loop, are compiled
    once for each graph. Make the members with `FusedLoss.batch`.

    Attributes:
        index: int32 scalar; which graph.
        constants: float32 [most live nodes of any]; padded with ones.
        graphs: All of them.
    """

    index: Any
    constants: Any
    graphs: tuple[Graph, ...] = field(metadata={"static": True})

    @classmethod
    def batch(cls, graphs: Sequence[Graph]) -> list[FusedLoss]:
        """Return one loss for each graph, in their order; graphs that differ in constants alone share their code.

        Raises:
            GraphError: No graphs, graphs of several families, or one that is not well formed or reads no register.
        """
        if len({(graph.language, graph.family) for graph in graphs}) != 1:
            raise GraphError("expected graphs of one language and register family")
        bare = [without_constants(graph) for graph in graphs]
        distinct = tuple(dict.fromkeys(bare))
        room = max(len(graph.live) for graph in graphs)
        padded = [np.pad(c, (0, room - len(c)), constant_values=1.0) for c in map(constants_of, graphs)]
        pairs = zip(bare, padded, strict=True)
        return [cls(np.int32(distinct.index(graph)), constants, distinct) for graph, constants in pairs]

    @property
    def family(self) -> str:
        """Register family."""
        return self.graphs[0].family

    @property
    def needs(self) -> tuple[str, ...]:
        """Registers that any of the graphs reads."""
        read = {name for graph in self.graphs for name in graph.needs}
        return tuple(register.name for register in self.graphs[0].registers if register.name in read)

    def members(self) -> tuple[Any, tuple[CompiledLoss, ...]]:
        """Return which of the graphs this is (int32 scalar), and the loss of each, with the constants of this one."""
        return self.index, tuple(CompiledLoss(self.constants[: len(graph.live)], graph) for graph in self.graphs)

    def per_sample(self, registers: Mapping[str, Any]) -> Array:
        """Return the loss of each sample, float32 [N]."""
        needed = {name: jnp.asarray(registers[name], jnp.float32) for name in self.needs}
        operands = (self.index, self.constants)
        loss = loss_with_slopes(self._loss, self._loss_and_slopes, operands, needed)
        return jnp.broadcast_to(loss, (samples(registers),))

    def _loss(self, operands: tuple[Array, Array], registers: Mapping[str, Array]) -> Array:
        branches = [lambda c, r, graph=graph: _loss(graph, c, r) for graph in self.graphs]
        found: Array = lax.switch(operands[0], branches, operands[1], registers)
        return found

    def _loss_and_slopes(self, operands: tuple[Array, Array], registers: Mapping[str, Array]) -> tuple[Array, Slopes]:
        names = differentiable_registers(self.graphs[0].language, self.family, self.needs)
        branches = [lambda c, r, graph=graph: _loss_and_slopes(graph, names, c, r) for graph in self.graphs]
        found: tuple[Array, Slopes] = lax.switch(operands[0], branches, operands[1], registers)
        return found


def without_constants(graph: Graph) -> Graph:
    """Return the live nodes of ``graph`` as a graph with all constants 1: what decides its code.

    Raises:
        GraphError: It is not well formed, or its loss reads no register.
    """
    check(graph)
    if not graph.needs:
        raise GraphError("the loss reads no register: it is the same number for every sample")
    count = len(graph.registers)
    place = {count + position: count + row for row, position in enumerate(graph.live)}
    nodes = [graph.nodes[position] for position in graph.live]
    bare = tuple(type(node)(node.op, tuple(place.get(i, i) for i in node.inputs)) for node in nodes)
    return Graph(bare, graph.family, graph.language)


def _loss(graph: Graph, constants: Array, registers: Mapping[str, Array]) -> Array:
    loss = CompiledLoss(constants[: len(graph.live)], graph)
    return loss.per_sample(registers)


def _loss_and_slopes(
    graph: Graph, names: tuple[str, ...], constants: Array, registers: Mapping[str, Array]
) -> tuple[Array, Slopes]:
    moving = {name: registers[name] for name in names}
    loss, pull = jax.vjp(lambda some: _loss(graph, constants, {**registers, **some}), moving)
    (slopes,) = pull(jnp.ones_like(loss))
    return loss, slopes
