"""Gaussian mixtures with full covariances, several sizes fitted at once by expectation maximisation, chosen by Akaike's criterion.

Mixtures of 2 to K Gaussians stand side by side in arrays [M, K] with M = K - 1, of which the upper triangle is unused. Settings are those
of scikit-learn's GaussianMixture (Pedregosa et al., 2011), which the reference teachers use: k-means starts, 1e-6 added to the variances,
at most 100 iterations, a gain of the mean log likelihood below 1e-3 as convergence.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.curricula.protocol import choose

RIDGE = 1e-6
TOLERANCE = 1e-3
MAX_ITERATIONS = 100
_TINY = 10 * float(np.finfo(np.float32).eps)


class Mixture(NamedTuple):
    """At most K Gaussians in d dimensions; none before the first fit.

    Attributes:
        weights: float32 [K], their sum is 1; 0 for those that do not exist.
        means: float32 [K, d].
        covariances: float32 [K, d, d].
        exists: bool [K].
    """

    weights: Array
    means: Array
    covariances: Array
    exists: Array

    @classmethod
    def empty(cls, components: int, dimensions: int) -> Mixture:
        """Return the mixture of no Gaussian, with room for ``components``."""
        identity = jnp.broadcast_to(jnp.eye(dimensions), (components, dimensions, dimensions))
        none = jnp.zeros(components)
        return cls(none, jnp.zeros((components, dimensions)), identity, none > 0)

    def draw(self, key: Array, utilities: Array, n: int) -> Array:
        """Draw n points, float32 [n, d], from components chosen in proportion to ``utilities`` [K] (uniformly if all are 0)."""
        which, where = jax.random.split(key)
        useful = jnp.where(self.exists, jnp.maximum(utilities, 0.0), 0.0)
        chosen = choose(which, jnp.where(useful.sum() > 0, useful, self.exists.astype(jnp.float32)), n)
        roots = jnp.linalg.cholesky(self.covariances)
        noise = jax.random.normal(where, (n, self.means.shape[1]))
        return self.means[chosen] + jnp.einsum("nij,nj->ni", roots[chosen], noise)


class _Estimates(NamedTuple):
    weights: Array
    means: Array
    covariances: Array


def fit_mixture(key: Array, points: Array, present: Array, largest: int, smallest: int = 2) -> Mixture:
    """Fit a mixture of each size and return the one with the least AIC (Akaike, 1974), with room for ``largest`` Gaussians.

    Args:
        key: Decides the starts, which each size has of its own.
        points: float32 [n, d].
        present: bool [n], which of the points count; at least ``largest`` of them.
        largest: Greatest number of Gaussians, K.
        smallest: Least number of Gaussians.

    Returns:
        The mixture; an empty one where float32 was not enough for any (a covariance that is singular in spite of the ridge).
    """
    count, d = present.sum(), points.shape[1]
    centre = jnp.where(present[:, None], points, 0.0).sum(axis=0) / count
    centred = jnp.where(present[:, None], points - centre, 0.0)
    sizes = np.arange(smallest, largest + 1)
    exists = np.arange(largest) < sizes[:, None]
    assigned = _k_means(key, centred, present, exists)
    estimates, likelihoods = _maximise(centred, present, exists, assigned)
    free = sizes * (1 + d + d * (d + 1) // 2) - 1
    criterion = -2.0 * count * likelihoods + 2.0 * free
    best = jnp.argmin(jnp.where(jnp.isfinite(criterion), criterion, jnp.inf))
    chosen = jax.tree.map(lambda x: x[best], estimates)
    fitted = Mixture(chosen.weights, chosen.means + centre, chosen.covariances, jnp.asarray(exists)[best])
    none = Mixture.empty(largest, d)
    return jax.tree.map(lambda new, old: jnp.where(jnp.isfinite(criterion[best]), new, old), fitted, none)


def _k_means(key: Array, points: Array, present: Array, exists: np.ndarray) -> Array:
    """Return the assignment of points to the clusters of each model, as zeros and ones [M, K, n]."""
    models, components = exists.shape
    centres = jax.vmap(lambda own: _far_apart(own, points, present, components))(jax.random.split(key, models))

    def assign(centres: Array) -> Array:
        distances = (centres**2).sum(axis=-1)[..., None] - 2.0 * jnp.einsum("mkd,nd->mkn", centres, points)
        return jnp.argmin(jnp.where(exists[..., None], distances, jnp.inf), axis=1)

    def shares(nearest: Array) -> Array:
        return (nearest[:, None] == jnp.arange(components)[:, None]).astype(jnp.float32) * present

    def improve(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        turn, centres, before, _ = carry
        nearest = assign(centres)
        assigned = shares(nearest)
        sizes = assigned.sum(axis=-1)[..., None]
        moved = jnp.einsum("mkn,nd->mkd", assigned, points) / jnp.maximum(sizes, 1.0)
        # a cluster that lost all its points stays where it was
        return turn + 1, jnp.where(sizes > 0, moved, centres), nearest, jnp.any(nearest != before)

    start = (jnp.int32(0), centres, jnp.full((models, len(points)), -1), jnp.bool_(True))
    _, _, nearest, _ = jax.lax.while_loop(lambda carry: carry[3] & (carry[0] < MAX_ITERATIONS), improve, start)
    return shares(nearest)


def _far_apart(key: Array, points: Array, present: Array, count: int) -> Array:
    """Return ``count`` of the points by greedy k-means++ (Arthur and Vassilvitskii, 2007), float32 [count, d]."""
    trials = 2 + int(math.log(count))
    first, rest = jax.random.split(key)
    start = points[choose(first, present.astype(jnp.float32), 1)[0]]

    def add(nearest: Array, own: Array) -> tuple[Array, Array]:
        # points that coincide leave nothing to choose by: any that is present will do
        weights = jnp.where(nearest.sum() > 0, nearest, present.astype(jnp.float32))
        candidates = points[choose(own, weights, trials)]
        reached = jnp.minimum(nearest, ((points - candidates[:, None]) ** 2).sum(axis=-1) * present)
        best = jnp.argmin(reached.sum(axis=1))
        return reached[best], candidates[best]

    nearest = ((points - start) ** 2).sum(axis=-1) * present
    _, others = jax.lax.scan(add, nearest, jax.random.split(rest, count - 1))
    return jnp.concatenate([start[None], others])


def _maximise(points: Array, present: Array, exists: np.ndarray, assigned: Array) -> tuple[_Estimates, Array]:
    """Return weights [M, K], means [M, K, d], covariances [M, K, d, d], and each model's mean log likelihood [M]."""
    Carry = tuple[Array, _Estimates, Array, Array]

    def improve(carry: Carry) -> Carry:
        turn, estimates, likelihoods, running = carry
        current, responsibilities = _expect(points, present, exists, estimates)
        fresh = _estimate(points, present, responsibilities)
        kept = jax.tree.map(
            lambda new, old: jnp.where(running.reshape(-1, *[1] * (old.ndim - 1)), new, old), fresh, estimates
        )
        moved = running & (jnp.abs(current - likelihoods) >= TOLERANCE)
        return turn + 1, kept, jnp.where(running, current, likelihoods), moved

    models = len(exists)
    start = _estimate(points, present, assigned)
    first = (jnp.int32(0), start, jnp.full(models, -jnp.inf), jnp.ones(models, jnp.bool_))
    going = lambda carry: jnp.any(carry[3]) & (carry[0] < MAX_ITERATIONS)  # noqa: E731
    # as in scikit-learn: a gain is that of the step before, so what is returned is one step better than what was judged
    _, estimates, _, _ = jax.lax.while_loop(going, improve, first)
    return estimates, _expect(points, present, exists, estimates)[0]


