"""PAIRED's adversary: a policy that builds tasks, and is paid the regret of one agent against another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, learned_from
from autorl.declarations import hyperparameters, static, traced

GRADIENT_NORM = 0.5
"""To which gradients are clipped, as those of the agents."""
IMITATION_RATE = 0.05
"""Step size of Adam while the policy learns to draw such tasks as there are without a curriculum."""


@hyperparameters
class PairedParameters:
    """Of PAIRED's adversary; entropy as in minimax's mazes, all else of PPO as in JaxUED's."""

    learning_rate: Array = traced(1e-3, "Step size of Adam.", low=0.0, high=1.0)
    entropy: Array = traced(0.05, "Weight of the entropy of a coordinate.", low=0.0, high=10.0)
    clip_eps: Array = traced(0.2, "Half-width of the range of the probability ratio.", low=0.0, high=10.0)
    discount: Array = traced(0.995, "Of the regret, for each coordinate before the last.", low=0.0, high=1.0)
    gae_lambda: Array = traced(0.98, "Trace decay of generalised advantage estimation.", low=0.0, high=1.0)
    value_weight: Array = traced(0.5, "Weight of the critic's loss.", low=0.0, high=10.0)
    epochs: Array = traced(5, "Passes over the tasks of an update.", low=1, high=1000)
    warm_up: Array = traced(
        10,
        "Updates in which tasks are random, and the policy learns to draw such ones, if tasks are no points of a box.",
        low=0,
    )
    bins: int = static(8, "Equal parts of a coordinate's range, of which the policy chooses one.", low=2, high=1000)
    hidden_size: int = static(32, "Width of the hidden layer, of policy and critic each.", low=1, high=4096)


class PairedState(NamedTuple):
    """The adversary.

    Attributes:
        network: Weights by name; those of the critic begin so.
        adam: Of optax.
        updates: int32, updates so far.
    """

    network: dict[str, Array]
    adam: Any
    updates: Array


@dataclass(frozen=True)
class Paired(Teacher[PairedState]):
    """Protagonist antagonist induced regret environment design.

    Making a task is an episode of D steps: in each the adversary sees the coordinates it has set, and draws the next one from ``bins``
    parts of its range (uniformly within). After the last it is paid the antagonist's greatest return less the protagonist's mean one,
    and learns by PPO, with a critic of what it has built and generalised advantages: a coordinate is credited for what it adds to the
    regret to be expected before it.

    Kept of the original: regret as the only reward, at the end; a policy and a critic that see what is built. Not kept: their memory, and
    the random vector that they see (draws differ without one); mazes are written cell by cell, not by the places of a number of walls.
    """

    name: ClassVar[str] = "paired"
    reference: ClassVar[str] = (
        "Dennis et al., 2020, Emergent Complexity and Zero-shot Transfer via Unsupervised Environment Design"
    )
    Parameters: ClassVar[type[Any]] = PairedParameters

    def needs(self, params: PairedParameters) -> frozenset[str]:
        """Return the returns of both agents."""
        return frozenset({"returns", "antagonist_returns"})

    def _init(self, params: PairedParameters, seed: Array) -> PairedState:
        d, width = self.space.dimensions, params.hidden_size
        key = jax.random.wrap_key_data(seed, impl="threefry2x32")
        into = lambda key: jax.random.normal(key, (2 * d, width)) / jnp.sqrt(1.0 + d)  # noqa: E731
        network = {
            "into": into(key),
            "bias": jnp.zeros(width),
            "out": jnp.zeros((width, params.bins)),  # at first all parts are equally likely
            "place": jnp.zeros((d, params.bins)),
            "critic_into": into(jax.random.fold_in(key, 1)),
            "critic_bias": jnp.zeros(width),
            "critic_out": jnp.zeros(width),
            "critic_place": jnp.zeros(d),
        }
        return PairedState(network, _optimiser().init(network), jnp.int32(0))

    def _propose(self, params: PairedParameters, state: PairedState, key: Array, n: int) -> Proposal:
        drawing, own = jax.random.split(key)
        d = self.space.dimensions

        def place(points: Array, turn: tuple[Array, Array]) -> tuple[Array, None]:
            index, key = turn
            part_key, within_key = jax.random.split(key)
            known = jnp.arange(d) < index
            part = jax.random.categorical(part_key, _logits(state.network, points, known, index))
            value = (part + jax.random.uniform(within_key, (n,))) / params.bins
            return points.at[:, index].set(value), None

        built = jax.lax.scan(place, jnp.zeros((n, d)), (jnp.arange(d), jax.random.split(own, d)))[0]
        warm = self._warming(params, state)
        return learned_from(jnp.where(warm, self.space.draw(drawing, n), built))

    def _update(
        self, params: PairedParameters, state: PairedState, points: Array, channels: Channels, valid: Array
    ) -> PairedState:
        regret, weight = channels["antagonist_returns"] - channels["returns"], valid.astype(jnp.float32)
        d = self.space.dimensions
        count = jnp.maximum(weight.sum(), 1.0) * d
        each = jnp.broadcast_to(weight[:, None], points.shape)
        values = _values(state.network, points)
        gain = _advantages(values, regret, params.discount, params.gae_lambda)
        centred = (gain - (each * gain).sum() / count) * each
        advantage = centred / (jnp.sqrt((centred**2).sum() / count) + 1e-8)
        before, _ = _log_probabilities(state.network, points, params.bins)
        warm = self._warming(params, state)
        rate = jnp.where(warm, IMITATION_RATE, params.learning_rate)

        def loss(network: dict[str, Array]) -> Array:
            now, entropy = _log_probabilities(network, points, params.bins)
            ratio = jnp.exp(now - before)
            clipped = jnp.clip(ratio, 1.0 - params.clip_eps, 1.0 + params.clip_eps)
            better = jnp.minimum(ratio * advantage, clipped * advantage) + params.entropy * entropy
            wrong = 0.5 * jnp.square(_values(network, points) - (values + gain))
            # the critic learns from the random tasks of the warm-up too
            return (each * (params.value_weight * wrong - jnp.where(warm, now, better))).sum() / count

        def epoch(_: Array, carry: tuple[dict[str, Array], Any]) -> tuple[dict[str, Array], Any]:
            network, adam = carry
            steps, adam = _optimiser().update(jax.grad(loss)(network), adam)
            return jax.tree.map(lambda old, step: old - rate * step, network, steps), adam

        network, adam = jax.lax.fori_loop(0, params.epochs, epoch, (state.network, state.adam))
        after = PairedState(network, adam, state.updates + 1)
        return jax.tree.map(lambda new, old: jnp.where(valid.any(), new, old), after, state)

    def _warming(self, params: PairedParameters, state: PairedState) -> Array:
        """Return whether tasks are random still; in a box, the untrained policy draws just as random ones."""
        return (state.updates < params.warm_up) & jnp.bool_(self.space.sampler is not None)


