"""What ALP-GMM and Covar-GMM share: a window of episodes, mixtures fitted to it, tasks from Gaussians in proportion to a utility."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.mixtures import Mixture, fit_mixture
from autorl.curricula.protocol import Channels, Proposal, Teacher, learned_from, stream
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError


@hyperparameters
class MixtureParameters:
    """Of teachers that fit mixtures; defaults are the reference implementation's."""

    fit_rate: Array = traced(250, "Episodes between fits, and the uniform ones before the first.", low=10)
    random_ratio: Array = traced(0.2, "Share of uniform tasks after the first fit.", low=0.0, high=1.0)
    max_components: int = static(10, "Greatest number of Gaussians.", low=2, high=50)
    window: int = static(250, "Room for episodes between fits: fit_rate is at most this.", low=10, high=100_000)


class MixtureState(NamedTuple):
    """The episodes since the last fit, and what it found.

    Attributes:
        seed: uint32 [2], decides the starts of the fits.
        episodes: int32, episodes so far.
        fitted: int32, episodes before the last fit.
        window: float32 [W, D + 1], tasks and a value of each, newest last.
        mixture: The last fit.
        memory: What else the teacher keeps.
    """

    seed: Array
    episodes: Array
    fitted: Array
    window: Array
    mixture: Mixture
    memory: Any


class MixtureTeacher(Teacher[MixtureState]):
    """A teacher whose tasks come from a mixture of Gaussians over tasks and what became of them.

    Every ``fit_rate`` episodes, mixtures of 2 to ``max_components`` Gaussians are fitted to the last ``fit_rate`` episodes, and the one
    with the least AIC is kept. A task is drawn from a Gaussian chosen in proportion to its utility, or uniformly. A fit comes after a
    whole update, at most one: with batches, up to n - 1 episodes late.
    """

    extra: ClassVar[int]
    """Coordinates of a fitted point after those of the task."""

    def _check(self, params: MixtureParameters) -> None:
        if int(params.fit_rate) > params.window:
            raise UsageError(f"fit_rate: expected at most window = {params.window}, got {int(params.fit_rate)}")
        if int(params.fit_rate) < params.max_components:
            raise UsageError(
                f"fit_rate: expected at least max_components = {params.max_components}, got {int(params.fit_rate)}"
            )

    def _init(self, params: MixtureParameters, seed: Array) -> MixtureState:
        d, none = self.space.dimensions, jnp.int32(0)
        window = jnp.zeros((params.window, d + 1))
        mixture = Mixture.empty(params.max_components, d + self.extra)
        return MixtureState(seed, none, none, window, mixture, self._memory(params))

    def _propose(self, params: MixtureParameters, state: MixtureState, key: Array, n: int) -> Proposal:
        keys = jax.random.split(key, 3)
        uniform = self.space.draw(keys[0], n)
        drawn = state.mixture.draw(keys[1], self._utilities(state.mixture), n)[:, : self.space.dimensions]
        random = jax.random.uniform(keys[2], (n, 1)) < params.random_ratio
        explore = random | ~state.mixture.exists.any()
        return learned_from(jnp.where(explore, uniform, jnp.clip(drawn, 0.0, 1.0)))

    def _update(
        self, params: MixtureParameters, state: MixtureState, points: Array, channels: Channels, valid: Array
    ) -> MixtureState:
        memory, values = self._values(params, state, points, channels["returns"], valid)
        rows = jnp.concatenate([points, values[:, None]], axis=1)
        # the valid ones first, then a slice that ends with the last of them
        joined = jnp.concatenate([state.window, rows[jnp.argsort(~valid, stable=True)]])
        added = valid.sum(dtype=jnp.int32)
        window = jax.lax.dynamic_slice_in_dim(joined, added, params.window)
        episodes = state.episodes + added
        due = episodes - state.fitted >= params.fit_rate
        mixture = jax.lax.cond(
            due, lambda: self._fit(params, stream(state.seed, episodes), window), lambda: state.mixture
        )
        return MixtureState(state.seed, episodes, jnp.where(due, episodes, state.fitted), window, mixture, memory)

    def _fit(self, params: MixtureParameters, key: Array, window: Array) -> Mixture:
        place = jnp.arange(params.window) - (params.window - params.fit_rate)
        times = place / params.fit_rate.astype(jnp.float32)
        return fit_mixture(key, self._columns(window, times), place >= 0, params.max_components)

    @abstractmethod
    def _memory(self, params: Any) -> Any:
        """Return what is kept beside the window, before the first episode."""

    @abstractmethod
    def _values(
        self, params: Any, state: MixtureState, points: Array, returns: Array, valid: Array
    ) -> tuple[Any, Array]:
        """Return the memory after the episodes, and the value of each, float32 [n]."""

    @abstractmethod
    def _columns(self, window: Array, times: Array) -> Array:
        """Return the points to fit, float32 [W, D + extra], of rows (task, value) and their ``times`` [W], 0 to 1 in the fit."""

    @abstractmethod
    def _utilities(self, mixture: Mixture) -> Array:
        """Return how useful each Gaussian is, float32 [K]; below 0 counts as 0."""