def _estimate(points: Array, present: Array, responsibilities: Array) -> _Estimates:
    """Return the components' weights, means and covariances from their shares [M, K, n] of the points."""
    d = points.shape[1]
    totals = responsibilities.sum(axis=-1) + _TINY
    means = jnp.einsum("mkn,nd->mkd", responsibilities, points) / totals[..., None]
    # about each mean, not as a difference of moments: that would cancel in float32
    offsets = points - means[:, :, None]
    weighted = offsets * responsibilities[..., None]
    covariances = jnp.einsum("mknd,mkne->mkde", weighted, offsets) / totals[..., None, None]
    return _Estimates(totals / present.sum(), means, covariances + RIDGE * jnp.eye(d))


def _expect(points: Array, present: Array, exists: np.ndarray, estimates: _Estimates) -> tuple[Array, Array]:
    """Return each model's mean log likelihood [M] and the components' shares of the points [M, K, n]."""
    weights, means, covariances = estimates
    d = points.shape[1]
    roots = jnp.linalg.cholesky(covariances)
    inverse = jax.scipy.linalg.solve_triangular(roots, jnp.broadcast_to(jnp.eye(d), roots.shape), lower=True)
    whitened = jnp.einsum("mkde,mkne->mknd", inverse, points - means[:, :, None])
    volumes = jnp.log(jnp.diagonal(roots, axis1=-2, axis2=-1)).sum(axis=-1)
    constants = jnp.log(weights) - volumes - 0.5 * d * math.log(2 * math.pi)
    logs = jnp.where(exists[..., None], constants[..., None] - 0.5 * (whitened**2).sum(axis=-1), -jnp.inf)
    top = logs.max(axis=1, keepdims=True)
    shares = jnp.exp(logs - top)
    sums = shares.sum(axis=1, keepdims=True)
    likelihoods = jnp.where(present, top[:, 0] + jnp.log(sums[:, 0]), 0.0).sum(axis=-1) / present.sum()
    return likelihoods, shares / sums * present
