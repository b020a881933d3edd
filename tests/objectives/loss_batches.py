"""Batches of registers with edges in them, and losses and slopes by every back end, for tests that these agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.interpreter import InterpretedLoss
from autorl.objectives.graphs.language import load_language
from autorl.objectives.graphs.program import Signature
from autorl.objectives.graphs.torch_twin import torch_loss

SAMPLES = 40
Registers = dict[str, np.ndarray]
Found = tuple[np.ndarray, dict[str, np.ndarray]]
"""Loss of each sample, slopes by register."""


def everything(family: str, nodes: int) -> Signature:
    """Return the signature of all registers and operators."""
    table = load_language("autorl")
    registers = tuple(register.name for register in table.registers(family))
    return Signature("autorl", family, registers, tuple(operator.name for operator in table.operators), nodes)


def differentiable(family: str) -> tuple[str, ...]:
    """Return the names of the registers that slopes flow from."""
    return tuple(r.name for r in load_language("autorl").registers(family) if r.differentiable)


def registers(family: str, actions: int, seed: int) -> Registers:
    """Return random registers [.., 40]: some ten times larger, then zeros, ties, +-1e6; a third of the samples terminated."""
    rng = np.random.default_rng(seed)
    made: Registers = {}
    for register in load_language("autorl").registers(family):
        shape = (SAMPLES,) if register.type == "float" else (actions, SAMPLES)
        value = rng.normal(size=shape)
        value[..., 10:20] *= 10.0
        value[..., 20:22] = 0.0
        value[..., 22:24] = 1.5
        value[..., 24:26] *= 1e6
        value[..., 26:28] = 1e6
        value[..., 28:30] = -1e6
        made[register.name] = value
    taken = rng.integers(0, actions, SAMPLES)
    fixed = {
        "action": np.eye(actions)[:, taken],
        "discount": 0.99 * (rng.random(SAMPLES) > 0.3),
        "progress": np.full(SAMPLES, 0.37),
    }
    made |= {name: value for name, value in fixed.items() if name in made}
    if family == "value":
        made["q_action"] = made["q"][taken, np.arange(SAMPLES)]
    return {name: value.astype(np.float32) for name, value in made.items()}


def in_jax(objective: Any, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return loss and slopes of an objective; traceable."""
    moving = {name: given[name] for name in differentiable(objective.family)}

    def total(moving: Mapping[str, Any]) -> tuple[Any, Any]:
        loss = objective.per_sample({**given, **moving})
        return loss.sum(), loss

    slopes, loss = jax.grad(total, has_aux=True)(moving)
    return loss, slopes


def interpreted(graphs: Sequence[Graph], signature: Signature, given: Registers) -> list[Found]:
    """Return what the interpreter finds, graph by graph in one program."""
    programs = jax.tree.map(lambda *leaves: np.stack(leaves), *[InterpretedLoss.of(g, signature) for g in graphs])
    found = _all_of(programs, given)
    return [jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), found) for i in range(len(graphs))]


@jax.jit
def _all_of(programs: InterpretedLoss, given: Mapping[str, Any]) -> Any:
    return jax.lax.map(lambda program: in_jax(program, given), programs)


def in_torch(graph: Graph, given: Mapping[str, np.ndarray], precision: type = np.float32) -> Found:
    """Return what the PyTorch twin finds."""
    import torch

    moving = differentiable(graph.family)
    tensors = {
        name: torch.tensor(value.astype(precision), requires_grad=name in moving) for name, value in given.items()
    }
    loss = torch_loss(graph)(tensors)
    if loss.requires_grad:
        loss.sum().backward()
    slopes = {name: np.zeros(given[name].shape) for name in moving}
    slopes |= {name: tensors[name].grad.numpy() for name in moving if tensors[name].grad is not None}
    return loss.detach().numpy(), slopes


def rounding(graph: Graph, given: Registers) -> Found:
    """Return how much the exact loss and slopes move, sample by sample, when the registers move by what float32 may round away.

    Large where a sample stands on a kink (a tie of two computed values) or a difference cancels: there no two orders of float32
    arithmetic need agree. An exact zero stays one.
    """
    rng = np.random.default_rng(0)
    exact = {name: value.astype(np.float64) for name, value in given.items()}
    fixed = in_torch(graph, exact, np.float64)
    most = jax.tree.map(np.zeros_like, fixed)
    for _ in range(2):
        moved = {name: value * (1.0 + 1e-6 * rng.uniform(-1.0, 1.0, value.shape)) for name, value in exact.items()}
        change = jax.tree.map(lambda a, b: np.abs(a - b), fixed, in_torch(graph, moved, np.float64))
        most = jax.tree.map(np.maximum, most, change)
    return most


def disagreement(one: Found, other: Found, allowed: Found | None = None) -> float:
    """Return the largest difference relative to scale (at least 1), less what is ``allowed``; NaN agrees with nothing."""

    def worst(a: Any, b: Any, slack: Any) -> float:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        excess = (np.abs(a - b) - slack) / np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
        return float(np.inf) if np.isnan(excess).any() else float(np.max(excess))

    allowed = allowed or (np.zeros(()), {name: np.zeros(()) for name in one[1]})
    return max(worst(one[0], other[0], allowed[0]), *(worst(one[1][n], other[1][n], allowed[1][n]) for n in one[1]))
