"""Gaussian mixtures with full covariances, several sizes fitted at once by expectation maximisation, chosen by Akaike's criterion.

All components of all sizes stand side by side in one array, so that an iteration is two matrix products. Settings are those of
scikit-learn's GaussianMixture (Pedregosa et al., 2011), which the reference teachers use: k-means starts, 1e-6 added to the
variances, at most 100 iterations, a gain of the mean log likelihood below 1e-3 as convergence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autorl.curricula.protocol import Floats, choose

RIDGE = 1e-6
TOLERANCE = 1e-3
MAX_ITERATIONS = 100
_TINY = 10 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class Mixture:
    """k Gaussians in d dimensions; k = 0 before the first fit.

    Attributes:
        weights: float64 [k], their sum is 1.
        means: float64 [k, d].
        covariances: float64 [k, d, d].
    """

    weights: Floats
    means: Floats
    covariances: Floats

    @classmethod
    def empty(cls, dimensions: int) -> Mixture:
        """Return the mixture of no Gaussian."""
        return cls(np.zeros(0), np.zeros((0, dimensions)), np.zeros((0, dimensions, dimensions)))

    def draw(self, rng: np.random.Generator, utilities: Floats, n: int) -> Floats:
        """Draw n points, shape [n, d], from components chosen in proportion to ``utilities`` [k]."""
        chosen = choose(rng, utilities, n)
        roots = np.linalg.cholesky(self.covariances)
        noise = rng.standard_normal((n, self.means.shape[1]))
        return self.means[chosen] + np.einsum("nij,nj->ni", roots[chosen], noise)


def fit_mixture(points: Floats, sizes: Sequence[int], rng: np.random.Generator) -> Mixture:
    """Fit a mixture of each size and return the one with the least AIC (Akaike, 1974).

    Args:
        points: float64 [n, d], at least as many as the greatest of ``sizes``.
        sizes: Numbers of components, each at least 1.
        rng: Decides the starts. The starts of one size are the first ones of the next.
    """
    centre = points.mean(axis=0)
    centred = points - centre
    layout = _Layout(np.asarray(sizes))
    responsibilities = _k_means(centred, layout, rng)
    weights, means, covariances, likelihoods = _maximise(centred, layout, responsibilities)
    d = points.shape[1]
    free = layout.sizes * (1 + d + d * (d + 1) // 2) - 1
    best = int(np.argmin(-2 * len(points) * likelihoods + 2 * free))
    own = layout.model == best
    return Mixture(weights[own], means[own] + centre, covariances[own])


class _Layout:
    """Components of all sizes in one row: ``model`` [K] says whose each is, ``starts`` where each model begins."""

    def __init__(self, sizes: NDArray[np.int64]) -> None:
        self.sizes = sizes
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.model = np.repeat(np.arange(len(sizes)), sizes)


def _k_means(points: Floats, layout: _Layout, rng: np.random.Generator) -> Floats:
    """Return the assignment of points to the clusters of each model, as zeros and ones [n, K]."""
    seeds = _far_apart(points, int(layout.sizes.max()), rng)
    centres = seeds[np.concatenate([np.arange(size) for size in layout.sizes])]
    ends = layout.starts + layout.sizes
    rows = np.arange(len(points))
    before = np.zeros(0)
    assigned = np.zeros((len(points), len(centres)))
    for _ in range(MAX_ITERATIONS):
        distances = (centres**2).sum(axis=1) - 2 * points @ centres.T
        nearest = np.stack(
            [first + distances[:, first:last].argmin(axis=1) for first, last in zip(layout.starts, ends, strict=True)]
        )
        if np.array_equal(nearest, before):
            break
        before = nearest
        assigned = np.zeros_like(assigned)
        assigned[rows, nearest] = 1.0
        sizes = assigned.sum(axis=0)
        # a cluster that lost all its points stays where it was
        centres = np.where(sizes[:, None] > 0, assigned.T @ points / np.maximum(sizes, 1)[:, None], centres)
    return assigned


def _far_apart(points: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Return ``count`` of the points by greedy k-means++ (Arthur and Vassilvitskii, 2007), shape [count, d]."""
    trials = 2 + int(np.log(count))
    chosen = [int(rng.integers(len(points)))]
    nearest = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    for _ in range(count - 1):
        candidates = choose(rng, nearest, trials)
        reached = np.minimum(nearest, ((points[None] - points[candidates, None]) ** 2).sum(axis=2))
        best = int(reached.sum(axis=1).argmin())
        chosen.append(int(candidates[best]))
        nearest = reached[best]
    return points[chosen]


def _maximise(points: Floats, layout: _Layout, responsibilities: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return weights [K], means [K, d], covariances [K, d, d] and each model's mean log likelihood."""
    n, d = points.shape
    # the log density of a Gaussian is linear in 1, x and x x'
    features = np.concatenate(
        [np.ones((n, 1)), points, (points[:, :, None] * points[:, None]).reshape(n, d * d)], axis=1
    )
    estimates = _estimate(features, responsibilities, d)
    likelihoods = np.full(len(layout.sizes), -np.inf)
    running = np.ones(len(layout.sizes), dtype=np.bool_)
    for _ in range(MAX_ITERATIONS):
        current, responsibilities = _expect(features, layout, estimates, d)
        changed = running & (np.abs(current - likelihoods) >= TOLERANCE)
        moving = running[layout.model]
        fresh = _estimate(features, responsibilities, d)
        estimates = tuple(
            np.where(moving.reshape(-1, *[1] * (old.ndim - 1)), new, old)
            for old, new in zip(estimates, fresh, strict=True)
        )
        likelihoods, running = np.where(running, current, likelihoods), changed
        if not running.any():
            break
    weights, means, covariances = estimates
    return weights, means, covariances, _expect(features, layout, estimates, d)[0]


def _estimate(features: Floats, responsibilities: Floats, d: int) -> tuple[Floats, ...]:
    """Return weights, means and covariances of the components from their shares of the points."""
    totals = responsibilities.sum(axis=0) + _TINY
    moments = responsibilities.T @ features / totals[:, None]
    means = moments[:, 1 : 1 + d]
    covariances = moments[:, 1 + d :].reshape(-1, d, d) - means[:, :, None] * means[:, None] + RIDGE * np.eye(d)
    return totals / len(features), means, covariances


def _expect(features: Floats, layout: _Layout, estimates: tuple[Floats, ...], d: int) -> tuple[Floats, Floats]:
    """Return each model's mean log likelihood [M] and the components' shares of the points [n, K]."""
    weights, means, covariances = estimates
    precisions = np.linalg.inv(covariances)
    slopes = np.einsum("kij,kj->ki", precisions, means)
    constants = np.log(weights) - 0.5 * (
        d * np.log(2 * np.pi) + np.linalg.slogdet(covariances)[1] + (slopes * means).sum(axis=1)
    )
    theta = np.concatenate([constants[:, None], slopes, -0.5 * precisions.reshape(-1, d * d)], axis=1)
    logs = features @ theta.T
    top = np.maximum.reduceat(logs, layout.starts, axis=1)
    shares = np.exp(logs - top[:, layout.model])
    sums = np.add.reduceat(shares, layout.starts, axis=1)
    return (top + np.log(sums)).mean(axis=0), shares / sums[:, layout.model]
