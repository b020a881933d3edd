"""Losses of the literature written by hand in plain JAX: what loss graphs are tested and measured against.

Each is a function of registers (`autorl.objectives.graphs.language_autorl` says what they are) that returns the loss of each
sample, float32 [N]. Where papers leave a factor open: value losses are half the squared error, as in the learner ``dqn``;
policy-gradient losses are whole losses, policy and value term (and entropy bonus, if not 0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from autorl.registry import Registry

Registers = Mapping[str, Any]
Loss = Callable[[Registers], Array]

_HERE = "autorl.objectives.handwritten"
_TD = ("q_action", "q_target_next", "reward", "discount")
_POLICY = ("ratio", "advantage", "value", "return")
_LOG_POLICY = ("log_prob", "advantage", "value", "return")
FAMILY_AND_NEEDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "dqn": ("value", _TD),
    "double_dqn": ("value", ("q_action", "q_next", "q_target_next", "reward", "discount")),
    "huber_dqn": ("value", _TD),
    "dqnreg_paper": ("value", _TD),
    "dqnreg_code": ("value", _TD),
    "dqn_clipped": ("value", _TD),
    "cql": ("value", ("q", *_TD)),
    "munchausen": ("value", ("q_action", "q_target", "q_target_next", "action", "reward", "discount")),
    "ppo_clip": ("policy_gradient", _POLICY),
    "importance_weighted": ("policy_gradient", _POLICY),
    "a2c": ("policy_gradient", (*_LOG_POLICY, "entropy")),
    "awr": ("policy_gradient", _LOG_POLICY),
    "dpo": ("policy_gradient", _POLICY),
}
"""Register family and registers of each."""

HANDWRITTEN: Registry[Loss] = Registry("hand-written loss", {name: f"{_HERE}:{name}" for name in FAMILY_AND_NEEDS})


def td_target(registers: Registers) -> Array:
    """Return r + gamma max_a of the target network's Q(s', a), [N]."""
    best = jnp.max(registers["q_target_next"], axis=0)
    return stop_gradient(registers["reward"] + registers["discount"] * best)


def td_error(registers: Registers) -> Array:
    """Return Q(s, a) minus `td_target`, [N]."""
    return registers["q_action"] - td_target(registers)


def dqn(registers: Registers) -> Array:
    """Return half the squared TD error (Mnih et al., 2015, without its clipping)."""
    return 0.5 * jnp.square(td_error(registers))


def double_dqn(registers: Registers) -> Array:
    """Return the same with the action chosen by the online network (van Hasselt et al., 2016)."""
    chosen = jax.nn.one_hot(jnp.argmax(registers["q_next"], axis=0), registers["q_next"].shape[0], axis=0)
    target = registers["reward"] + registers["discount"] * jnp.sum(chosen * registers["q_target_next"], axis=0)
    return 0.5 * jnp.square(registers["q_action"] - stop_gradient(target))


def huber_dqn(registers: Registers) -> Array:
    """Return Huber's loss of the TD error with threshold 1 (Mnih et al., 2015)."""
    size = jnp.abs(td_error(registers))
    return jnp.where(size <= 1.0, 0.5 * jnp.square(size), size - 0.5)


def dqnreg_paper(registers: Registers) -> Array:
    """Return 0.1 Q + delta^2, DQNReg as in the paper (Co-Reyes et al., 2021)."""
    return 0.1 * registers["q_action"] + jnp.square(td_error(registers))


def dqnreg_code(registers: Registers) -> Array:
    """Return 0.1 Q + 0.5 delta^2, DQNReg as in the code released with the paper."""
    return 0.1 * registers["q_action"] + 0.5 * jnp.square(td_error(registers))


def dqn_clipped(registers: Registers) -> Array:
    """Return max(Q, delta^2 + Y) + max(delta, gamma (max_a Q_target)^2), DQNClipped (Co-Reyes et al., 2021)."""
    error, best = td_error(registers), jnp.max(registers["q_target_next"], axis=0)
    first = jnp.maximum(registers["q_action"], jnp.square(error) + td_target(registers))
    return first + jnp.maximum(error, registers["discount"] * jnp.square(best))


