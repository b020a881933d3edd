"""ALP-GMM: tasks near those whose return changed, by a mixture of Gaussians over task and absolute learning progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from autorl.curricula.history import History
from autorl.curricula.mixture_teacher import MixtureParameters, MixtureState, MixtureTeacher
from autorl.curricula.mixtures import Mixture
from autorl.declarations import hyperparameters, static

FIRST = 5
"""Progress counts as 0 until more episodes than these have been played."""


@hyperparameters
class AlpGmmParameters(MixtureParameters):
    """Of ALP-GMM; defaults are the reference implementation's, whose history is unbounded."""

    history: int = static(32_768, "Episodes among which the nearest is sought: the newest ones.", low=1, high=2**24)


@dataclass(frozen=True)
class AlpGmm(MixtureTeacher):
    """Absolute learning progress by nearest neighbour, modelled by Gaussians.

    The progress of an episode is the absolute difference between its return and that of the nearest earlier task. A Gaussian's utility
    is its mean progress. Tasks are scaled to [0, 1]^D first (the reference leaves that to the caller).
    """

    name: ClassVar[str] = "alp_gmm"
    reference: ClassVar[str] = (
        "Portelas et al., 2019, Teacher Algorithms for Curriculum Learning of Deep RL in Continuously Parameterized Environments"
    )
    Parameters: ClassVar[type[Any]] = AlpGmmParameters
    extra: ClassVar[int] = 1

    def _memory(self, params: AlpGmmParameters) -> History:
        return History.empty(params.history, self.space.dimensions)

    def _values(
        self, params: Any, state: MixtureState, points: Array, returns: Array, valid: Array
    ) -> tuple[History, Array]:
        history, nearest = state.memory.told(points, returns, valid)
        earlier = state.episodes + jnp.cumsum(valid) - valid
        return history, jnp.where(earlier > FIRST, jnp.abs(returns - nearest), 0.0)

    def _columns(self, window: Array, times: Array) -> Array:
        return window

    def _utilities(self, mixture: Mixture) -> Array:
        return mixture.means[:, -1]
