"""The losses of soft actor-critic against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.inner.sac_loss import actor_loss, critic_loss, soft_targets, temperature_slope


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def test_soft_targets():
    reward, terminated = jnp.array([1.0, 1.0, -2.0]), jnp.array([0.0, 1.0, 0.0])
    next_values = jnp.array([[3.0, 5.0, -4.0], [4.0, 2.0, -6.0]])
    log_prob = jnp.array([-1.0, 2.0, 3.0])
    targets = soft_targets(reward, terminated, next_values, log_prob, jnp.float32(0.5), jnp.float32(0.9))
    # 1 + .9 (3 + .5), 1 alone after the end, -2 + .9 (-6 - 1.5)
    np.testing.assert_allclose(targets, [4.15, 1.0, -8.75], rtol=1e-6)


def test_critic_loss_adds_both_critics():
    values, targets = jnp.array([[1.0, 2.0], [0.0, 4.0]]), jnp.array([2.0, 3.0])
    loss, errors = critic_loss(values, targets, jnp.array([1.0, 0.5]))
    np.testing.assert_array_equal(errors, [[1.0, 1.0], [2.0, -1.0]])
    # half of ((1 + .5) / 2 + (4 + .5) / 2)
    assert float(loss) == pytest.approx(1.5)


def test_actor_loss_takes_the_smaller_value():
    values = jnp.array([[1.0, 2.0], [3.0, -2.0]])
    loss = actor_loss(jnp.array([-1.0, 4.0]), values, jnp.float32(0.5), jnp.array([1.0, 0.25]))
    assert float(loss) == pytest.approx(((-0.5 - 1.0) + 0.25 * (2.0 + 2.0)) / 2)


@pytest.mark.parametrize(("entropy", "sign"), [(-3.0, 1), (-1.0, 0), (0.5, -1)])
def test_alpha_rises_where_entropy_is_under_its_target(entropy, sign):
    slope = float(temperature_slope(jnp.log(jnp.float32(0.2)), jnp.float32(entropy), jnp.float32(-1.0)))
    assert np.sign(-slope) == sign  # descent
    assert slope == pytest.approx(0.2 * (entropy + 1.0))