def cql(registers: Registers) -> Array:
    """Return the TD loss + 0.1 (logsumexp_a Q - Q(s, a)), CQL(H) (Kumar et al., 2020)."""
    gap = jax.nn.logsumexp(registers["q"], axis=0) - registers["q_action"]
    return dqn(registers) + 0.1 * gap


def munchausen(registers: Registers) -> Array:
    """Return the squared error to a target with the scaled, clipped log-policy added to the reward (Vieillard et al., 2020).

    alpha 0.9, temperature 0.03, clipped below at -1. The soft value of s' is written as a logsumexp, its closed form.
    """
    alpha, temperature, lowest = 0.9, 0.03, -1.0
    now, then = registers["q_target"], registers["q_target_next"]
    soft = temperature * jax.nn.logsumexp(now / temperature, axis=0)
    log_policy = jnp.clip(jnp.sum(now * registers["action"], axis=0) - soft, lowest, 0.0)
    value = temperature * jax.nn.logsumexp(then / temperature, axis=0)
    target = registers["reward"] + alpha * log_policy + registers["discount"] * value
    return 0.5 * jnp.square(registers["q_action"] - stop_gradient(target))


def ppo_clip(registers: Registers) -> Array:
    """Return the clipped surrogate + 0.25 (V - R)^2 (Schulman et al., 2017), the learner ``ppo``'s defaults: clip 0.2, no bonus."""
    ratio, advantage = registers["ratio"], registers["advantage"]
    surrogate = jnp.minimum(ratio * advantage, jnp.clip(ratio, 0.8, 1.2) * advantage)
    return -surrogate + 0.25 * jnp.square(registers["value"] - registers["return"])


def importance_weighted(registers: Registers) -> Array:
    """Return ``ppo_clip`` without its clipping (Schulman et al., 2017, equation 6)."""
    surrogate = registers["ratio"] * registers["advantage"]
    return -surrogate + 0.25 * jnp.square(registers["value"] - registers["return"])


def a2c(registers: Registers) -> Array:
    """Return -A log pi + 0.5 (V - R)^2 - 0.01 H (Mnih et al., 2016)."""
    value = 0.5 * jnp.square(registers["value"] - registers["return"])
    return -registers["log_prob"] * registers["advantage"] + value - 0.01 * registers["entropy"]


def awr(registers: Registers) -> Array:
    """Return -min(exp(A), 20) log pi + 0.5 (V - R)^2, advantage-weighted regression with temperature 1 (Peng et al., 2019)."""
    weight = jnp.minimum(jnp.exp(jnp.minimum(registers["advantage"], 20.0)), 20.0)
    return -weight * registers["log_prob"] + 0.5 * jnp.square(registers["value"] - registers["return"])


def dpo(registers: Registers) -> Array:
    """Return minus ratio A, plus DPO's drift (alpha 2, beta 0.6; Lu et al., 2022), plus 0.25 (V - R)^2."""
    ratio, advantage = registers["ratio"], registers["advantage"]
    gain, log_gain = (ratio - 1.0) * advantage, jnp.log(ratio) * advantage
    rise = jax.nn.relu(gain - 2.0 * jnp.tanh(gain / 2.0))
    fall = jax.nn.relu(log_gain - 0.6 * jnp.tanh(log_gain / 0.6))
    drift = jnp.where(advantage > 0.0, rise, fall)
    return -(ratio * advantage - drift) + 0.25 * jnp.square(registers["value"] - registers["return"])


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["name"])
@dataclass(frozen=True)
class HandWrittenLoss:
    """A hand-written loss as an `Objective`.

    Attributes:
        name: In `HANDWRITTEN`.
    """

    name: str = field(metadata={"static": True})

    def __post_init__(self) -> None:
        HANDWRITTEN.load(self.name)  # an unknown name is refused here, with a suggestion

    @property
    def family(self) -> str:
        """Register family."""
        return FAMILY_AND_NEEDS[self.name][0]

    @property
    def needs(self) -> tuple[str, ...]:
        """Registers that it reads."""
        return FAMILY_AND_NEEDS[self.name][1]

    def per_sample(self, registers: Registers) -> Array:
        """Return the loss of each sample, float32 [N]."""
        return HANDWRITTEN.load(self.name)(registers)
