"""The squashed Gaussian against PyTorch's distributions, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.distributions import AffineTransform, Normal, TanhTransform, TransformedDistribution

from autorl.inner.squashed_gaussian import SquashedGaussian

POLICY = SquashedGaussian(-2.0, 6.0, (3,))
sample = jax.jit(POLICY.sample)


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def drawn(seed=0, count=200):
    """Network outputs [count, 6] and noise [count, 3], float32."""
    random = np.random.default_rng(seed)
    mean, log_std = random.normal(0.0, 2.0, (count, 3)), random.uniform(-3.0, 1.0, (count, 3))
    return np.concatenate([mean, log_std], 1).astype(np.float32), random.normal(size=(count, 3)).astype(np.float32)


def reference(outputs, noise, low=-1.0, high=1.0):
    """Actions within [low, high] and their log-densities there, by PyTorch."""
    mean, log_std = torch.tensor(outputs[:, :3]).double(), torch.tensor(outputs[:, 3:]).double()
    before = mean + log_std.exp() * torch.tensor(noise).double()
    # the cache hands the inverse back exactly; without it atanh(tanh(x)) would be lost at the bounds
    squash = [TanhTransform(cache_size=1), AffineTransform((low + high) / 2, (high - low) / 2, cache_size=1)]
    actions = squash[1](squash[0](before))
    return actions.numpy(), TransformedDistribution(Normal(mean, log_std.exp()), squash).log_prob(actions).sum(-1)


def test_actions_and_log_densities():
    outputs, noise = drawn()
    actions, log_prob = sample(outputs, noise)
    expected, density = reference(outputs, noise)
    np.testing.assert_allclose(actions, expected, atol=1e-6)
    np.testing.assert_allclose(log_prob, density, rtol=1e-4, atol=1e-4)
    assert density.max() - density.min() > 10  # far from the middle, too


def test_the_density_on_the_environments_scale_differs_by_a_constant():
    outputs, noise = drawn(1)
    actions, log_prob = sample(outputs, noise)
    expected, density = reference(outputs, noise, -2.0, 6.0)
    np.testing.assert_allclose(POLICY.to_environment(actions), expected, atol=4e-6)
    np.testing.assert_allclose(log_prob - 3 * np.log(8 / 2), density, rtol=1e-4, atol=1e-4)


def test_far_out_actions_have_exact_densities_and_finite_slopes():
    mean = np.array([[30.0, -30.0, 12.0], [0.0, 80.0, -9.5]], np.float32)
    outputs = np.concatenate([mean, np.full((2, 3), -1.0, np.float32)], 1)
    noise = np.array([[0.5, -1.0, 2.0], [0.0, 1.0, -2.0]], np.float32)
    actions, log_prob = sample(outputs, noise)
    assert (np.abs(actions) <= 1).all()
    np.testing.assert_allclose(log_prob, reference(outputs, noise)[1], rtol=1e-5)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(POLICY.sample(x, noise)[1])))(outputs)
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(slope[0, :2], [2.0, -2.0], rtol=1e-5)  # -log(1 - tanh(x)^2) grows by 2 a unit


def test_slopes_flow_through_actions_and_densities():
    outputs, noise = drawn(2, 20)

    def loss(x):
        actions, log_prob = POLICY.sample(x, noise)
        return jnp.sum(actions**2) + jnp.sum(log_prob)

    x = torch.tensor(outputs).double().requires_grad_()
    before = x[:, :3] + x[:, 3:].exp() * torch.tensor(noise).double()
    normal = Normal(x[:, :3], x[:, 3:].exp()).log_prob(before)
    (torch.tanh(before).square().sum() + (normal - torch.log(1 - torch.tanh(before) ** 2)).sum()).backward()
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(outputs), x.grad, rtol=2e-3, atol=2e-4)


def test_the_mode_is_the_squashed_mean_and_deviations_are_bounded():
    outputs = np.array([[0.5, -1.0, 0.0, -50.0, 0.0, 50.0]], np.float32)
    np.testing.assert_allclose(POLICY.mode(outputs), np.tanh([[0.5, -1.0, 0.0]]), rtol=1e-6)
    actions, _ = sample(outputs, np.full((1, 3), 0.1, np.float32))
    np.testing.assert_allclose(actions[0, 0], np.tanh(0.5), rtol=1e-6)  # a deviation of exp(-20)
    np.testing.assert_allclose(actions[0, 2], np.tanh(0.1 * np.exp(2.0)), rtol=1e-6)


def test_shapes_of_actions():
    policy = SquashedGaussian(0.0, 1.0, (2, 2))
    assert policy.size == 4
    actions, log_prob = jax.jit(policy.sample)(np.zeros((5, 8), np.float32), np.zeros((5, 4), np.float32))
    assert (actions.shape, log_prob.shape) == ((5, 4), (5,))
    np.testing.assert_array_equal(policy.to_environment(actions), np.full((5, 2, 2), 0.5))
