"""A Gaussian process with one length for all coordinates, fitted by gradient ascent: the one of MBTL.

Model, start and optimiser are those of the published code, which uses GPyTorch (Gardner et al., 2018): a constant mean, a scaled squared
exponential kernel, Gaussian noise of at least 1e-4, positive numbers as softplus of what is optimised, all of that 0 at first; Adam (Kingma
and Ba, 2015) with a rate of .1 on the mean log likelihood of a point, at most 500 steps, stopped when a step gains less than 1e-5.
Each fit goes on from the one before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dsymv
from scipy.linalg.lapack import dpotrf, dpotri

from autorl.outer.tasks.protocol import Floats

LEAST_NOISE = 1e-4
STEPS, RATE, TOLERANCE = 500, 0.1, 1e-5


@dataclass(frozen=True)
class GaussianProcess:
    """Its hyperparameters.

    Attributes:
        raw: float [4]: mean, and scale, length and noise variance before the softplus.
    """

    raw: Floats = field(default_factory=lambda: np.zeros(4))

    @property
    def mean(self) -> float:
        """Value far from every point."""
        return float(self.raw[0])

    @property
    def scale(self) -> float:
        """Variance far from every point, without noise."""
        return softplus(self.raw[1])

    @property
    def length(self) -> float:
        """Length over which values are alike."""
        return softplus(self.raw[2])

    @property
    def noise(self) -> float:
        """Variance of the noise."""
        return LEAST_NOISE + softplus(self.raw[3])

    def fitted(self, points: Floats, values: Floats) -> GaussianProcess:
        """Return the process whose hyperparameters fit ``values`` [n] at ``points`` [n, d] best, beginning at these."""
        squares = _squares(points, points)
        raw, first, second, before = self.raw.copy(), np.zeros(4), np.zeros(4), math.inf
        for step in range(1, STEPS + 1):
            loss, slope = GaussianProcess(raw)._loss(squares, values)
            first = 0.9 * first + 0.1 * slope
            second = 0.999 * second + 0.001 * slope**2
            raw = raw - RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            if abs(before - loss) < TOLERANCE:
                break
            before = loss
        return GaussianProcess(raw)

    def predict(self, points: Floats, values: Floats, at: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation (noise included) of a value at each of ``at`` [m, d], given ``values`` at ``points``."""
        factor, _ = self._factor(_squares(points, points))
        near = self.scale * np.exp(-_squares(at, points) / (2 * self.length**2))
        half = solve_triangular(factor, near.T, lower=True)
        means = self.mean + half.T @ solve_triangular(factor, values - self.mean, lower=True)
        variances = np.maximum(self.scale - (half**2).sum(axis=0), 0.0) + self.noise
        return means, np.sqrt(variances)

    def _factor(self, squares: Floats) -> tuple[Floats, Floats]:
        """Return the Cholesky factor of the covariance of the values, and the part of it that is not noise."""
        smooth = self.scale * np.exp(squares * (-0.5 / self.length**2))
        covariance = smooth.copy()
        covariance.flat[:: len(smooth) + 1] += self.noise
        factor, failed = dpotrf(covariance, lower=1, clean=1)
        assert not failed, "a kernel with noise on its diagonal is positive definite"
        return factor, smooth

    def _loss(self, squares: Floats, values: Floats) -> tuple[float, Floats]:
        """Return the negative mean log likelihood and its slope by ``raw``."""
        n, residual = len(values), values - self.mean
        factor, smooth = self._factor(squares)
        lower, _ = dpotri(factor, lower=1)
        weights = dsymv(1.0, lower, residual, lower=1)
        likelihood = -0.5 * (residual @ weights) - np.log(factor.diagonal()).sum() - 0.5 * n * math.log(2 * math.pi)
        # sums over symmetric matrices, from one triangle of the inverse
        half, stretched = lower.T, smooth * squares
        diagonal = half.diagonal()
        by_scale = 0.5 * (weights @ smooth @ weights - 2 * np.vdot(half, smooth)) / self.scale + 0.5 * diagonal.sum()
        by_length = 0.5 * (weights @ stretched @ weights - 2 * np.vdot(half, stretched)) / self.length**3
        by_noise = 0.5 * (weights @ weights - diagonal.sum())
        softened = 1 / (1 + np.exp(-self.raw[1:]))
        slope = np.array([weights.sum(), *(softened * (by_scale, by_length, by_noise))])
        return -float(likelihood) / n, -slope / n


def softplus(x: float) -> float:
    """Return log(1 + e^x)."""
    return float(np.logaddexp(0.0, x))


def _squares(a: Floats, b: Floats) -> Floats:
    squares: Floats = ((a[:, None] - b[None]) ** 2).sum(axis=-1)
    return squares
