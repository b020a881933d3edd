"""What the operators of ``coreyes2021`` do, in PyTorch: one plain function for each, ``f(constant, *inputs)``.

As `functions_coreyes_jax`, function by function, slopes too: floats [1, N], lists and one-hot actions [A, N], states [D, N],
networks: functions from [D, N] to [A, N]; random words int64 [2], each below 2**32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]
LIMIT = 1e10
_LOG_LIMIT = 23.025851  # exp of it is 1e10
_WORD = 0xFFFFFFFF


class Bounded(torch.autograd.Function):
    """Keeps values and the slopes that flow back within +-LIMIT; no slope where the value was outside."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        """Return ``x`` within +-LIMIT."""
        context.save_for_backward(x)
        return torch.clamp(x, -LIMIT, LIMIT)

    @staticmethod
    def backward(context: Any, slope: Tensor) -> Tensor:
        """Return the slope within +-LIMIT, 0 where the value was outside."""
        (x,) = context.saved_tensors
        return torch.where(torch.abs(x) > LIMIT, 0.0, torch.clamp(slope, -LIMIT, LIMIT))


def bounded(x: Tensor) -> Tensor:
    """Return ``x`` within +-LIMIT. The slope that flows back saturates there too, and is 0 where ``x`` was outside."""
    return Bounded.apply(x)


def folded(key: Tensor, position: int) -> Tensor:
    """Return the random words, int64 [2], of the live node at ``position``, from the words ``key`` of the update."""
    count = torch.arange(1, 3) + 2 * position
    return _mixed(key ^ _mixed((key.flip(0) + 0x9E3779B9 * count) & _WORD))


def _mixed(x: Tensor) -> Tensor:
    """Return the finalizer of MurmurHash3, a permutation of the words in which every bit depends on every bit."""
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & _WORD
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & _WORD
    return x ^ (x >> 16)


def q_value_list(c: Tensor, network: Network, state: Tensor) -> Tensor:
    """Return the network's values of all actions."""
    return network(state)


def q_value_list_from_vec(c: Tensor, network: Network, features: Tensor) -> Tensor:
    """Return the values of all actions by the network's head."""
    return network(features)


def state_encoder(c: Tensor, network: Network, state: Tensor) -> Tensor:
    """Return the network's outputs, as features."""
    return network(state)


def q_value(c: Tensor, network: Network, state: Tensor, action: Tensor) -> Tensor:
    """Return the network's value of one action."""
    return torch.sum(network(state) * action, dim=0, keepdim=True)


