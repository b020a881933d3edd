"""Mixtures of Gaussians, and nearest neighbours: what ALP-GMM and Covar-GMM are made of."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula.history import BLOCK, History
from autorl.curricula.mixtures import Mixture, fit_mixture

pytestmark = pytest.mark.slow
CENTRES = np.array([[0.1, 0.1], [0.9, 0.1], [0.5, 0.9], [0.5, 0.5]])


@partial(jax.jit, static_argnums=(3, 4))
def fit(key: jax.Array, points: jax.Array, present: jax.Array, largest: int, smallest: int) -> Mixture:
    return fit_mixture(key, points, present, largest, smallest)


def clusters() -> tuple[np.ndarray, np.ndarray]:
    """Return 400 points of four clusters among 100 that do not count, and which do."""
    rng = np.random.default_rng(0)
    points = np.concatenate([centre + rng.normal(0, [0.02, 0.04], (100, 2)) for centre in CENTRES])
    present = rng.permutation(np.arange(500) < 400)
    mixed = rng.random((500, 2)) * 50
    mixed[present] = points
    return mixed.astype(np.float32), present


def test_akaike_finds_the_clusters_and_absent_points_count_for_nothing() -> None:
    points, present = clusters()
    mixture = fit(jax.random.key(0), points, present, 6, 2)
    exists = np.asarray(mixture.exists)
    assert exists.sum() in (4, 5)
    heavy = np.flatnonzero(exists & (np.asarray(mixture.weights) > 0.2))
    means = np.asarray(mixture.means)[heavy]
    nearest = np.abs(means[:, None] - CENTRES).sum(axis=2).min(axis=1)
    assert len(heavy) >= 3
    assert nearest.max() < 0.02
    variances = np.asarray(mixture.covariances)[heavy][:, [0, 1], [0, 1]]
    np.testing.assert_allclose(np.median(variances, axis=0), [0.0004, 0.0016], rtol=0.3)
    np.testing.assert_allclose(mixture.weights[exists].sum(), 1.0, rtol=1e-4)


def test_what_is_fitted_is_what_scikit_learn_would_settle_at() -> None:
    """At the end no step of expectation maximisation, here in float64 numpy, moves the parameters."""
    points, present = clusters()
    mixture = jax.tree.map(np.asarray, fit(jax.random.key(0), points, present, 6, 2))
    x, exists = points[present].astype(np.float64), mixture.exists
    means, covariances = mixture.means[exists].astype(np.float64), mixture.covariances[exists].astype(np.float64)
    offsets = x[:, None] - means
    squares = np.einsum("nkd,kde,nke->nk", offsets, np.linalg.inv(covariances), offsets)
    logs = np.log(mixture.weights[exists]) - 0.5 * (squares + np.linalg.slogdet(2 * np.pi * covariances)[1])
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares.mean(axis=0), mixture.weights[exists], atol=0.02)
    np.testing.assert_allclose((shares.T @ x) / shares.sum(axis=0)[:, None], means, atol=0.02)


def test_one_gaussian_is_the_sample_mean_and_covariance() -> None:
    points, present = clusters()
    mixture = fit(jax.random.key(0), points, present, 1, 1)
    np.testing.assert_allclose(mixture.means[0], points[present].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(
        mixture.covariances[0], np.cov(points[present].T, bias=True) + 1e-6 * np.eye(2), rtol=1e-3, atol=1e-6
    )


def test_a_mixture_draws_from_the_useful_only() -> None:
    means = jnp.array([[0.0, 0.0], [5.0, 1.0], [9.0, 9.0]])
    covariances = jnp.array([np.eye(2), [[0.02, 0.01], [0.01, 0.03]], np.eye(2)])
    mixture = Mixture(jnp.array([0.5, 0.5, 0.0]), means, covariances, jnp.array([True, True, False]))
    drawn = mixture.draw(jax.random.key(1), jnp.array([-1.0, 0.3, 7.0]), 20_000)
    np.testing.assert_allclose(np.cov(drawn.T), covariances[1], atol=0.001)
    np.testing.assert_allclose(drawn.mean(axis=0), [5.0, 1.0], atol=0.005)
    useless = mixture.draw(jax.random.key(1), jnp.zeros(3), 4000)
    assert 0.45 < float((useless[:, 0] > 3).mean()) < 0.55, "those that exist, alike"


def test_history_finds_the_nearest_of_the_newest_episodes() -> None:
    rng = np.random.default_rng(0)
    room, n = 2 * BLOCK, 3 * BLOCK + 100
    points, returns = rng.random((n, 3)).astype(np.float32), rng.random(n).astype(np.float32)
    valid = rng.random(n) < 0.9
    told = jax.jit(lambda: History.empty(room - 5, 3).told(points, returns, valid))
    history, nearest = told()
    assert history.returns.shape == (room,), "room is rounded up to blocks"
    assert int(history.total) == valid.sum()
    kept = np.flatnonzero(valid)
    for i in [0, 1, 2, 50, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 100, n - 1]:
        before = kept[kept < i][-room:]
        expected = returns[before[((points[before] - points[i]) ** 2).sum(axis=1).argmin()]] if len(before) else 0.0
        assert nearest[i] == expected
