"""PPO as a whole: what it must find in the probe environments, segments, divergence, and the edges of its search space."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.errors import UsageError
from autorl.inner.algorithms import ALGORITHMS
from autorl.inner.ppo import PPO
from autorl.inner.ppo_hyperparameters import PPOHyperparameters
from autorl.inner.protocol import is_traced, make_hyperparameters

SMALL = {"n_envs": 4, "n_steps": 32, "minibatch_size": 64, "update_epochs": 4, "hidden_size": 16}
PROBE = {**SMALL, "learning_rate": 1e-2, "gamma": 0.9, "vf_coef": 1.0}


@functools.cache
def programs(environment_id):
    """Return (learner, init, train, evaluate), compiled once for each environment and static signature."""
    learner = PPO(make_environment(environment_id))
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        return learner, jax.jit(learner.init), jax.jit(learner.train), jax.jit(learner.evaluate, static_argnums=4)


def prepared(environment_id, values, task=None):
    learner, init, *_ = programs(environment_id)
    hp = make_hyperparameters(PPOHyperparameters, values)
    task = {**learner.environment.default_task(), **(task or {})}
    return hp, task, init(jax.random.key(7), hp, task)


def train(environment_id, values, steps, task=None, horizon=None):
    hp, task, state = prepared(environment_id, values, task)
    strict = jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise")
    with strict[0], strict[1]:
        return hp, task, programs(environment_id)[2](state, hp, task, jnp.int32(steps), jnp.int32(horizon or steps))


def outputs(environment_id, hp, state, observations):
    learner = programs(environment_id)[0]
    tree = learner.layout(hp).unpack(state.adam.parameters)
    return learner.network(hp).apply({"params": tree}, jnp.asarray(observations, jnp.float32)[:, None])


def assert_equal(a, b):
    def same(x, y):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)

    jax.tree.map(same, a, b)


@pytest.mark.slow
def test_probe_constant_reward_has_value_one():
    hp, _, state = train("probe:constant_reward", PROBE, 128 * 30)
    np.testing.assert_allclose(outputs("probe:constant_reward", hp, state, [0.0])[1], 1.0, atol=0.05)
    assert state.progress.train_return == pytest.approx(1.0)


@pytest.mark.slow
def test_probe_observation_reward_has_the_value_of_the_observation():
    hp, _, state = train("probe:observation_reward", PROBE, 128 * 30)
    values = outputs("probe:observation_reward", hp, state, [-1.0, 1.0])[1]
    np.testing.assert_allclose(values, [-1.0, 1.0], atol=0.1)


@pytest.mark.slow
def test_probe_two_step_is_discounted():
    hp, _, state = train("probe:two_step", {**PROBE, "gamma": 0.5}, 128 * 40)
    np.testing.assert_allclose(outputs("probe:two_step", hp, state, [0.0, 1.0])[1], [0.5, 1.0], atol=0.1)


@pytest.mark.slow
def test_probe_action_reward_finds_the_action():
    hp, task, state = train("probe:action_reward", PROBE, 128 * 30)
    logits = outputs("probe:action_reward", hp, state, [0.0])[0]
    assert jax.nn.softmax(logits)[0, 1] > 0.95
    evaluation = programs("probe:action_reward")[3](state, hp, task, jax.random.key(0), 8)
    np.testing.assert_array_equal(evaluation.returns, 1.0)
    assert evaluation.env_steps == 8


def test_probe_observation_action_reward_finds_the_action_for_each_observation():
    hp, _, state = train("probe:observation_action_reward", PROBE, 128 * 40)
    logits = outputs("probe:observation_action_reward", hp, state, [-1.0, 1.0])[0]
    np.testing.assert_array_equal(jnp.argmax(logits, axis=1), [0, 1])


def test_probe_truncation_is_bootstrapped():
    hp, _, state = train("probe:truncation", {**PROBE, "gae_lambda": 0.9}, 128 * 100)
    np.testing.assert_allclose(outputs("probe:truncation", hp, state, [0.0])[1], 10.0, rtol=0.05)


def test_probe_truncation_ends_the_task_if_time_limits_are_not_bootstrapped():
    values = {**PROBE, "gae_lambda": 0.9, "bootstrap_time_limits": False}
    hp, _, state = train("probe:truncation", values, 128 * 100)
    # of 1 to 10 steps that are left, which the observation does not tell: 4.1 on average, 5.3 by temporal differences
    assert 3.5 < float(outputs("probe:truncation", hp, state, [0.0])[1][0]) < 6.0


def test_probe_continuous_action_is_found():
    environment = make_environment("probe:continuous_action")
    hp, task, state = train("probe:continuous_action", {**PROBE, "anneal_learning_rate": True}, 128 * 150)
    means = outputs("probe:continuous_action", hp, state, [-1.0, 1.0])[0]
    policy = programs("probe:continuous_action")[0].policy
    target = float(environment.default_task()["target"])
    np.testing.assert_allclose(policy.to_environment(policy.mode(means))[:, 0], [-target, target], atol=0.15)
    evaluation = programs("probe:continuous_action")[3](state, hp, task, jax.random.key(0), 16)
    assert evaluation.returns.mean() > -0.03


@pytest.mark.bits
def test_segments_change_no_bit():
    identifier, values = "gymnax:CartPole-v1", {**SMALL, "normalize_observations": True, "anneal_learning_rate": True}
    hp, task, whole = train(identifier, values, 2000)
    state = prepared(identifier, values)[2]
    for until in (1, 300, 300, 1111, 2000):
        state = programs(identifier)[2](state, hp, task, jnp.int32(until), jnp.int32(2000))
        assert state.progress.env_steps <= until
    assert whole.progress.env_steps == 2000 // 128 * 128
    assert whole.progress.updates == 2000 // 128 * 4 * 2
    assert_equal(whole, state)


@pytest.mark.bits
@pytest.mark.slow
def test_a_member_does_not_depend_on_its_neighbours():
    identifier = "gymnax:CartPole-v1"
    learner = programs(identifier)[0]
    task = learner.environment.default_task()

    def members(rates):
        hps = [make_hyperparameters(PPOHyperparameters, {**SMALL, "learning_rate": rate}) for rate in rates]
        hp = jax.tree.map(lambda *x: np.stack(x), *hps)
        states = jax.vmap(lambda h: learner.init(jax.random.key(1), h, task))(hp)
        until = jnp.int32(1024)
        return jax.jit(lambda s, h: jax.lax.map(lambda m: learner.train(m[0], m[1], task, until, until), (s, h)))(
            states, hp
        )

    def member(states, i):
        return jax.tree.map(lambda x: x[i], states)

    among = members([1e-3, 1e10, 3e-4, 1e-2])
    alone = members([3e-4, 1e-3])
    assert_equal(member(among, 2), member(alone, 0))
    assert_equal(member(among, 0), member(alone, 1))


def test_divergence_is_flagged_counted_and_frozen():
    values = SMALL
    assert not train("probe:nan_reward", values, 128 * 3, {"nan_after": np.int32(20)})[2].progress.diverged
    hp, task, state = train("probe:nan_reward", values, 128 * 3, {"nan_after": np.int32(15)})
    fresh = prepared("probe:nan_reward", values)[2]
    assert state.progress.diverged
    assert state.progress.env_steps == 128  # the iteration in which it happened counts
    assert state.progress.updates == 8
    assert_equal((state.adam, state.actors, state.moments), (fresh.adam, fresh.actors, fresh.moments))
    again = programs("probe:nan_reward")[2](state, hp, task, jnp.int32(10_000), jnp.int32(10_000))
    assert_equal(again, state)


def test_an_enormous_learning_rate_diverges_or_stays_finite():
    _, _, state = train("gymnax:CartPole-v1", {**SMALL, "learning_rate": 1e30, "max_grad_norm": 1e30}, 128 * 6)
    assert np.isfinite(state.adam.parameters).all()
    assert state.progress.diverged


@pytest.mark.parametrize(
    "edge",
    [
        {"max_grad_norm": 0.0},
        {"clip_eps": 0.0, "vf_clip_eps": 0.0},
        pytest.param({"ent_coef": 0.5, "vf_coef": 0.0, "gae_lambda": 0.9999}, marks=pytest.mark.slow),
        pytest.param({"normalize_advantage": False, "gamma": 1.0, "gae_lambda": 1.0}, marks=pytest.mark.slow),
        pytest.param({"update_epochs": 1, "adam_eps": 1e-8, "learning_rate": 0.0}, marks=pytest.mark.slow),
    ],
)
def test_edges_of_the_search_space_stay_finite(edge):
    _, _, state = train("gymnax:CartPole-v1", {**SMALL, **edge}, 128 * 3)
    fresh = prepared("gymnax:CartPole-v1", {**SMALL, **edge})[2]
    assert not state.progress.diverged
    moved = bool(np.any(np.asarray(state.adam.parameters) != np.asarray(fresh.adam.parameters)))
    assert moved == (edge.get("max_grad_norm") != 0.0 and edge.get("learning_rate") != 0.0)


@pytest.mark.parametrize(
    ("size", "updates"),
    [(50, 2), *(pytest.param(*more, marks=pytest.mark.slow) for more in ((1000, 1), (128, 1), (1, 128)))],
)
def test_minibatches_larger_than_the_rollout_and_with_a_remainder(size, updates):
    values = {**SMALL, "minibatch_size": size, "update_epochs": 1}
    assert train("probe:action_reward", values, 128)[2].progress.updates == updates


def test_the_learning_rate_is_annealed_over_the_horizon():
    values = {**SMALL, "learning_rate": 1e-3, "anneal_learning_rate": True}
    rate = train("probe:action_reward", values, 256, horizon=1280)[2].progress.metrics["learning_rate"]
    assert rate == pytest.approx(0.9e-3)  # of the second of ten iterations
    values["anneal_learning_rate"] = False
    assert train("probe:action_reward", values, 256, horizon=1280)[2].progress.metrics["learning_rate"] == np.float32(
        1e-3
    )


def test_evaluations_act_with_the_likeliest_or_with_drawn_actions():
    learner, _, _, evaluate = programs("probe:action_reward")
    assert learner.environment.max_episode_steps == 1
    returns = {}
    for greedy in (True, False):
        hp, task, state = prepared("probe:action_reward", {**PROBE, "greedy_evaluation": greedy})
        returns[greedy] = np.asarray(evaluate(state, hp, task, jax.random.key(0), 64).returns)
    assert len(set(returns[True])) == 1, "always the same action"
    assert sorted(set(returns[False])) == [-1.0, 1.0], "an agent that has learned nothing draws either"
    assert abs(returns[False].mean()) < 0.4


def test_metrics_are_those_of_the_last_iteration():
    metrics = train("gymnax:CartPole-v1", SMALL, 128)[2].progress.metrics
    assert metrics["entropy"] == pytest.approx(np.log(2), abs=0.02)
    assert 0 <= metrics["clip_fraction"] <= 1
    assert 0 <= metrics["approximate_kl"] < 0.1
    assert metrics["value_loss"] > 1


def test_hyperparameters_traced_and_static():
    static = {"n_envs", "n_steps", "minibatch_size", "hidden_size", "n_layers", "activation"}
    static |= {"objective", "teacher", "distill_from"}
    assert {n for n in PPOHyperparameters.__dataclass_fields__ if not is_traced(PPOHyperparameters, n)} == static
    assert ALGORITHMS.load("ppo") is PPO


def test_preparing_names_what_is_wrong():
    assert PPO.prepare({"n_envs": 4}, 10**6, {}).n_envs == 4
    with pytest.raises(UsageError, match=r"one rollout of 16 \* 128 env steps does not fit into a training of 1000"):
        PPO.prepare({}, 1000, {})
    with pytest.raises(UsageError, match="Did you mean 'learning_rate'"):
        PPO.prepare({"learning_rat": 0.1, "gamma": 2.0}, 10**6, {})


def test_minibatches_that_mean_the_whole_rollout_are_one_program():
    rollout = {"n_envs": 4, "n_steps": 8}
    forms = {size: PPO.prepare({**rollout, "minibatch_size": size}, 10**6, {}) for size in (16, 32, 256, 512)}
    assert [hp.minibatch_size for hp in forms.values()] == [16, 32, 32, 32]
    assert jax.tree.structure(forms[256]) == jax.tree.structure(forms[512]) != jax.tree.structure(forms[16])


def test_relu_and_other_depths_train():
    values = {**SMALL, "activation": "relu", "n_layers": 1}
    assert not train("gymnax:CartPole-v1", values, 256)[2].progress.diverged
