"""AGAIN: a curriculum that worked for one student, given to another who is like them, with ALP-GMM beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.alp_gmm import AlpGmm, AlpGmmParameters
from autorl.curricula.mixture_teacher import MixtureState
from autorl.curricula.mixtures import Mixture
from autorl.curricula.protocol import Channels, Proposal, Teacher, choose, learned_from
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError

NARROW = 1e-3
"""Least diagonal entry of a root when a density is wanted: a Gaussian narrower than this many sides counts as this wide."""
MOST_NUMBERS = 2_000_000
"""In an expert's roots. All trainings that share a program hold their parameters side by side, 32 at once on a CPU."""


@hyperparameters
class AgainParameters(AlpGmmParameters):
    """Of AGAIN: those of ALP-GMM and an expert, which `autorl.curricula.classroom.Expert` makes of a record."""

    random_ratio: Array = traced(
        0.1, "Share of uniform tasks of ALP-GMM before the expert takes over.", low=0.0, high=1.0
    )
    pretrain: Array = traced(10_000, "Episodes taught by ALP-GMM alone; then the expert takes over.", low=0)
    later_random: Array = traced(0.02, "Share of uniform tasks from then on.", low=0.0, high=1.0)
    means: Array = traced(
        0.5, "The expert's Gaussians.", low=0.0, high=1.0, shape=("stages", "max_components", "dimensions")
    )
    roots: Array = traced(
        0.0,
        "Their Cholesky factors.",
        low=-10.0,
        high=10.0,
        shape=("stages", "max_components", "dimensions", "dimensions"),
    )
    progress: Array = traced(
        0.0,
        "Their absolute learning progress, 0 for those that do not exist.",
        low=0.0,
        shape=("stages", "max_components"),
    )
    thresholds: Array = traced(0.0, "Mean return at which a stage of the expert is over.", low=-1e9, shape=("stages",))
    stages: int = static(1, "Stages of the expert, or room for more; those that exist come first.", low=1, high=100_000)
    queue: int = static(10, "Returns of the expert's tasks that the mean is over.", low=1, high=10_000)


class AgainState(NamedTuple):
    """ALP-GMM's state and the place in the expert's curriculum.

    Attributes:
        own: Of ALP-GMM.
        stage: int32, stage of the expert.
        returns: float32 [queue], of the expert's tasks in this stage, newest last.
        filled: int32, how many of those there are.
    """

    own: MixtureState
    stage: Array
    returns: Array
    filled: Array


