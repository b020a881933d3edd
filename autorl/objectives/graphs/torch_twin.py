"""A loss graph as a PyTorch function of tensors, differentiable by autograd: the same loss and slopes as in JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from autorl.errors import MissingDependencyError
from autorl.objectives.graphs.compiled import constants_of, evaluate, functions, without_constants
from autorl.objectives.graphs.graph import Graph

if TYPE_CHECKING:
    from torch import Tensor


def torch_loss(graph: Graph) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """Return ``per_sample(registers)``: the loss of each sample, float32 [N].

    Its registers are tensors by name: floats [N] or a scalar, lists and one-hot actions [A, N] (PyTorch code mostly holds
    [N, A]: pass ``.T``). Their dtype and device are kept.

    Raises:
        GraphError: ``graph`` is not well formed, or its loss reads no register.
        MissingDependencyError: PyTorch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingDependencyError("PyTorch is not installed; install autorl[torch]") from error
    bare, constants = without_constants(graph), [float(c) for c in constants_of(graph)]
    module = functions(graph.language, "torch")

    def per_sample(registers: Mapping[str, Tensor]) -> Tensor:
        rows = {
            name: registers[name] if registers[name].ndim == 2 else registers[name].reshape(1, -1)
            for name in bare.needs
        }
        loss: Tensor = evaluate(bare, constants, rows, module)[0]
        count = max((value.shape[-1] for value in registers.values() if value.ndim), default=1)
        return torch.broadcast_to(loss, (count,))

    return per_sample
