"""Batches of registers with edges in them, and losses and slopes by every back end, for tests that these agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from autorl.objectives.graphs.compiled import constants_of, evaluate, functions
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


def in_torch(graph: Graph, given: Registers) -> Found:
    """Return what the PyTorch twin finds."""
    return _by_torch(torch_loss(graph), graph.family, given, np.float32)


def _by_torch(per_sample: Any, family: str, given: Registers, precision: type) -> Found:
    import torch

    moving = differentiable(family)
    tensors = {
        name: torch.tensor(value.astype(precision), requires_grad=name in moving) for name, value in given.items()
    }
    loss = per_sample(tensors)
    if loss.requires_grad:
        loss.sum().backward()
    slopes = {name: np.zeros(given[name].shape) for name in moving}
    slopes |= {name: tensors[name].grad.numpy() for name in moving if tensors[name].grad is not None}
    return loss.detach().numpy(), slopes


class Rounded:
    """Operators of which each reads its inputs with a random relative error of the size of float32's."""

    def __init__(self, module: Any, seed: int, error: float) -> None:
        import torch

        self._module, self._error = module, error
        self._draw = torch.Generator().manual_seed(seed)

    def __getattr__(self, name: str) -> Any:
        import torch

        function = getattr(self._module, name)

        def rounded(constant: float, *inputs: Any) -> Any:
            if name == "tanh":  # its slope 1 - t^2 is where the error of t shows most
                x, t = inputs[0], torch.tanh(inputs[0].detach())
                wrong = t * (1 + self._error * (torch.rand(x.shape, generator=self._draw, dtype=x.dtype) * 2 - 1))
                return wrong + (1 - wrong * wrong) * (x - x.detach())
            if name == "softmax_a":  # and here 1 - p, of what is nearly all: the two terms that leave it cancel
                x, p = inputs[0], torch.softmax(inputs[0].detach(), 0)
                wrong = p * (1 + self._error * (torch.rand(x.shape, generator=self._draw, dtype=x.dtype) * 2 - 1))
                change = x - x.detach()
                return wrong + wrong * (change - torch.sum(wrong * change, 0, keepdim=True))
            noise = [torch.rand(x.shape, generator=self._draw, dtype=x.dtype) * 2 - 1 for x in inputs]
            return function(constant, *(x * (1 + self._error * e) for x, e in zip(inputs, noise, strict=True)))

        return function if name == "bounded" else rounded


def rounding(graph: Graph, given: Registers, draws: int) -> Found:
    """Return how far loss and slopes move, sample by sample, when every operator reads its inputs a little rounded.

    By the PyTorch functions, in double precision and in single (which also shows what its slopes lose); an exact zero stays one.
    Large where a sample stands on a kink (a tie) or large terms cancel: there no two orders of float32 arithmetic need agree. Ties
    themselves are for the tests of single operators.
    """
    constants, module = constants_of(graph), functions("autorl", "torch")

    def found(error: float, seed: int, precision: type) -> Found:
        def per_sample(tensors: Mapping[str, Any]) -> Any:
            rows = {name: value if value.ndim == 2 else value[None] for name, value in tensors.items()}
            return evaluate(graph, [float(c) for c in constants], rows, Rounded(module, seed, error))[0]

        return _by_torch(per_sample, graph.family, given, precision)

    exact = found(0.0, 0, np.float64)
    moved = [found(5e-7, seed, precision) for seed in range(draws) for precision in (np.float32, np.float64)]
    changes = [jax.tree.map(lambda a, b: 4.0 * np.abs(a - b), exact, one) for one in moved]
    return jax.tree.map(lambda *some: np.max(some, axis=0), *changes)


def agree(graph: Graph, given: Registers, one: Found, other: Found, close: float = 1e-5) -> bool:
    """Return whether two back ends mean the same by a graph: to ``close``, relative to scale, and to what rounding decides."""
    if disagreement(one, other) < close:
        return True
    return any(disagreement(one, other, rounding(graph, given, draws)) < close for draws in (2, 40))


def disagreement(one: Found, other: Found, allowed: Found | None = None) -> float:
    """Return the largest difference relative to scale (at least 1), less what is ``allowed``; NaN agrees with nothing."""

    def worst(a: Any, b: Any, slack: Any) -> float:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        excess = (np.abs(a - b) - slack) / np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
        return float(np.inf) if np.isnan(excess).any() else float(np.max(excess))

    allowed = allowed or (np.zeros(()), {name: np.zeros(()) for name in one[1]})
    return max(worst(one[0], other[0], allowed[0]), *(worst(one[1][n], other[1][n], allowed[1][n]) for n in one[1]))
