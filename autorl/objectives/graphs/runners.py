"""From a loss graph of any family to what a learner runs. Losses that apply the networks themselves have back ends of their own."""

from __future__ import annotations

from collections.abc import Sequence

from autorl.objectives.graphs.compiled import CompiledLoss, FusedLoss
from autorl.objectives.graphs.compiled_coreyes import CompiledNetworkLoss, FusedNetworkLoss
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.interpreter import InterpretedLoss
from autorl.objectives.graphs.interpreter_coreyes import InterpretedNetworkLoss
from autorl.objectives.graphs.program import Signature
from autorl.objectives.graphs.program_coreyes import NetworkSignature
from autorl.objectives.protocol import Objective

NETWORK = "network"
AnySignature = Signature | NetworkSignature


def compiled(graph: Graph) -> Objective:
    """Return the loss as straight-line code; raise `GraphError` if the graph is not well formed or reads no register."""
    return CompiledNetworkLoss.of(graph) if graph.family == NETWORK else CompiledLoss.of(graph)


def interpreted(graph: Graph, signature: AnySignature) -> Objective:
    """Return the loss as data for the interpreter of ``signature``; raise `GraphError` if that does not cover it."""
    if isinstance(signature, NetworkSignature):
        return InterpretedNetworkLoss.of(graph, signature)
    return InterpretedLoss.of(graph, signature)


def covering(graphs: Sequence[Graph]) -> AnySignature:
    """Return the smallest signature that runs all ``graphs``, of one family; raise `GraphError` if there is none."""
    network = all(graph.family == NETWORK for graph in graphs)
    return NetworkSignature.covering(graphs) if network else Signature.covering(graphs)


def fused(graphs: Sequence[Graph]) -> list[Objective]:
    """Return one loss for each graph, in their order, those of a family in one program; raise `GraphError` if one is malformed."""
    own = [graph for graph in graphs if graph.family == NETWORK]
    rest = [graph for graph in graphs if graph.family != NETWORK]
    networks = iter(FusedNetworkLoss.batch(own) if own else [])
    others = iter(FusedLoss.batch(rest) if rest else [])
    return [next(networks) if graph.family == NETWORK else next(others) for graph in graphs]


def signature_for(
    language: str, family: str, registers: tuple[str, ...], operators: tuple[str, ...], nodes: int
) -> AnySignature:
    """Return what an interpreter must be able to run for all graphs of these registers and operators, of at most ``nodes`` nodes."""
    if family == NETWORK:
        return NetworkSignature.of(nodes, operators)
    return Signature(language, family, registers, operators, nodes)
