"""The small parts that learners share, each against an independent implementation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from autorl.inner.networks import MLP, ActorCritic, QNetwork, matmul
from autorl.inner.normalisation import initial_moments, merge, normaliser
from autorl.inner.optimiser import Layout, adam_step, clip_factor, initial_adam
from autorl.inner.policies import Categorical, Gaussian
from autorl.inner.shuffle import permutation
from autorl.inner.threefry import standard, unrolled


def test_adam_equals_optax():
    draw = np.random.default_rng(0)
    start = draw.normal(size=11).astype(np.float32)
    reference = optax.adam(3e-3, eps=1e-5)
    state, parameters, ours = reference.init(start), start, initial_adam(jnp.asarray(start))
    for _ in range(20):
        gradient = draw.normal(size=11).astype(np.float32)
        change, state = reference.update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, change)
        ours = adam_step(ours, gradient, jnp.float32(3e-3), jnp.float32(1e-5))
    np.testing.assert_allclose(ours.parameters, parameters, rtol=1e-5, atol=1e-6)
    assert ours.updates == 20


def test_gradients_are_clipped_to_the_norm_and_small_ones_left_alone():
    gradient = jnp.array([3.0, 4.0])
    assert clip_factor(gradient, jnp.float32(0.5)) == pytest.approx(0.1, rel=1e-5)
    assert clip_factor(gradient, jnp.float32(10.0)) == 1.0
    assert clip_factor(gradient, jnp.float32(0.0)) == 0.0
    assert clip_factor(jnp.zeros(2), jnp.float32(0.0)) == 0.0  # not nan
    assert jnp.isnan(clip_factor(jnp.array([jnp.nan, 1.0]), jnp.float32(0.5)))


@pytest.mark.parametrize("size", [1, 3, 63, 64, 67, 1023, 8835])
def test_a_norm_that_is_folded_is_the_norm(size):
    gradient = np.random.default_rng(size).normal(size=size).astype(np.float32)
    factor = clip_factor(jnp.asarray(gradient), jnp.float32(0.5), in_one_piece=True)
    assert factor == pytest.approx(min(1.0, 0.5 / (np.linalg.norm(gradient.astype(np.float64)) + 1e-6)), rel=2e-6)
    assert clip_factor(jnp.asarray(gradient), jnp.float32(1e6), in_one_piece=True) == 1.0
    gradient[size // 2] = np.nan
    assert jnp.isnan(clip_factor(jnp.asarray(gradient), jnp.float32(0.5), in_one_piece=True))


def test_layout_packs_and_unpacks():
    tree = {"a": jnp.arange(6.0).reshape(2, 3), "b": {"c": jnp.array(7.0), "d": jnp.zeros((0,))}}
    layout = Layout.of(tree)
    assert layout.size == 7
    jax.tree.map(np.testing.assert_array_equal, layout.unpack(layout.pack(tree)), tree)


@pytest.mark.parametrize(("rows", "columns"), [(5, 3), (3, 5), (4, 4), (6, 1), (9, 8), (8, 12)])
@pytest.mark.parametrize("lead", [(7,), (2, 3), ()])
def test_matmul_has_the_gradient_of_a_product(rows, columns, lead):
    draw = np.random.default_rng(1)
    x, kernel = draw.normal(size=(*lead, rows)).astype(np.float32), draw.normal(size=(rows, columns)).astype(np.float32)

    def gradients(product):
        return jax.grad(lambda x, k: jnp.sum(jnp.sin(product(x, k))), argnums=(0, 1))(x, kernel)

    for got, expected in zip(gradients(matmul), gradients(jnp.matmul), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_networks_have_the_sizes_they_were_asked_for_and_start_orthogonal():
    parameters = ActorCritic(3, True, hidden_size=16, n_layers=2).init(jax.random.key(0), jnp.zeros((1, 5)))["params"]
    shapes = jax.tree.map(jnp.shape, parameters["actor"])
    assert [shapes[f"Dense_{i}"]["kernel"] for i in range(3)] == [(5, 16), (16, 16), (16, 3)]
    kernel = parameters["critic"]["Dense_1"]["kernel"]
    np.testing.assert_allclose(kernel.T @ kernel, 2.0 * np.eye(16), atol=1e-5)  # gain sqrt 2
    head = parameters["actor"]["Dense_2"]["kernel"]
    np.testing.assert_allclose(head.T @ head, 1e-4 * np.eye(3), atol=1e-8)  # gain .01: near uniform at first
    np.testing.assert_array_equal(parameters["log_std"], 0.0)
    assert MLP(2, n_layers=0).init(jax.random.key(0), jnp.zeros((1, 5)))["params"].keys() == {"Dense_0"}


def test_images_are_flattened():
    network = QNetwork(4, (3, 3, 2))
    images = jnp.ones((6, 3, 3, 2))
    parameters = network.init(jax.random.key(0), images)
    assert network.apply(parameters, images).shape == (6, 4)
    assert network.apply(parameters, images[0]).shape == (4,)


def test_moments_of_batches_are_those_of_all_observations():
    draw = np.random.default_rng(2)
    batches = [draw.normal(3.0, 2.0, size=(n, 4)).astype(np.float32) for n in (16, 64, 5)]
    moments = initial_moments(4)
    for batch in batches:
        moments = merge(moments, jnp.asarray(batch))
    together = np.concatenate(batches)
    np.testing.assert_allclose(moments.mean, together.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, together.var(0), rtol=1e-4)
    scaled = normaliser(moments, jnp.bool_(True))(together)
    np.testing.assert_allclose(scaled.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(0), 1.0, atol=1e-4)
    assert jnp.max(normaliser(moments, jnp.bool_(True))(jnp.full((1, 4), 1e6))) == 10.0
    np.testing.assert_array_equal(normaliser(moments, jnp.bool_(False))(together), together)


def test_categorical_policy():
    policy, logits = Categorical(3), jnp.log(jnp.array([0.2, 0.5, 0.3]))
    many = jnp.broadcast_to(logits, (40_000, 3))
    actions = policy.sample(many, jnp.zeros(0), policy.noise(jax.random.key(0), (40_000,)))
    counts = np.bincount(np.asarray(policy.to_environment(actions)), minlength=3)
    assert stats.chisquare(counts, 40_000 * np.array([0.2, 0.5, 0.3])).pvalue > 1e-3
    np.testing.assert_allclose(
        np.exp(policy.log_prob(many[:3], jnp.zeros(0), jnp.arange(3.0)[:, None])), [0.2, 0.5, 0.3], rtol=1e-5
    )
    assert policy.entropy(logits, jnp.zeros(0)) == pytest.approx(stats.entropy([0.2, 0.5, 0.3]), rel=1e-5)
    assert policy.to_environment(policy.mode(logits)) == 1


def test_two_actions_are_sampled_as_often_as_they_should():
    policy, logits = Categorical(2), jnp.broadcast_to(jnp.array([0.0, 1.0]), (40_000, 2))
    actions = policy.sample(logits, jnp.zeros(0), policy.noise(jax.random.key(1), (40_000,)))
    assert np.mean(actions) == pytest.approx(1 / (1 + np.exp(-1)), abs=0.01)


def test_gaussian_policy():
    policy, log_std = Gaussian(-2.0, 6.0, (2,)), jnp.array([0.3, -0.5])
    mean, action = jnp.array([[0.1, -0.2]]), jnp.array([[0.7, 0.4]])
    expected = stats.norm([0.1, -0.2], np.exp(log_std)).logpdf(action).sum()
    assert policy.log_prob(mean, log_std, action)[0] == pytest.approx(expected, rel=1e-5)
    assert policy.entropy(mean, log_std)[0] == pytest.approx(stats.norm(0, np.exp(log_std)).entropy().sum(), rel=1e-5)
    np.testing.assert_allclose(policy.to_environment(jnp.array([[-1.0, 0.5], [9.0, -9.0]])), [[-2.0, 4.0], [6.0, -2.0]])
    samples = policy.sample(jnp.zeros((50_000, 2)), log_std, policy.noise(jax.random.key(0), (50_000,)))
    np.testing.assert_allclose(np.std(samples, axis=0), np.exp(log_std), rtol=0.02)


DRAWS = {
    "uniform": lambda k: jax.random.uniform(k, (7, 3)),
    "normal": lambda k: jax.random.normal(k, (5,)),
    "split": lambda k: jax.random.key_data(jax.random.split(k, (3, 4))),
    "fold_in": lambda k: jax.random.key_data(jax.random.fold_in(k, 2**31 + 7)),
    "randint": lambda k: jax.random.randint(k, (9,), 0, 1000),
    "bytes": lambda k: jax.random.bits(k, (11,), jnp.uint8),
    "batched": lambda k: jax.vmap(lambda q: jax.random.uniform(jax.random.fold_in(q, 3), (4,)))(jax.random.split(k, 8)),
    "permutation": lambda k: jax.random.permutation(k, 10),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_unrolled_threefry_equals_jax_bit_for_bit(draw):
    key = jax.random.key(123456789)
    np.testing.assert_array_equal(jax.jit(draw)(unrolled(key)), draw(key))
    assert standard(unrolled(key)).dtype == key.dtype


@pytest.mark.parametrize("n", [1, 2, 5, 200, 256, 1000, 2048, 3 * 1024])
def test_permutations_hold_every_index_once(n):
    got = jax.vmap(lambda s: permutation(jax.random.key(s), n))(jnp.arange(20))
    np.testing.assert_array_equal(np.sort(got, axis=1), np.broadcast_to(np.arange(n), (20, n)))
    assert n < 3 or len(np.unique(got, axis=0)) > 1


@pytest.mark.parametrize("n", [256, 240])
def test_shuffles_are_uniform(n):
    """Positions, neighbours in a minibatch and the spread of a minibatch are those of uniform shuffles."""
    draws = 8000
    orders = np.asarray(jax.vmap(lambda s: permutation(jax.random.key(s), n))(jnp.arange(draws)))
    positions = [stats.chisquare(np.bincount(orders[:, i], minlength=n)).pvalue for i in range(0, n, 8)]
    assert stats.kstest(positions, "uniform").pvalue > 1e-3
    minibatch = np.argsort(orders, axis=1) // (n // 4)
    together, expected = [], (n / 4 - 1) / (n - 1)
    for distance in (1, 2, 16, n // 2):
        together += [np.mean(minibatch[:, i] == minibatch[:, i + distance]) for i in range(0, n - distance, 7)]
    z = (np.array(together) - expected) / np.sqrt(expected * (1 - expected) / draws)
    assert abs(z.mean()) < 4.5 / np.sqrt(z.size)
    assert 0.7 < z.std() < 1.3
    for half in (orders < n // 2, orders % 2 == 0):
        spread = half[:, : n // 4].sum(axis=1).var()
        assert spread == pytest.approx(stats.hypergeom(n, n // 2, n // 4).var(), rel=0.1)