def subtract(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return x - y."""
    return x - y


def add(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return x + y."""
    return x + y


def dot_product(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the sum of x y over the numbers of a state."""
    return torch.sum(x * y, dim=0, keepdim=True)


def dot_product_list(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return x y."""
    return x * y


def l2_distance(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return half the squared difference, summed over the numbers of a state."""
    return 0.5 * torch.sum((x - y) * (x - y), dim=0, keepdim=True)


def l2_norm(c: Tensor, x: Tensor) -> Tensor:
    """Return x squared, summed over the numbers of a state."""
    return torch.sum(x * x, dim=0, keepdim=True)


def l2_norm_list(c: Tensor, x: Tensor) -> Tensor:
    """Return x squared."""
    return x * x


def select_list(c: Tensor, x: Tensor, action: Tensor) -> Tensor:
    """Return the entry of the list x that the one-hot action names."""
    return torch.sum(x * action, dim=0, keepdim=True)


def multiply_float(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return x y; one of them is a float."""
    return x * y


def arg_max_list(c: Tensor, x: Tensor) -> Tensor:
    """Return the action, one-hot, of the largest entry; the first of ties. No slope."""
    return (torch.arange(x.shape[0])[:, None] == torch.argmax(x, dim=0, keepdim=True)).to(x.dtype)


def max_list(c: Tensor, x: Tensor) -> Tensor:
    """Return the largest entry; ties share the slope."""
    return torch.amax(x, dim=0, keepdim=True)


def sum_list(c: Tensor, x: Tensor) -> Tensor:
    """Return the sum of the entries."""
    return torch.sum(x, dim=0, keepdim=True)


def mean_list(c: Tensor, x: Tensor) -> Tensor:
    """Return the mean of the entries."""
    return torch.mean(x, dim=0, keepdim=True)


def std_list(c: Tensor, x: Tensor) -> Tensor:
    """Return the standard deviation of the entries; slope 0 where they are equal."""
    apart = x - x[:1].detach()  # so that equal entries differ by 0, not by rounding
    apart = apart - torch.mean(apart, dim=0, keepdim=True)
    variance = torch.mean(apart * apart, dim=0, keepdim=True)
    return torch.where(variance == 0.0, 0.0, torch.sqrt(torch.where(variance == 0.0, 1.0, variance)))


def log_sum_exp_list(c: Tensor, x: Tensor) -> Tensor:
    """Return log sum exp of the entries."""
    top = torch.amax(x, dim=0, keepdim=True).detach()
    return top + torch.log(torch.sum(torch.exp(x - top), dim=0, keepdim=True))


def softmax(c: Tensor, x: Tensor) -> Tensor:
    """Return exp of the entries, divided by its sum."""
    share = torch.exp(x - torch.amax(x, dim=0, keepdim=True).detach())
    return share / torch.sum(share, dim=0, keepdim=True)


def entropy(c: Tensor, p: Tensor) -> Tensor:
    """Return sum p log(p + 1e-8): minus the entropy. In the logarithm a p below 0 counts as 0 (the original gives NaN)."""
    return torch.sum(p * torch.log(torch.where(p < 0.0, 0.0, p) + 1e-8), dim=0, keepdim=True)


def kl_div(c: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """Return sum p log(p / q), all of them kept within [1e-7, 1]."""
    p = torch.where(p > 1.0, 1.0, torch.where(p < 1e-7, 1e-7, p))
    q = torch.where(q > 1.0, 1.0, torch.where(q < 1e-7, 1e-7, q))
    return torch.sum(p * torch.log(p / q), dim=0, keepdim=True)


def min(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the smaller; a tie shares the slope."""
    return torch.minimum(x, y)


def max(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the larger; a tie shares the slope."""
    return torch.maximum(x, y)


def max_float(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the larger; one of them is a float."""
    return torch.maximum(x, y)


def add_gaussian_noise(c: Tensor, x: Tensor) -> Tensor:
    """Return x: keras' layer adds noise in keras' training mode only, in which the released search never is."""
    return x


def log(c: Tensor, x: Tensor) -> Tensor:
    """Return the logarithm of |x| + 1e-12."""
    return torch.log(torch.abs(x) + 1e-12)


def exp(c: Tensor, x: Tensor) -> Tensor:
    """Return e to the power of x, at most 1e10."""
    return torch.exp(torch.where(x > _LOG_LIMIT, _LOG_LIMIT, x))


def abs(c: Tensor, x: Tensor) -> Tensor:
    """Return |x|; slope 0 at 0."""
    return torch.abs(x)


def multiply_tenth(c: Tensor, x: Tensor) -> Tensor:
    """Return 0.1 x."""
    return 0.1 * x


def div(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return x / (y + 1e-10), with 1e-10 for a divisor of 0. Slopes are bounded here too: their sums must not meet infinities."""
    below = bounded(y) + 1e-10
    # by the inverse: the derivative of x / y divides by y twice, which overflows to infinity, and 0 times that is no number
    return bounded(x) * (1.0 / torch.where(below == 0.0, 1e-10, below))


def mean_batch(c: Tensor, x: Tensor) -> Tensor:
    """Return the mean over the samples, the same for each."""
    return torch.mean(x, dim=1, keepdim=True).expand(x.shape)


def std_batch(c: Tensor, x: Tensor) -> Tensor:
    """Return the standard deviation over the samples, the same for each; slope 0 where they are equal."""
    apart = x - x[:, :1].detach()
    apart = apart - torch.mean(apart, dim=1, keepdim=True)
    variance = torch.mean(apart * apart, dim=1, keepdim=True)
    deviation = torch.where(variance == 0.0, 0.0, torch.sqrt(torch.where(variance == 0.0, 1.0, variance)))
    return deviation.expand(x.shape)


def constant_p5(c: Tensor, source: Tensor) -> Tensor:
    """Return 0.5."""
    return torch.full((1, 1), 0.5)


def constant_p2(c: Tensor, source: Tensor) -> Tensor:
    """Return 0.2."""
    return torch.full((1, 1), 0.2)


def constant_p1(c: Tensor, source: Tensor) -> Tensor:
    """Return 0.1."""
    return torch.full((1, 1), 0.1)


def constant_p01(c: Tensor, source: Tensor) -> Tensor:
    """Return 0.01."""
    return torch.full((1, 1), 0.01)


def constant_uniform(c: Tensor, source: Tensor) -> Tensor:
    """Return one number of [0, 1) for all samples, of the random words ``source`` (uint32 [2]) of this node."""
    return ((source[:1] >> 8).to(torch.float32) * 2.0**-24).reshape(1, 1)


def constant_gaussian(c: Tensor, source: Tensor) -> Tensor:
    """Return one standard normal number for all samples (Box and Muller), of the random words ``source`` of this node."""
    even = (source >> 8).to(torch.float32) * 2.0**-24
    distance = torch.sqrt(-2.0 * torch.log(even[:1] + 2.0**-24))
    return (distance * torch.cos(2.0 * torch.pi * even[1:])).reshape(1, 1)


def weighted_loss(c: Tensor, x: Tensor) -> Tensor:
    """Return c x: the output, times the loss weight."""
    return c * x