@dataclass(frozen=True)
class Again(Teacher[AgainState]):
    """Alp-Gmm And Inferred progress Niches.

    For ``pretrain`` episodes it is ALP-GMM, which tells a caller who the student is like (`autorl.curricula.classroom.nearest_expert`); the
    caller then puts that expert into the parameters. From there on a task comes from one of the Gaussians of the expert's stage and of
    ALP-GMM's last fit, in proportion to their progress. A stage is over when the mean of the last ``queue`` returns of the expert's
    tasks reaches what the expert's own student had then; the last stage stays. This is the published variant R with ALP-GMM and a
    tolerance of 1. Whether a played task was the expert's is judged by density here: the expert's part of the mixture against the rest.
    """

    name: ClassVar[str] = "again"
    reference: ClassVar[str] = "Portelas et al., 2020, Meta Automatic Curriculum Learning"
    Parameters: ClassVar[type[Any]] = AgainParameters

    def _check(self, params: AgainParameters) -> None:
        self._alp_gmm._check(params)
        numbers = int(jnp.size(params.roots))
        if numbers > MOST_NUMBERS:
            raise UsageError(
                f"stages: {params.stages} of {params.max_components} Gaussians over {self.space.dimensions} dimensions are {numbers} "
                f"numbers to each training, expected at most {MOST_NUMBERS}. "
                "Remedy: no more stages than the expert has, or fewer max_components"
            )
        exists = jnp.asarray(params.progress).max(axis=1) > 0
        if not bool(jnp.all(exists[:-1] | ~exists[1:])):
            raise UsageError("progress: the stages that exist must come first, got an empty one before one that is not")

    @property
    def _alp_gmm(self) -> AlpGmm:
        return AlpGmm(self.space)

    def _init(self, params: AgainParameters, seed: Array) -> AgainState:
        return AgainState(self._alp_gmm._init(params, seed), jnp.int32(0), jnp.zeros(params.queue), jnp.int32(0))

    def _propose(self, params: AgainParameters, state: AgainState, key: Array, n: int) -> Proposal:
        keys = jax.random.split(key, 5)
        before = self._alp_gmm._propose(params, state.own, keys[0], n).tasks
        means, roots, weights = self._pool(params, state)
        chosen = choose(keys[1], weights, n)
        noise = jax.random.normal(keys[2], (n, self.space.dimensions))
        drawn = jnp.clip(means[chosen] + jnp.einsum("nij,nj->ni", roots[chosen], noise), 0.0, 1.0)
        anywhere = (jax.random.uniform(keys[3], (n, 1)) < params.later_random) | (weights.sum() == 0)
        after = jnp.where(anywhere, self.space.draw(keys[4], n), drawn)
        return learned_from(jnp.where(state.own.episodes < params.pretrain, before, after))

    def _pool(self, params: AgainParameters, state: AgainState) -> tuple[Array, Array, Array]:
        """Return means, roots and progress of the expert's Gaussians, then of ALP-GMM's."""
        own, d = state.own.mixture, self.space.dimensions
        means = jnp.concatenate([params.means[state.stage], own.means[:, :d]])
        roots = jnp.concatenate([params.roots[state.stage], jnp.linalg.cholesky(own.covariances[:, :d, :d])])
        useful = jnp.where(own.exists, jnp.maximum(own.means[:, -1], 0.0), 0.0)
        return means, roots, jnp.concatenate([params.progress[state.stage], useful])

    def _update(
        self, params: AgainParameters, state: AgainState, points: Array, channels: Channels, valid: Array
    ) -> AgainState:
        taken_over = state.own.episodes >= params.pretrain
        counts = valid & taken_over & self._is_expert(params, state, points)
        last = jnp.maximum((params.progress.max(axis=1) > 0).sum() - 1, 0)

        def turn(place: tuple[Array, Array, Array], episode: tuple[Array, Array]) -> tuple[Any, None]:
            stage, returns, filled = place
            value, told = episode
            told &= stage == state.stage  # what is left of a batch after a stage's end was drawn for that stage
            returns = jnp.where(told, jnp.roll(returns, -1).at[-1].set(value), returns)
            filled = jnp.minimum(filled + told, params.queue)
            over = told & (filled == params.queue) & (returns.mean() >= params.thresholds[stage]) & (stage < last)
            return (stage + over, returns, jnp.where(over, 0, filled)), None

        place = (state.stage, state.returns, state.filled)
        place, _ = jax.lax.scan(turn, place, (channels["returns"], counts))
        return AgainState(self._alp_gmm._update(params, state.own, points, channels, valid), *place)

    def _is_expert(self, params: AgainParameters, state: AgainState, points: Array) -> Array:
        """Return whether each of ``points`` [n, D] is likelier to come from the expert than from elsewhere, bool [n]."""
        means, roots, weights = self._pool(params, state)
        shares = (1 - params.later_random) * weights / jnp.maximum(weights.sum(), 1e-30)
        each = shares[:, None] * densities(points, means, roots)
        expert = each[: params.max_components].sum(axis=0)
        return expert > each[params.max_components :].sum(axis=0) + params.later_random


def densities(points: Array, means: Array, roots: Array) -> Array:
    """Return the density of each Gaussian at each point, float32 [k, n]: points [n, d], means [k, d], Cholesky factors [k, d, d]."""
    d = points.shape[1]
    diagonal = jnp.maximum(jnp.diagonal(roots, axis1=-2, axis2=-1), NARROW)
    roots = jnp.where(jnp.eye(d, dtype=bool), diagonal[:, None, :], roots)
    offsets = jnp.swapaxes(points[None] - means[:, None], -1, -2)
    whitened = jax.scipy.linalg.solve_triangular(roots, offsets, lower=True)
    logs = -0.5 * (whitened**2).sum(axis=1) - jnp.log(diagonal).sum(axis=-1)[:, None] - 0.5 * d * jnp.log(2 * jnp.pi)
    return jnp.exp(logs)


def fits_of(mixture: Mixture, dimensions: int) -> tuple[Array, Array, Array]:
    """Return means, Cholesky factors and progress of the tasks' part of an ALP-GMM fit, those that do not exist with progress 0."""
    roots = jnp.linalg.cholesky(mixture.covariances[:, :dimensions, :dimensions])
    return mixture.means[:, :dimensions], roots, jnp.where(mixture.exists, jnp.maximum(mixture.means[:, -1], 0.0), 0.0)
