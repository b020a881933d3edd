"""Covar-GMM: tasks near those whose return rose within the last window, by the covariance of time and return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from autorl.curricula.mixtures import Mixture, fit_mixture
from autorl.curricula.protocol import Floats, Teacher
from autorl.keys import derive, generator


@dataclass(frozen=True)
class CovarGmmState:
    """The episodes since the last fit, and what it found.

    Attributes:
        key: Decides the starts of the fits.
        episodes: Episodes so far.
        window: float64 [w, D + 2]: task, time since the last fit (in windows) and return.
        mixture: Over D + 2 dimensions.
    """

    key: int
    episodes: int
    window: Floats
    mixture: Mixture


@dataclass(frozen=True)
class CovarGmm(Teacher[CovarGmmState]):
    """Learning progress as the covariance of time and return within a Gaussian.

    As ALP-GMM, but the mixtures are over (task, time, return), and a Gaussian is chosen in proportion to the positive part of its
    covariance of time and return, so no return is ever compared with that of one other task. Defaults are the reference implementation's.

    Attributes:
        fit_rate: Episodes between fits, and the uniform ones before the first.
        random_ratio: Share of uniform tasks after that.
        max_components: Greatest number of Gaussians.
    """

    fit_rate: int = 250
    random_ratio: float = 0.2
    max_components: int = 10

    name: ClassVar[str] = "covar_gmm"
    reference: ClassVar[str] = (
        "Moulin-Frier et al., 2014, Self-Organization of Early Vocal Development in Infants and Machines: The Role of Intrinsic "
        "Motivation; as a teacher: Portelas et al., 2019"
    )
    state_type: ClassVar[type[CovarGmmState]] = CovarGmmState

    def __post_init__(self) -> None:
        self._require(max_components=(self.max_components, 2, 100), random_ratio=(self.random_ratio, 0, 1))
        self._require(fit_rate=(self.fit_rate, self.max_components, 1e6))

    def init(self, key: int) -> CovarGmmState:
        """Return the state before the first episode."""
        d = self.space.dimensions
        return CovarGmmState(key, 0, np.zeros((0, d + 2)), Mixture.empty(d + 2))

    def _propose(self, state: CovarGmmState, rng: np.random.Generator, n: int) -> Floats:
        uniform = rng.random((n, self.space.dimensions))
        mixture = state.mixture
        if not len(mixture.weights):
            return uniform
        near = np.clip(mixture.draw(rng, np.maximum(mixture.covariances[:, -2, -1], 0), n)[:, :-2], 0, 1)
        return np.where(rng.random((n, 1)) < self.random_ratio, uniform, near)

    def _learn(self, state: CovarGmmState, points: Floats, feedback: dict[str, Floats]) -> CovarGmmState:
        for point, value in zip(points, feedback["returns"], strict=True):
            time = len(state.window) / self.fit_rate
            window = np.concatenate([state.window, np.concatenate([point, [time, value]])[None]])
            episodes, mixture = state.episodes + 1, state.mixture
            if len(window) == self.fit_rate:
                rng = generator(derive(state.key, "fit", episodes))
                mixture = fit_mixture(window, range(2, self.max_components + 1), rng)
                window = window[:0]
            state = CovarGmmState(state.key, episodes, window, mixture)
        return state
