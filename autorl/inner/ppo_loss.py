"""What PPO minimises on one minibatch: the clipped surrogate loss (Schulman et al., 2017), or an objective in its place."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import jax.numpy as jnp
from jax import Array

from autorl.inner.registers import mean_loss, policy_registers
from autorl.objectives.protocol import Objective


class LossCoefficients(Protocol):
    """The hyperparameters that the loss reads. All scalars."""

    @property
    def clip_eps(self) -> Array:
        """Half-width of the range in which the probability ratio counts."""

    @property
    def vf_clip_eps(self) -> Array:
        """How far a value may move from the rollout's before its loss is taken as if clipped."""

    @property
    def vf_coef(self) -> Array:
        """Weight of the value loss."""

    @property
    def ent_coef(self) -> Array:
        """Weight of the entropy bonus."""

    @property
    def normalize_advantage(self) -> Array:
        """Whether advantages are normalised within the minibatch."""


class Samples(NamedTuple):
    """What the rollout says of N samples; all float32 [N].

    Attributes:
        log_prob: Of the actions, under the policy that took them.
        value: Of the critic before the updates.
        advantage: Generalised advantages.
        target: What values are fitted to (advantage + value).
        weight: 0 for samples that a teacher keeps from being learned from, 1 for others; None: all count.
    """

    log_prob: Array
    value: Array
    advantage: Array
    target: Array
    weight: Array | None = None


class Losses(NamedTuple):
    """Parts of the loss, and two diagnostics; float32 scalars."""

    policy_loss: Array
    value_loss: Array
    entropy: Array
    approximate_kl: Array
    clip_fraction: Array


def mean(values: Array, weight: Array | None = None) -> Array:
    """Return the mean of ``values`` [N], a scalar; of those with ``weight`` [N] alone, and 0 of none."""
    if weight is None:
        return jnp.mean(values)
    # not a product: what does not count may be anything, also infinite
    return jnp.sum(jnp.where(weight > 0.0, weight * values, 0.0)) / jnp.maximum(jnp.sum(weight), 1.0)


def normalised(advantage: Array, weight: Array | None = None) -> Array:
    """Return ``advantage`` [N] with mean 0 and (biased) standard deviation 1."""
    centred = advantage - mean(advantage, weight)
    return centred / (jnp.sqrt(mean(jnp.square(centred), weight)) + 1e-8)


def policy_loss(ratio: Array, advantage: Array, clip_eps: Array, weight: Array | None = None) -> Array:
    """Return minus the clipped surrogate, a scalar; ``ratio`` and ``advantage`` [N]."""
    clipped = jnp.clip(ratio, 1.0 - clip_eps, 1.0 + clip_eps)
    return -mean(jnp.minimum(ratio * advantage, clipped * advantage), weight)


def value_loss(value: Array, old: Array, target: Array, vf_clip_eps: Array, weight: Array | None = None) -> Array:
    """Return half the mean of the larger of the squared errors with and without clipping, a scalar; all [N]."""
    clipped = old + jnp.clip(value - old, -vf_clip_eps, vf_clip_eps)
    return 0.5 * mean(jnp.maximum(jnp.square(value - target), jnp.square(clipped - target)), weight)


def ppo_loss(
    log_prob: Array, value: Array, entropy: Array, samples: Samples, hp: LossCoefficients
) -> tuple[Array, Losses]:
    """Return (loss, its parts) for the current policy's ``log_prob``, ``value`` and ``entropy``, all float32 [N]."""
    weight = samples.weight
    advantage = jnp.where(hp.normalize_advantage, normalised(samples.advantage, weight), samples.advantage)
    log_ratio = log_prob - samples.log_prob
    ratio = jnp.exp(log_ratio)
    parts = Losses(
        policy_loss=policy_loss(ratio, advantage, hp.clip_eps, weight),
        value_loss=value_loss(value, samples.value, samples.target, hp.vf_clip_eps, weight),
        entropy=mean(entropy, weight),
        approximate_kl=mean(ratio - 1.0 - log_ratio, weight),
        clip_fraction=mean((jnp.abs(ratio - 1.0) > hp.clip_eps).astype(jnp.float32), weight),
    )
    return parts.policy_loss + hp.vf_coef * parts.value_loss - hp.ent_coef * parts.entropy, parts


def objective_loss(
    objective: Objective,
    log_prob: Array,
    value: Array,
    entropy: Array,
    samples: Samples,
    hp: LossCoefficients,
    progress: Array,
) -> tuple[Array, Losses]:
    """Return (mean of ``objective``, diagnostics): the parts of `ppo_loss`, that mean in place of the policy loss.

    The objective is the whole loss, with its value and entropy terms. Of the coefficients only ``normalize_advantage``
    matters to it; the diagnostics use the clip ranges. ``progress`` is the part of the training done, float32 scalar.
    """
    registers = policy_registers(
        objective.needs,
        log_prob=log_prob,
        old_log_prob=samples.log_prob,
        advantage=jnp.where(hp.normalize_advantage, normalised(samples.advantage, samples.weight), samples.advantage),
        value=value,
        old_value=samples.value,
        target=samples.target,
        entropy=entropy,
        progress=progress,
    )
    weight = samples.weight
    shares = None if weight is None else weight * len(weight) / jnp.maximum(jnp.sum(weight), 1.0)
    loss = mean_loss(objective, registers, shares)
    _, parts = ppo_loss(log_prob, value, entropy, samples, hp)
    return loss, parts._replace(policy_loss=loss)
