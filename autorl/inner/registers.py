"""What learners tell an objective: the registers of each family, only those that it needs, and the mean of its losses.

Layout: floats float32 [N], lists over the actions and one-hot actions float32 [A, N]. ``graphs.language_autorl`` says what
each register means. Which are computed is static: it depends on the structure of the objective alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.inner.replay import Transitions
from autorl.objectives.graphs.language import LIMIT
from autorl.objectives.graphs.language_autorl import POLICY_GRADIENT, VALUE
from autorl.objectives.graphs.language_coreyes2021 import NETWORK
from autorl.objectives.protocol import Objective

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "value": tuple(register.name for register in VALUE),
    "policy_gradient": tuple(register.name for register in POLICY_GRADIENT),
    "network": tuple(register.name for register in NETWORK),
}
"""Names of the registers that learners of this package fill in, by family."""

_PASSES = ("q_next", "q_target", "q_target_next")
"""Registers of the family ``value`` that take a pass through a network of their own."""

Values = Callable[[Array], Array]
"""Action values [N, A] of flat observations [N, D]."""


def value_registers(
    needs: tuple[str, ...],
    batch: Transitions,
    online: Values,
    target: Values,
    actions: int,
    gamma: Array,
    progress: Array,
    reads: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """Return the registers ``needs`` of the family ``value`` for N transitions; no network runs that they do not need.

    Args:
        needs: Names.
        batch: What happened.
        online: Of the parameters being learned; slopes flow through it.
        target: Of the target network.
        actions: A.
        gamma: Discount, float32 scalar.
        progress: Part of the training done, float32 scalar.
        reads: Whether this candidate reads a register that others of its program do, bool scalars: on a CPU, where a branch is a real
            one, a network that it does not read is not run, and the register is 0. By default it reads all.
    """
    read = {name: reads[name] for name in _PASSES if reads and name in reads and jax.default_backend() == "cpu"}
    found = {
        "action": jax.nn.one_hot(batch.action, actions, dtype=jnp.float32, axis=0),
        "reward": batch.reward,
        "discount": gamma * (1.0 - batch.terminated),
        "progress": jnp.broadcast_to(progress, batch.reward.shape),
    }
    asked = tuple(dict.fromkeys("q" if name == "q_action" else name for name in needs))
    found |= _action_values(asked, {"q": batch.observation, "q_next": batch.next_observation}, online, actions, read)
    later = {"q_target": batch.observation, "q_target_next": batch.next_observation}
    found |= _action_values(asked, later, target, actions, read)
    if "q_action" in needs:
        found["q_action"] = jnp.sum(found["q"] * found["action"], axis=0)
    return {name: found[name] for name in needs}


def _action_values(
    asked: tuple[str, ...], states: Mapping[str, Array], values: Values, actions: int, read: Mapping[str, Array]
) -> dict[str, Array]:
    """Return action values [A, N] by name for those of ``states`` [N, D] that are ``asked`` for, 0 for those that are not ``read``.

    They share one pass of the network: on a CPU, and with batches as small as DQN's, that is much cheaper than two.
    """
    chosen = {name: state for name, state in states.items() if name in asked}
    doubtful = [name for name in chosen if name in read]

    def run(names: tuple[str, ...]) -> tuple[Array, ...]:
        one = jnp.zeros((actions, len(next(iter(chosen.values())))), jnp.float32)
        if not names:
            return (one,) * len(chosen)
        found = jnp.split(values(jnp.concatenate([chosen[name] for name in names])).T, len(names), axis=1)
        held = dict(zip(names, found, strict=True))
        return tuple(held.get(name, one) for name in chosen)

    if not chosen:
        return {}
    if not doubtful:
        return dict(zip(chosen, run(tuple(chosen)), strict=True))
    subsets = [
        tuple(n for n in chosen if n not in doubtful or number >> doubtful.index(n) & 1)
        for number in range(1 << len(doubtful))
    ]
    which = sum(read[name].astype(jnp.int32) << i for i, name in enumerate(doubtful))
    found = lax.switch(which, [partial(run, names) for names in subsets])
    return dict(zip(chosen, found, strict=True))


def policy_registers(
    needs: tuple[str, ...],
    *,
    log_prob: Array,
    old_log_prob: Array,
    advantage: Array,
    value: Array,
    old_value: Array,
    target: Array,
    entropy: Array,
    progress: Array,
) -> dict[str, Array]:
    """Return the registers ``needs`` of the family ``policy_gradient`` for N samples.

    Args:
        needs: Names.
        log_prob: float32 [N]; of the actions taken, under the policy being learned.
        old_log_prob: float32 [N]; under the policy that took them.
        advantage: float32 [N]; normalised, if the learner does so.
        value: float32 [N]; of the critic being learned.
        old_value: float32 [N]; of the critic before the updates.
        target: float32 [N]; what values are fitted to, the register ``return``.
        entropy: float32 [N]; of the policy being learned.
        progress: float32 scalar, from 0 to 1.
    """
    found = {
        "log_prob": log_prob,
        "old_log_prob": old_log_prob,
        "ratio": jnp.exp(log_prob - old_log_prob),
        "advantage": advantage,
        "value": value,
        "old_value": old_value,
        "return": target,
        "entropy": entropy,
        "progress": jnp.broadcast_to(progress, advantage.shape),
    }
    return {name: found[name] for name in needs}


def part_done(env_steps: Array, horizon: Array) -> Array:
    """Return the register ``progress``: the part of the training done after ``env_steps``, float32 scalar within [0, 1]."""
    return jnp.clip(env_steps.astype(jnp.float32) / horizon.astype(jnp.float32), 0.0, 1.0)


def mean_loss(objective: Objective, registers: Mapping[str, Any], weights: Array | None = None) -> Array:
    """Return the (weighted) mean of the objective's losses of N samples, float32 scalar.

    It is nan, by which learners know that a member diverged, where the loss of **every** sample has reached the size at which
    loss graphs saturate: no slope flows through any of them, so nothing would ever be learned again.
    """
    losses = objective.per_sample(registers)
    lost = jnp.all(jnp.abs(losses) >= LIMIT)
    return jnp.where(lost, jnp.nan, jnp.mean(losses if weights is None else weights * losses))
