"""What the operators of the language ``autorl`` do, in PyTorch. As `functions_jax`, which see; values and slopes are the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LIMIT = 1e10
"""As in `autorl.objectives.graphs.language`; repeated, so that this file stands alone."""


class Bounded(torch.autograd.Function):
    """Within +-LIMIT. The slope that flows back saturates there too, and is 0 where the input was outside."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        """Return ``x`` within +-LIMIT."""
        context.save_for_backward(x)
        return torch.clamp(x, -LIMIT, LIMIT)

    @staticmethod
    def backward(context: Any, slope: Tensor) -> Tensor:
        """Return the slope that flows on."""
        (x,) = context.saved_tensors
        return torch.where(torch.abs(x) > LIMIT, 0.0, torch.clamp(slope, -LIMIT, LIMIT))


def bounded(x: Tensor) -> Tensor:
    """Return ``x`` within +-LIMIT, by `Bounded`."""
    result: Tensor = Bounded.apply(x)
    return result


def add(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return x + y."""
    return x + y


def sub(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return x - y."""
    return x - y


def mul(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return x y."""
    return x * y


def div(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return x / y, with y kept 1e-6 away from 0 (0 counts as positive)."""
    return x / torch.where(torch.abs(y) < 1e-6, torch.where(y < 0.0, -1e-6, 1e-6), y)


def min(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the smaller; a tie shares the slope."""
    return torch.minimum(x, y)


def max(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the larger; a tie shares the slope."""
    return torch.maximum(x, y)


def greater(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return 1 where x > y, else 0. No slope."""
    return torch.where(x > y, 1.0, 0.0)


def square(c: Tensor, x: Tensor) -> Tensor:
    """Return x squared."""
    return x * x


def abs(c: Tensor, x: Tensor) -> Tensor:
    """Return |x|; slope 0 at 0."""
    return torch.abs(x)


def log(c: Tensor, x: Tensor) -> Tensor:
    """Return log |x|, with |x| at least 1e-8."""
    size = torch.abs(x)
    return torch.log(torch.where(size < 1e-8, 1e-8, size))


def exp(c: Tensor, x: Tensor) -> Tensor:
    """Return the exponential of x, with x within +-20."""
    return torch.exp(torch.where(x > 20.0, 20.0, torch.where(x < -20.0, -20.0, x)))


def tanh(c: Tensor, x: Tensor) -> Tensor:
    """Return the hyperbolic tangent."""
    return torch.tanh(x)


def relu(c: Tensor, x: Tensor) -> Tensor:
    """Return x where positive, else 0; slope 0 at 0."""
    return torch.where(x <= 0.0, 0.0, x)


def scale(c: Tensor, x: Tensor) -> Tensor:
    """Return c x."""
    return c * x


def stop_gradient(c: Tensor, x: Tensor) -> Tensor:
    """Return x. No slope."""
    return x.detach()


def constant(c: Tensor) -> Tensor:
    """Return c, without dimensions, so that it goes with tensors of any device."""
    return torch.as_tensor(c, dtype=torch.float32)


def select(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the entry of the list x that the one-hot action y names."""
    return torch.sum(x * y, dim=0, keepdim=True)


def argmax_a(c: Tensor, x: Tensor) -> Tensor:
    """Return the action, one-hot, of the largest entry; the first of ties. No slope."""
    return torch.where(
        torch.arange(x.shape[0], device=x.device)[:, None] == torch.argmax(x, dim=0, keepdim=True), 1.0, 0.0
    )


def max_a(c: Tensor, x: Tensor) -> Tensor:
    """Return the largest entry; ties share the slope."""
    return torch.amax(x, dim=0, keepdim=True)


def mean_a(c: Tensor, x: Tensor) -> Tensor:
    """Return the mean over actions."""
    return torch.mean(x, dim=0, keepdim=True)


def sum_a(c: Tensor, x: Tensor) -> Tensor:
    """Return the sum over actions."""
    return torch.sum(x, dim=0, keepdim=True)


def logsumexp_a(c: Tensor, x: Tensor) -> Tensor:
    """Return log sum exp over actions."""
    top = torch.amax(x, dim=0, keepdim=True).detach()
    return top + torch.log(torch.sum(torch.exp(x - top), dim=0, keepdim=True))


def softmax_a(c: Tensor, x: Tensor) -> Tensor:
    """Return exp over actions, divided by its sum."""
    share = torch.exp(x - torch.amax(x, dim=0, keepdim=True).detach())
    return share / torch.sum(share, dim=0, keepdim=True)


def entropy_a(c: Tensor, x: Tensor) -> Tensor:
    """Return the entropy of probabilities, each kept within [1e-8, 1]."""
    share = torch.where(x > 1.0, 1.0, torch.where(x < 1e-8, 1e-8, x))
    return -torch.sum(share * torch.log(share), dim=0, keepdim=True)
