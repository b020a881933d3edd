"""The loss of PPO against numbers worked out by hand."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.inner.ppo_loss import Samples, normalised, policy_loss, ppo_loss, value_loss


def hyperparameters(**values):
    base = {"clip_eps": 0.2, "vf_clip_eps": 1e6, "vf_coef": 0.5, "ent_coef": 0.0, "normalize_advantage": False}
    return SimpleNamespace(
        **{k: np.asarray(v, None if isinstance(v, bool) else np.float32) for k, v in {**base, **values}.items()}
    )


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected", "slope"),
    [
        (1.1, 2.0, -2.2, -2.0),  # inside: the plain surrogate
        (1.5, 2.0, -2.4, 0.0),  # too much of a good thing: clipped at 1.2
        (0.5, 2.0, -1.0, -2.0),  # a good action made rarer: not clipped, it must come back
        (0.5, -2.0, 1.6, 0.0),  # a bad action made rare enough: clipped at .8
        (1.5, -2.0, 3.0, 2.0),  # a bad action made likelier: not clipped
    ],
)
def test_clipping_on_both_sides(ratio, advantage, expected, slope):
    def loss(r):
        return policy_loss(r[None], jnp.array([advantage]), jnp.float32(0.2))

    value, gradient = jax.value_and_grad(loss)(jnp.float32(ratio))
    assert value == pytest.approx(expected, rel=1e-6)
    assert gradient == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "old", "target", "clip", "expected"),
    [
        (2.0, 0.0, 1.0, 1e6, 0.5),  # not clipped: half the squared error 1
        (2.0, 0.0, 3.0, 0.5, 0.5 * 6.25),  # moved towards the target beyond .5: the error of the clipped value counts
        (-2.0, 0.0, 3.0, 0.5, 0.5 * 25.0),  # moved away: the larger, unclipped error counts
        (2.0, 0.0, 3.0, 0.0, 0.5 * 9.0),  # a clip range of 0: never better than the old value's error
    ],
)
def test_value_clipping(value, old, target, clip, expected):
    got = value_loss(jnp.array([value]), jnp.array([old]), jnp.array([target]), jnp.float32(clip))
    assert got == pytest.approx(expected, rel=1e-6)


def test_value_gradient_is_zero_beyond_the_clip_range_and_only_there():
    def slope(clip):
        return jax.grad(lambda v: value_loss(v[None], jnp.zeros(1), jnp.full(1, 3.0), jnp.float32(clip)))(
            jnp.float32(2.0)
        )

    assert slope(0.5) == 0.0
    assert slope(1e6) == pytest.approx(-1.0)


def test_advantages_are_normalised_with_the_biased_deviation():
    got = normalised(jnp.array([1.0, 2.0, 3.0, 6.0]))
    np.testing.assert_allclose(got, (np.array([1, 2, 3, 6]) - 3) / np.sqrt(3.5), rtol=1e-5)
    np.testing.assert_array_equal(normalised(jnp.full(8, 5.0)), 0.0)  # no deviation: zero, not nan
    np.testing.assert_array_equal(normalised(jnp.array([4.0])), 0.0)


def test_whole_loss_by_hand():
    samples = Samples(
        log_prob=jnp.log(jnp.array([0.5, 0.25])),
        value=jnp.array([0.0, 1.0]),
        advantage=jnp.array([1.0, -1.0]),
        target=jnp.array([1.0, 3.0]),
    )
    log_prob = jnp.log(jnp.array([0.7, 0.275]))  # ratios 1.4 and 1.1
    value, entropy = jnp.array([0.5, 1.0]), jnp.array([0.6, 0.4])
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        loss, parts = jax.jit(lambda: ppo_loss(log_prob, value, entropy, samples, hyperparameters(ent_coef=0.1)))()
    policy = -(1.2 * 1 + 1.1 * -1) / 2
    critic = 0.5 * (0.5**2 + 2.0**2) / 2
    assert parts.policy_loss == pytest.approx(policy, abs=1e-6)
    assert parts.value_loss == pytest.approx(critic, rel=1e-6)
    assert parts.entropy == pytest.approx(0.5, rel=1e-6)
    assert parts.clip_fraction == pytest.approx(0.5)  # 1.4 is out of range, 1.1 is not
    assert parts.approximate_kl == pytest.approx(np.mean([0.4 - np.log(1.4), 0.1 - np.log(1.1)]), rel=1e-5)
    assert loss == pytest.approx(policy + 0.5 * critic - 0.1 * 0.5, rel=1e-6)


def test_normalising_is_a_traced_choice():
    draw = np.random.default_rng(0)
    log_prob, old, value, advantage = (draw.normal(size=16).astype(np.float32) * 0.1 for _ in range(4))
    samples = Samples(old, value, 5.0 + advantage, value)
    by_hand = Samples(old, value, np.asarray(normalised(samples.advantage)), value)
    zero = np.zeros(16, np.float32)
    chosen = ppo_loss(log_prob, value, zero, samples, hyperparameters(normalize_advantage=True))[0]
    assert chosen == ppo_loss(log_prob, value, zero, by_hand, hyperparameters())[0]
    assert chosen != ppo_loss(log_prob, value, zero, samples, hyperparameters())[0]


@pytest.mark.parametrize("edge", [{"clip_eps": 0.0}, {"vf_clip_eps": 0.0}, {"vf_coef": 0.0, "ent_coef": 0.5}])
def test_edges_of_the_search_space_give_finite_gradients(edge):
    zeros = jnp.zeros(4)
    samples = Samples(zeros, zeros, jnp.arange(4.0), jnp.arange(4.0))
    gradients = jax.grad(lambda x: ppo_loss(x, x, x, samples, hyperparameters(**edge))[0])(zeros)
    assert np.isfinite(gradients).all()
