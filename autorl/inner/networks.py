"""Networks of the agents: plain multilayer perceptrons (flax.linen), built from the static hyperparameters alone.

Observations of any rank are flattened first, images ([H, W, C], as in MinAtar) too: at MinAtar's 10 x 10 cells a
perceptron over the flat binary planes learns the games, and costs a CPU far less than a convolution.

Hidden layers start orthogonal with gain sqrt(2) and zero bias, output layers with the gain of their role
(Huang et al., 2022, "The 37 implementation details of PPO", detail 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.protocol import Box, Discrete

Activation = Literal["tanh", "relu"]
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": jnp.tanh, "relu": nn.relu}
Parameters = Any
"""A pytree of float32 arrays, as `flax.linen.Module.init` returns it (the ``params`` collection alone)."""


def action_outputs(space: Discrete | Box) -> int:
    """Return how many numbers a policy puts out for ``space``: logits, or one mean for each action dimension."""
    return space.n if isinstance(space, Discrete) else math.prod(space.shape)


def flatten_observations(observations: Array, shape: tuple[int, ...]) -> Array:
    """Return float32 [..., prod(shape)] for ``observations`` [..., *shape]."""
    lead = observations.shape[: observations.ndim - len(shape)]
    return observations.astype(jnp.float32).reshape(*lead, math.prod(shape))


@jax.custom_vjp
def matmul(x: Array, kernel: Array) -> Array:
    """Return ``x`` [..., D] times ``kernel`` [D, O]. Same numbers as ``x @ kernel``, with a faster gradient on a CPU.

    The gradient of the kernel contracts over the batch, the leading axis of both its operands. XLA's CPU backend has no
    fast kernel for that (measured: three times the time of the other two products); transposing one operand first gives it one.
    The gradient of ``x`` multiplies by the transposed kernel; where ``x`` has fewer rows than the kernel has rows or columns, the
    gradient of the product and the result are transposed instead, which are smaller.
    """
    return x @ kernel


def _matmul_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ kernel, (x, kernel)


def _matmul_backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, kernel = saved
    rows, columns = x.reshape(-1, kernel.shape[0]), gradient.reshape(-1, kernel.shape[1])
    # the barrier keeps XLA from folding the transpose back into the product; the narrower operand is the one to copy
    if kernel.shape[0] <= kernel.shape[1]:
        kernel_gradient = lax.optimization_barrier(rows.T) @ columns
    else:
        kernel_gradient = lax.optimization_barrier(lax.optimization_barrier(columns.T) @ rows).T
    if len(rows) >= min(kernel.shape):
        return gradient @ kernel.T, kernel_gradient
    # few samples: rather transpose them, twice, than the kernel
    few = lax.optimization_barrier(kernel @ lax.optimization_barrier(columns.T)).T
    return few.reshape(x.shape), kernel_gradient


matmul.defvjp(_matmul_forward, _matmul_backward)


def _dot_general(x: Array, kernel: Array, dimension_numbers: Any, **_: Any) -> Array:
    """Stand in for `lax.dot_general` in `flax.linen.Dense`, which always contracts the last axis with the first."""
    del dimension_numbers
    return matmul(x, kernel)


def _dense(features: int, gain: float) -> nn.Dense:
    return nn.Dense(features, kernel_init=nn.initializers.orthogonal(gain), dot_general=_dot_general)


class MLP(nn.Module):
    """``n_layers`` hidden layers of ``hidden_size`` and a linear output layer, over flat inputs [..., D].

    Attributes:
        outputs: Width of the output layer.
        hidden_size: Width of every hidden layer.
        n_layers: Number of hidden layers (0: a linear map).
        activation: ``tanh`` or ``relu``.
        output_scale: Gain of the output layer's orthogonal initial weights.
    """

    outputs: int
    hidden_size: int = 64
    n_layers: int = 2
    activation: str = "tanh"
    output_scale: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Return [..., outputs]."""
        for _ in range(self.n_layers):
            x = ACTIVATIONS[self.activation](_dense(self.hidden_size, math.sqrt(2.0))(x))
        return _dense(self.outputs, self.output_scale)(x)


class QNetwork(nn.Module):
    """Action values of a discrete action space: observations [..., *observation_shape] -> [..., actions]."""

    actions: int
    observation_shape: tuple[int, ...]
    hidden_size: int = 64
    n_layers: int = 2
    activation: str = "tanh"

    @nn.compact
    def __call__(self, observations: Array) -> Array:
        """Return float32 [..., actions]."""
        x = flatten_observations(observations, self.observation_shape)
        return MLP(self.actions, self.hidden_size, self.n_layers, self.activation)(x)


class TwinCritic(nn.Module):
    """Two critics that share nothing: flat observations [N, D] and actions [N, A] -> values [2, N].

    Attributes:
        hidden_size: Width of the hidden layers of both.
        n_layers: Number of hidden layers of both.
        activation: ``tanh`` or ``relu``.
    """

    hidden_size: int = 64
    n_layers: int = 2
    activation: str = "tanh"

    @nn.compact
    def __call__(self, observations: Array, actions: Array) -> Array:
        """Return float32 [2, N]."""
        x = jnp.concatenate([observations, actions], axis=-1)
        # one after the other: on a CPU, slopes of batched products take three times as long (measured, width 256)
        values = [MLP(1, self.hidden_size, self.n_layers, self.activation)(x)[..., 0] for _ in range(2)]
        return jnp.stack(values)


class ActorCritic(nn.Module):
    """Separate actor and critic (no shared layer), and the log standard deviation of a Gaussian policy.

    Attributes:
        outputs: Logits of a discrete policy, or means of a Gaussian one (`action_outputs`).
        continuous: Whether there is a state-independent ``log_std`` [outputs], zero at first.
        hidden_size: Width of the hidden layers of both.
        n_layers: Number of hidden layers of both.
        activation: ``tanh`` or ``relu``.
    """

    outputs: int
    continuous: bool
    hidden_size: int = 64
    n_layers: int = 2
    activation: str = "tanh"

    def setup(self) -> None:
        """Declare both networks; the actor starts near uniform (gain 0.01), the critic with gain 1."""
        self.actor = MLP(self.outputs, self.hidden_size, self.n_layers, self.activation, 0.01)
        self.critic = MLP(1, self.hidden_size, self.n_layers, self.activation, 1.0)
        if self.continuous:
            self.log_std = self.param("log_std", nn.initializers.zeros, (self.outputs,))

    def policy(self, x: Array) -> Array:
        """Return logits or means [..., outputs] for flat observations [..., D]."""
        return self.actor(x)

    def value(self, x: Array) -> Array:
        """Return state values [...] for flat observations [..., D]."""
        return self.critic(x)[..., 0]

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Return (policy outputs [..., outputs], values [...])."""
        return self.policy(x), self.value(x)