def _optimiser() -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(GRADIENT_NORM), optax.scale_by_adam(eps=1e-5))


def _seen(points: Array, known: Array) -> Array:
    """Return what is seen of ``points`` [..., D] where those coordinates are built that are ``known``, [..., 2 D]."""
    return jnp.concatenate([jnp.where(known, 2.0 * points - 1.0, 0.0), jnp.where(known, 1.0, 0.0) + 0.0 * points], -1)


def _logits(network: dict[str, Array], points: Array, known: Array, index: Array) -> Array:
    """Return the logits [..., bins] of coordinate ``index`` [...], given those coordinates of ``points`` [..., D] that are ``known``."""
    hidden = jnp.tanh(_seen(points, known) @ network["into"] + network["bias"])
    return hidden @ network["out"] + network["place"][index]


def _turns(points: Array) -> tuple[Array, Array, Array]:
    """Return, of ``points`` [n, D] at each of D turns: themselves [n, D, D], what is known of them [D, D], and whose turn it is [D]."""
    n, d = points.shape
    index = jnp.arange(d)
    return jnp.broadcast_to(points[:, None], (n, d, d)), index[None, :] < index[:, None], index


def _values(network: dict[str, Array], points: Array) -> Array:
    """Return the discounted regret that is expected of ``points`` [n, D] before each coordinate is drawn, [n, D]."""
    built, known, index = _turns(points)
    hidden = jnp.tanh(_seen(built, known) @ network["critic_into"] + network["critic_bias"])
    return hidden @ network["critic_out"] + network["critic_place"][index]


def _advantages(values: Array, regret: Array, discount: Array, decay: Array) -> Array:
    """Return generalised advantages [n, D] (Schulman et al., 2016) of n episodes of D steps that are paid ``regret`` [n] at their end."""
    following = jnp.concatenate([discount * values[:, 1:], regret[:, None]], axis=1)

    def back(after: Array, surprise: Array) -> tuple[Array, Array]:
        gain = surprise + discount * decay * after
        return gain, gain

    return jax.lax.scan(back, jnp.zeros_like(regret), (following - values).T, reverse=True)[1].T


def _log_probabilities(network: dict[str, Array], points: Array, bins: int) -> tuple[Array, Array]:
    """Return the log-probability of each coordinate of ``points`` [n, D], and the entropy of the draw it came from, [n, D] each."""
    logits = _logits(network, *_turns(points))
    logs = jax.nn.log_softmax(logits)
    part = jnp.clip((points * bins).astype(jnp.int32), 0, bins - 1)
    return jnp.take_along_axis(logs, part[..., None], axis=-1)[..., 0], -(jnp.exp(logs) * logs).sum(axis=-1)
