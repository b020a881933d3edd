"""What DQN minimises on one batch: half the squared TD error by hand, or any objective of the family ``value``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.inner.registers import Values, mean_loss, value_registers
from autorl.inner.replay import Sample, Transitions
from autorl.objectives.protocol import Objective, Reading

Network = Callable[[Any], Values]
"""From a network's parameters (a tree) to its action values."""


class Slope(NamedTuple):
    """What one batch says.

    Attributes:
        loss: float32 scalar; weighted mean over the batch.
        error: float32 [N]; TD errors, for priorities.
        value: float32 [N]; Q(s, a).
        gradient: Of the loss with respect to the parameters, a tree like them.
    """

    loss: Array
    error: Array
    value: Array
    gradient: Any


def td_targets(batch: Transitions, next_values: Array, gamma: Array) -> Array:
    """Return ``r + gamma (1 - terminated) max_a Q(s', a)`` [N]; ``next_values`` are Q(s', a) [N, actions]."""
    return batch.reward + gamma * (1.0 - batch.terminated) * jnp.max(next_values, axis=-1)


def td_slope(network: Network, tree: Any, bootstrap: Values, drawn: Sample, actions: int, gamma: Array) -> Slope:
    """Return loss and gradient of half the squared TD error.

    Args:
        network: Whose parameters are learned.
        tree: Its parameters.
        bootstrap: Action values of the network that targets are taken from.
        drawn: The batch, with its weights.
        actions: Number of actions.
        gamma: Discount, float32 scalar.
    """
    batch = drawn.transitions
    target = td_targets(batch, bootstrap(batch.next_observation), gamma)

    def loss_of(tree: Any) -> tuple[Array, tuple[Array, Array]]:
        values = network(tree)(batch.observation)
        taken = jax.nn.one_hot(batch.action, actions, dtype=jnp.float32)
        value = jnp.sum(values * taken, axis=1)
        error = target - value
        return jnp.mean(drawn.weights * 0.5 * jnp.square(error)), (error, value)

    (loss, (error, value)), gradient = jax.value_and_grad(loss_of, has_aux=True)(tree)
    return Slope(loss, error, value, gradient)


def objective_slope(
    objective: Objective,
    network: Network,
    tree: Any,
    bootstrap: Values,
    drawn: Sample,
    actions: int,
    gamma: Array,
    progress: Array,
    prioritised: Array,
) -> Slope:
    """Return loss and gradient of ``objective``; the TD errors are 0 unless ``prioritised``, or if they cost nothing.

    Args:
        objective: Of the family ``value``.
        network: Whose parameters are learned.
        tree: Its parameters.
        bootstrap: Action values of the network that targets are taken from.
        drawn: The batch, with its weights.
        actions: Number of actions.
        gamma: Discount, float32 scalar.
        progress: Part of the training done, float32 scalar.
        prioritised: bool scalar; whether priorities are asked for.
    """
    batch = drawn.transitions
    needs = tuple(dict.fromkeys((*objective.needs, "q_action")))
    reads = objective.reads() if isinstance(objective, Reading) else {}
    if "q_target_next" in reads:
        reads |= {"q_target_next": reads["q_target_next"] | prioritised}

    def loss_of(tree: Any) -> tuple[Array, dict[str, Array]]:
        registers = value_registers(needs, batch, network(tree), bootstrap, actions, gamma, progress, reads)
        return mean_loss(objective, registers, drawn.weights), registers

    (loss, registers), gradient = jax.value_and_grad(loss_of, has_aux=True)(tree)
    value = registers["q_action"]
    if "q_target_next" in registers:
        error = td_targets(batch, registers["q_target_next"].T, gamma) - value
    else:
        error = lax.cond(
            prioritised,
            lambda: td_targets(batch, bootstrap(batch.next_observation), gamma) - value,
            lambda: jnp.zeros_like(value),
        )
    return Slope(loss, error, value, gradient)
