"""Self-paced learning: a Gaussian over tasks that moves from easy ones to a target, as fast as returns allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, learned_from
from autorl.declarations import hyperparameters, static, traced

TURNS = 10
"""Natural gradient steps of an update."""
HALVINGS = 12
"""Step lengths tried in each, from the edge of the trust region on."""
GREATEST_WEIGHT = 1e5


@hyperparameters
class SpdlParameters:
    """Of self-paced learning; zeta, the trust region and the offset (the original's alpha_offset) are those of the point mass
    with PPO.
    """

    initial_mean: Array = traced(
        0.5, "Mean of the tasks at the start, in sides of the space.", low=0.0, high=1.0, shape=("dimensions",)
    )
    initial_deviation: Array = traced(
        0.1, "Standard deviation at the start.", low=1e-4, high=10.0, shape=("dimensions",)
    )
    target_mean: Array = traced(0.5, "Mean of the target.", low=0.0, high=1.0, shape=("dimensions",))
    target_deviation: Array = traced(
        0.25, "Standard deviation of the target.", low=1e-4, high=10.0, shape=("dimensions",)
    )
    zeta: Array = traced(1.6, "Weight of the target in units of the mean return.", low=0.0)
    max_kl: Array = traced(0.05, "Greatest divergence of one update.", low=1e-6)
    offset: Array = traced(10, "Updates in which the target does not count yet.", low=0)
    least_deviation: Array = traced(
        0.025, "Of each coordinate, while the target is farther than floor_kl.", low=1e-5, high=1.0
    )
    floor_kl: Array = traced(8000.0, "Divergence from the target up to which deviations may be smaller.", low=0.0)
    episodes: int = static(100, "Episodes of an update.", low=2, high=100_000)
    signal: str = static("returns", "What stands for the return of a task.", choices=("returns", "values"))


class _Gaussian(NamedTuple):
    """Independent coordinates: mean and logarithm of the standard deviation, float32 [D]."""

    mean: Array
    log_deviation: Array


class SpdlState(NamedTuple):
    """The distribution and the episodes since it moved.

    Attributes:
        mean: float32 [D], in sides of the space.
        log_deviation: float32 [D].
        points: float32 [N, D], tasks, the newest last.
        signals: float32 [N], what came of them.
        fresh: int32, how many of them are since the last update.
        updates: int32.
    """

    mean: Array
    log_deviation: Array
    points: Array
    signals: Array
    fresh: Array
    updates: Array


@dataclass(frozen=True)
class Spdl(Teacher[SpdlState]):
    """Self-paced deep reinforcement learning: from each ``episodes`` episodes, a new Gaussian p over tasks.

    It maximises ``E_p[return] - alpha KL(p, target)`` within ``KL(p, old) <= max_kl``, with ``alpha = zeta * mean return / KL(old,
    target)``, 0 for the first updates. The expectation is over the episodes, weighted by importance. Kept of the original: objective,
    trust region, alpha, floor of the deviations. Different: what is expected is by default the undiscounted return of episodes, where the
    original's experiments take the agent's value of a task's first observation (``signal: values``); coordinates are independent, returns
    are taken about their mean (which changes no optimum and much noise), and the optimiser is natural gradient steps with line search
    instead of a constrained solver. As in the original, returns that are negative on average give the target no weight: where an
    environment pays less than 0, give it a score_range.
    """

    name: ClassVar[str] = "spdl"
    reference: ClassVar[str] = "Klink et al., 2020, Self-Paced Deep Reinforcement Learning"
    Parameters: ClassVar[type[Any]] = SpdlParameters

    def needs(self, params: SpdlParameters) -> frozenset[str]:
        """Return the channel of the signal, and returns."""
        return frozenset({"returns", params.signal})

    def _init(self, params: SpdlParameters, seed: Array) -> SpdlState:
        d, none = self.space.dimensions, jnp.int32(0)
        mean, deviation = jnp.asarray(params.initial_mean), jnp.asarray(params.initial_deviation)
        room = params.episodes
        return SpdlState(mean, jnp.log(deviation), jnp.zeros((room, d)), jnp.zeros(room), none, none)

    def _propose(self, params: SpdlParameters, state: SpdlState, key: Array, n: int) -> Proposal:
        noise = jax.random.normal(key, (n, self.space.dimensions))
        return learned_from(jnp.clip(state.mean + jnp.exp(state.log_deviation) * noise, 0.0, 1.0))

    def _update(
        self, params: SpdlParameters, state: SpdlState, points: Array, channels: Channels, valid: Array
    ) -> SpdlState:
        added = valid.sum(dtype=jnp.int32)
        order = jnp.argsort(~valid, stable=True)  # the valid ones first, then a slice that ends with the last of them
        newest = lambda old, new: jax.lax.dynamic_slice_in_dim(  # noqa: E731
            jnp.concatenate([old, new[order]]), added, params.episodes
        )
        told = state._replace(
            points=newest(state.points, points),
            signals=newest(state.signals, channels[params.signal]),
            fresh=state.fresh + added,
        )
        return jax.lax.cond(told.fresh >= params.episodes, lambda: _moved(params, told), lambda: told)


def _moved(params: SpdlParameters, state: SpdlState) -> SpdlState:
    """Return the state with a new distribution."""
    old = _Gaussian(state.mean, state.log_deviation)
    target = _Gaussian(jnp.asarray(params.target_mean), jnp.log(jnp.asarray(params.target_deviation)))
    distance, mean = _kl(old, target), state.signals.mean()
    alpha = jnp.minimum(params.zeta * jnp.maximum(mean, 0.0) / jnp.maximum(distance, 1e-9), GREATEST_WEIGHT)
    alpha = jnp.where(state.updates >= params.offset, alpha, 0.0)
    floor = jnp.where(distance > params.floor_kl, jnp.log(params.least_deviation), -jnp.inf)

    def objective(new: _Gaussian) -> Array:
        weights = jnp.exp(_log_density(new, state.points) - _log_density(old, state.points))
        return jnp.mean(weights * (state.signals - mean)) - alpha * _kl(new, target)

    def turn(_: Array, at: _Gaussian) -> _Gaussian:
        gradient = jax.grad(objective)(at)
        variance = jnp.exp(2.0 * at.log_deviation)
        # the Fisher information of a mean is 1 / variance, that of a log deviation 2
        towards = _Gaussian(variance * gradient.mean, gradient.log_deviation / 2.0)
        length = jnp.sum(towards.mean**2 / variance) + 2.0 * jnp.sum(towards.log_deviation**2)
        longest = jnp.sqrt(2.0 * params.max_kl / jnp.maximum(length, 1e-20))

        def tried(share: Array) -> tuple[_Gaussian, Array]:
            new = _Gaussian(
                at.mean + share * longest * towards.mean,
                jnp.maximum(at.log_deviation + share * longest * towards.log_deviation, floor),
            )
            value = objective(new)
            allowed = (_kl(new, old) <= params.max_kl) & jnp.isfinite(value)
            return new, jnp.where(allowed, value, -jnp.inf)

        steps, values = jax.vmap(tried)(0.5 ** jnp.arange(HALVINGS))
        best = jnp.argmax(values)
        better = values[best] > objective(at)
        return jax.tree.map(lambda new, kept: jnp.where(better, new[best], kept), steps, at)

    new = jax.lax.fori_loop(0, TURNS, turn, old)
    return state._replace(mean=new.mean, log_deviation=new.log_deviation, fresh=jnp.int32(0), updates=state.updates + 1)


def _kl(one: _Gaussian, other: _Gaussian) -> Array:
    """Return the divergence of ``one`` from ``other``, in nats."""
    ratio = jnp.exp(2.0 * (one.log_deviation - other.log_deviation))
    apart = (one.mean - other.mean) ** 2 * jnp.exp(-2.0 * other.log_deviation)
    return 0.5 * jnp.sum(ratio + apart - 1.0 - 2.0 * (one.log_deviation - other.log_deviation))


def _log_density(gaussian: _Gaussian, points: Array) -> Array:
    """Return the logarithms of the densities at ``points`` [N, D], without what is the same for all Gaussians."""
    scaled = (points - gaussian.mean) * jnp.exp(-gaussian.log_deviation)
    return -0.5 * jnp.sum(scaled**2, axis=1) - jnp.sum(gaussian.log_deviation)
