"""What the learner hands to losses of the family ``network``: networks as values, and the shapes of the other registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


@partial(jax.tree_util.register_dataclass, data_fields=["parameters"], meta_fields=["apply"])
@dataclass(frozen=True)
class Network:
    """A network as the value of a register: slopes flow into its parameters.

    Attributes:
        parameters: A pytree of arrays.
        apply: Pure; from parameters and observations [D, N] to action values [A, N].
    """

    parameters: Any
    apply: Callable[[Any, Array], Array] = field(metadata={"static": True})

    def __call__(self, states: Array) -> Array:
        """Return the action values, float32 [A, N], of ``states`` [D, N]."""
        return self.apply(self.parameters, states)


def network_registers(
    apply: Callable[[Any, Array], Array],
    parameters: Any,
    target_parameters: Any,
    states: Array,
    actions: Array,
    rewards: Array,
    discounts: Array,
    next_states: Array,
    n_actions: int,
    words: Array,
) -> dict[str, Any]:
    """Return the registers of the family ``network``, from a batch as replay buffers hold it.

    A learner calls this within the function that it differentiates with respect to ``parameters``::

        def loss_of(parameters):
            registers = network_registers(apply, parameters, target, ...)
            return jnp.mean(weights * objective.per_sample(registers))

    Args:
        apply: From a network's parameters and observations [N, D] to action values [N, A]; as flax networks have it.
        parameters: Of the agent's network; slopes flow into them.
        target_parameters: Of the target network (the same pytree as ``parameters``, no slopes).
        states: Observations, float32 [N, D].
        actions: Actions taken, int32 [N].
        rewards: float32 [N].
        discounts: Discount, 0 where the episode terminated (not where it was cut), float32 [N].
        next_states: Observations after the step, before any reset, float32 [N, D].
        n_actions: A.
        words: uint32 [2]: random words of this update, fresh for each (a stream of its own, folded with the count of updates).
            Only `constant_gaussian` and `constant_uniform` read them, each folded with its node's position.
    """

    def in_columns(tree: Any, columns: Array) -> Array:
        return apply(tree, columns.T).T

    return {
        "q_param": Network(parameters, in_columns),
        "action": jax.nn.one_hot(actions, n_actions, dtype=jnp.float32).T,
        "s_tm1": states.T,
        "q_targ_param": Network(target_parameters, in_columns),
        "s_t": next_states.T,
        "reward": rewards,
        "discount": discounts,
        "constant": words,
    }


def width(registers: Mapping[str, Any]) -> int:
    """Return N, the samples in ``registers``."""
    return int(registers["reward"].shape[-1])
