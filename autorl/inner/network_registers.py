"""What DQN minimises on one batch when the objective applies the networks itself: the family ``network`` of Co-Reyes et al. (2021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.inner.dqn_loss import Slope, td_targets
from autorl.inner.normalisation import Normaliser
from autorl.inner.registers import mean_loss
from autorl.inner.replay import Sample
from autorl.objectives.graphs.networks import network_registers
from autorl.objectives.protocol import Objective

Apply = Callable[[Any, Array], Array]
"""From a network's parameters (a tree) and inputs [N, D] to its action values [N, A]; closes over no traced value."""


def network_slope(
    objective: Objective,
    apply: Apply,
    normalise: Normaliser,
    tree: Any,
    target: Any,
    drawn: Sample,
    actions: int,
    gamma: Array,
    words: Array,
    prioritised: Array,
) -> Slope:
    """Return loss and gradient of an objective of the family ``network``; the TD errors are 0 unless ``prioritised``.

    States in the graph are what the network reads: observations after normalisation. The discount is ``gamma`` where the episode
    goes on and 0 where it terminated; where it was merely cut, the next state is the one before the reset.

    Args:
        objective: Of the family ``network``.
        apply: Of the agent's and the target network.
        normalise: From raw observations [N, D] to what the network reads.
        tree: Parameters being learned.
        target: Parameters of the network that targets are taken from.
        drawn: The batch, with its weights.
        actions: Number of actions.
        gamma: Discount, float32 scalar.
        words: uint32 [2]; random words of this update, for the graph's random constants.
        prioritised: bool scalar; whether priorities are asked for.
    """
    batch = drawn.transitions
    states, next_states = normalise(batch.observation), normalise(batch.next_observation)
    discounts = gamma * (1.0 - batch.terminated)

    def loss_of(tree: Any) -> Array:
        registers = network_registers(
            apply, tree, target, states, batch.action, batch.reward, discounts, next_states, actions, words
        )
        return mean_loss(objective, registers, drawn.weights)

    loss, gradient = jax.value_and_grad(loss_of)(tree)
    taken = jax.nn.one_hot(batch.action, actions, dtype=jnp.float32)
    value = jnp.sum(apply(tree, states) * taken, axis=1)
    error = lax.cond(
        prioritised,
        lambda: td_targets(batch, apply(target, next_states), gamma) - value,
        lambda: jnp.zeros_like(value),
    )
    return Slope(loss, error, value, gradient)
