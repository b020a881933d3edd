"""ALP-GMM: tasks near those whose return changed, by a mixture of Gaussians over task and absolute learning progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from autorl.curricula.mixtures import Mixture, fit_mixture
from autorl.curricula.nearest import History
from autorl.curricula.protocol import Floats, Teacher
from autorl.keys import derive, generator

FIRST = 5
"""Progress counts as 0 until more episodes than these have been played."""


@dataclass(frozen=True)
class AlpGmmState:
    """All episodes, the progress of the newest, and the mixture fitted last.

    Attributes:
        key: Decides the starts of the fits.
        episodes: Episodes so far.
        history: All of them.
        window: float64 [w, D + 1]: task and absolute learning progress of those that the next fit is of.
        mixture: Over D + 1 dimensions, the last of them progress.
    """

    key: int
    episodes: int
    history: History
    window: Floats
    mixture: Mixture


@dataclass(frozen=True)
class AlpGmm(Teacher[AlpGmmState]):
    """Absolute learning progress by nearest neighbour, modelled by Gaussians.

    The progress of an episode is the absolute difference between its return and that of the nearest earlier task, of all. Every
    ``fit_rate`` episodes, mixtures of 2 to ``max_components`` Gaussians are fitted to the last ``fit_rate`` points (task, progress), and
    the one with the least AIC is kept. A task is drawn from a Gaussian chosen in proportion to its mean progress, or uniformly.
    Defaults are the reference implementation's. Tasks are scaled to [0, 1]^D first (the reference leaves that to the caller).
    A batch is told in its order, so with n > 1 a fit may come up to n - 1 proposals later.

    Attributes:
        fit_rate: Episodes between fits, and the uniform ones before the first.
        random_ratio: Share of uniform tasks after that.
        max_components: Greatest number of Gaussians.
    """

    fit_rate: int = 250
    random_ratio: float = 0.2
    max_components: int = 10

    name: ClassVar[str] = "alp_gmm"
    reference: ClassVar[str] = (
        "Portelas et al., 2019, Teacher Algorithms for Curriculum Learning of Deep RL in Continuously Parameterized Environments"
    )
    state_type: ClassVar[type[AlpGmmState]] = AlpGmmState

    def __post_init__(self) -> None:
        self._require(max_components=(self.max_components, 2, 100), random_ratio=(self.random_ratio, 0, 1))
        self._require(fit_rate=(self.fit_rate, self.max_components, 1e6))

    def init(self, key: int) -> AlpGmmState:
        """Return the state before the first episode."""
        d = self.space.dimensions
        return AlpGmmState(key, 0, History.empty(d), np.zeros((0, d + 1)), Mixture.empty(d + 1))

    def _propose(self, state: AlpGmmState, rng: np.random.Generator, n: int) -> Floats:
        uniform = rng.random((n, self.space.dimensions))
        mixture = state.mixture
        if not len(mixture.weights):
            return uniform
        near = np.clip(mixture.draw(rng, np.maximum(mixture.means[:, -1], 0), n)[:, :-1], 0, 1)
        return np.where(rng.random((n, 1)) < self.random_ratio, uniform, near)

    def _learn(self, state: AlpGmmState, points: Floats, feedback: dict[str, Floats]) -> AlpGmmState:
        for point, value in zip(points, feedback["returns"], strict=True):
            state = self._learn_one(state, point, float(value))
        return state

    def _learn_one(self, state: AlpGmmState, point: Floats, value: float) -> AlpGmmState:
        progress = abs(value - state.history.nearest_return(point)) if state.episodes > FIRST else 0.0
        window = np.concatenate([state.window, np.append(point, progress)[None]])
        episodes, mixture = state.episodes + 1, state.mixture
        if len(window) == self.fit_rate:
            rng = generator(derive(state.key, "fit", episodes))
            mixture = fit_mixture(window, range(2, self.max_components + 1), rng)
            window = window[:0]
        return AlpGmmState(state.key, episodes, state.history.append(point, value), window, mixture)
