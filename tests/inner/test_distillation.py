"""Distillation: imitation of a guide has known optima, ends when it should, and without weight changes no bit."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.protocol import Box, Discrete
from autorl.environments.registry import make_environment
from autorl.errors import UsageError
from autorl.inner.algorithms import ALGORITHMS
from autorl.inner.distillation import Distilled, coefficient, guided_actions, refuse_strange
from autorl.inner.policies import make_policy
from autorl.inner.ppo_hyperparameters import IMITATION, METRICS
from autorl.inner.ppo_loss import Losses, Samples

SMALL = {"n_envs": 4, "n_steps": 32, "minibatch_size": 64, "update_epochs": 4, "hidden_size": 16, "learning_rate": 1e-2}
NOTHING_TO_LEARN = "probe:constant_reward"
BEGIN = np.float32(0)


def always_one(observation, key):
    return jnp.int32(1)


def sign(observation, key):
    return (observation[0] > 0).astype(jnp.int32)


def coin(observation, key):
    return (jax.random.uniform(key) < 0.25).astype(jnp.int32)


def push(observation, key):
    return jnp.full(1, 1.5, jnp.float32)


def five(observation, key):
    return jnp.int32(5)


def nowhere(observation, key):
    return jnp.full(1, jnp.nan)


def trained(name, values, steps=128 * 12, horizon=None, parts=1, algorithm="ppo", guide=None):
    """Return (learner, hyperparameters, state) after a training in ``parts`` pieces."""
    learner = ALGORITHMS.load(algorithm)(make_environment(name))
    given = {} if guide is None else {"distill_from": Distilled("test", guide)}
    hp = learner.prepare({**SMALL, **values, **given}, horizon or steps, {})
    task = learner.environment.default_task()
    strict = ("standard", "allow") if "teacher" in values else ("strict", "raise")
    with jax.numpy_dtype_promotion(strict[0]), jax.numpy_rank_promotion(strict[1]):
        state = jax.jit(learner.init)(jax.random.key(3), hp, task)
        step = jax.jit(learner.train)
        for part in range(parts):
            until = jnp.int32(steps * (part + 1) // parts)
            state = step(state, hp, task, until, jnp.int32(horizon or steps))
    return learner, hp, state


def probabilities(learner, hp, state, observations):
    tree = learner.layout(hp).unpack(state.adam.parameters)
    flat = jnp.asarray(observations, jnp.float32)
    return jax.nn.softmax(learner.network(hp).apply({"params": tree}, flat, method="policy"))


@pytest.mark.parametrize(
    ("weight", "share", "done", "expected"),
    [
        (2, 0.5, 0, 2),
        (2, 0.5, 0.25, 1),
        (2, 0.5, 0.5, 0),
        (2, 0.5, 0.9, 0),
        (2, 0, 0, 0),
        (2, 1, 0.75, 0.5),
        (0, 1, 0, 0),
    ],
)
def test_the_weight_falls_linearly_to_nothing(weight, share, done, expected):
    assert coefficient(*map(np.float32, (weight, share, done))) == pytest.approx(expected)


@pytest.mark.parametrize("space", [Discrete(4), Box(-2.0, 2.0, (3,)), Box(0.0, 5.0, (2, 2)), Box(-1.0, 1.0, ())])
def test_actions_of_the_environment_are_stored_as_the_policy_stores_them(space):
    policy = make_policy(space)
    if isinstance(space, Discrete):
        actions = jnp.arange(4)
    else:
        actions = jax.random.uniform(jax.random.key(0), (7, *space.shape), minval=space.low, maxval=space.high)
    stored = policy.from_environment(actions)
    assert stored.shape == (len(actions), policy.size)
    assert stored.dtype == jnp.float32
    np.testing.assert_allclose(policy.to_environment(stored), actions, rtol=1e-5, atol=1e-6)


def test_where_rewards_say_nothing_the_guide_is_learned_as_long_as_it_weighs():
    shown = np.zeros((1, 1))
    with_it = trained(NOTHING_TO_LEARN, {"distill_share": 1.0}, guide=always_one)
    without = trained(NOTHING_TO_LEARN, {"distill_share": 1.0, "distill_coef": 0.0}, guide=always_one)
    assert probabilities(*with_it, shown)[0, 1] > 0.95
    assert probabilities(*without, shown)[0, 1] < 0.9


def test_a_guide_that_draws_is_learned_with_its_probabilities():
    made = trained(NOTHING_TO_LEARN, {"distill_share": 1.0, "learning_rate": 3e-3}, steps=128 * 60, guide=coin)
    assert probabilities(*made, np.zeros((1, 1)))[0, 1] == pytest.approx(0.25, abs=0.08)


def test_a_guide_is_asked_with_the_observations_of_the_environment():
    values = {"distill_share": 1.0, "distill_coef": 10.0, "normalize_observations": True, "ent_coef": 0.0}
    learner, hp, state = trained("probe:observation_reward", values, guide=sign)
    from autorl.inner.normalisation import normaliser

    seen = normaliser(state.moments, True)(jnp.asarray([[-1.0], [1.0]], jnp.float32))
    found = probabilities(learner, hp, state, seen)
    assert found[0, 0] > 0.9
    assert found[1, 1] > 0.9


def test_continuous_actions_are_imitated():
    learner, hp, state = trained(
        "gymnax:Pendulum-v1", {"distill_share": 1.0, "distill_coef": 100.0}, steps=128 * 20, guide=push
    )
    tree = learner.layout(hp).unpack(state.adam.parameters)
    means = learner.network(hp).apply({"params": tree}, jnp.asarray([[1.0, 0.0, 0.0]]), method="policy")
    assert float(learner.policy.to_environment(means)[0, 0]) == pytest.approx(1.5, abs=0.3)
    assert state.progress.metrics[IMITATION] < 1.5


@pytest.mark.parametrize("off", [{"distill_coef": 0.0}, {"distill_share": 0.0}])
def test_without_weight_a_guide_changes_nothing(off):
    _, _, plain = trained("gymnax:CartPole-v1", {}, steps=128 * 4)
    _, _, guided = trained("gymnax:CartPole-v1", off, steps=128 * 4, guide=always_one)
    # two programs: XLA may round them apart
    np.testing.assert_allclose(plain.adam.parameters, guided.adam.parameters, atol=1e-5)
    np.testing.assert_allclose(plain.actors.observation, guided.actors.observation, atol=1e-5)
    assert guided.progress.metrics[IMITATION] == 0


@pytest.mark.parametrize("algorithm", ["ppo", "paired_ppo"])
def test_a_cut_training_changes_no_bit(algorithm):
    values = {"distill_share": 0.5}
    whole = trained("gymnax:CartPole-v1", values, algorithm=algorithm, guide=coin)[2]
    cut = trained("gymnax:CartPole-v1", values, parts=3, algorithm=algorithm, guide=coin)[2]
    np.testing.assert_array_equal(whole.adam.parameters, cut.adam.parameters)


def test_the_metric_is_the_cross_entropy_while_it_weighs():
    values = {"distill_share": 0.6}
    _, hp, state = trained("gymnax:CartPole-v1", values, steps=128, horizon=1280, guide=coin)
    during, metrics = state.progress.metrics, hp.metrics
    after = trained("gymnax:CartPole-v1", values, steps=1280, guide=coin)[2].progress.metrics
    assert during[IMITATION] == pytest.approx(np.log(2), abs=0.1)
    assert after[IMITATION] == 0
    parts = METRICS[: len(Losses._fields)]
    assert metrics == (*parts, IMITATION, *METRICS[len(parts) :])
    assert set(during) == set(metrics)


def test_samples_that_are_not_learned_from_are_not_imitated_in_either():
    learner, hp, state = trained(NOTHING_TO_LEARN, {"distill_share": 1.0}, steps=128, guide=always_one)
    _, seen, batch = learner.play(state, hp, learner.environment.default_task(), jax.random.key(0), None)
    batch = learner.with_guide(batch, seen, hp, jax.random.key(1), BEGIN)
    weights = jnp.zeros_like(batch.samples.value)
    samples = Samples(**{**batch.samples._asdict(), "weight": weights})
    sums = learner.fit(state.adam, batch._replace(samples=samples), hp, BEGIN, jax.random.key(2), BEGIN)[1]
    assert sums[hp.metrics.index(IMITATION)] == 0
    sums = learner.fit(state.adam, batch, hp, BEGIN, jax.random.key(2), BEGIN)[1]
    assert sums[hp.metrics.index(IMITATION)] > 0


def test_an_objective_in_the_place_of_the_loss_is_imitated_beside():
    values = {"distill_share": 1.0, "objective": "ppo_clip"}
    made = trained(NOTHING_TO_LEARN, values, guide=always_one)
    assert probabilities(*made, np.zeros((1, 1)))[0, 1] > 0.95
    assert made[1].metrics[0] == "loss"


def test_a_guide_is_structure_of_the_program_and_its_weight_is_not():
    prepare = ALGORITHMS.load("ppo").prepare
    one, two, other = (
        jax.tree.structure(prepare({"distill_from": Distilled("test", guide), "distill_coef": weight}, 10**6, {}))
        for guide, weight in ((coin, 1.0), (coin, 2.0), (sign, 1.0))
    )
    assert one == two != other


def test_a_guide_that_nobody_looked_up_is_refused_and_anything_else_too():
    learner = ALGORITHMS.load("ppo")(make_environment("gymnax:CartPole-v1"))
    for nobody in (None, "none"):
        assert learner.prepare({"distill_from": nobody}, 10**6, {}).distill_from is None
    hp = learner.prepare({"distill_from": "study:one"}, 10**6, {})
    with pytest.raises(UsageError, match=r"'study:one' was not looked up. Remedy: "):
        guided_actions(hp.distill_from, learner.environment, learner.policy, jnp.zeros((2, 4)), jax.random.key(0), True)
    for wrong in (3, "", ["study:one"]):
        with pytest.raises(UsageError, match=r"expected 'module:attribute', a function from .*, got "):
            learner.prepare({"distill_from": wrong}, 10**6, {})


@pytest.mark.parametrize(
    ("name", "guide", "message"),
    [
        (
            "gymnax:CartPole-v1",
            push,
            r"expected an integer from 0 to 1, .* got 1.5 of shape \(1,\) and type float32",
        ),
        (
            "gymnax:Pendulum-v1",
            coin,
            r"expected numbers of shape \(1,\), .* got [01] of shape \(\) and type int32. Remedy: ",
        ),
        ("gymnax:CartPole-v1", five, r"expected an integer from 0 to 1, .* got 5 of shape \(\) and type int32"),
        ("gymnax:Pendulum-v1", nowhere, r"expected numbers of shape \(1,\), .* got nan of shape"),
        ("gymnax:CartPole-v1", jnp.sin, "'g' cannot act in 'gymnax:CartPole-v1': "),
    ],
)
def test_a_guide_of_other_actions_is_refused(name, guide, message):
    with pytest.raises(UsageError, match=message):
        refuse_strange("g", guide, make_environment(name))
    refuse_strange("g", sign, make_environment("gymnax:CartPole-v1"))
    refuse_strange("g", push, make_environment("gymnax:Pendulum-v1"))


@pytest.mark.slow
def test_both_agents_of_a_pair_imitate():
    from autorl.engine.lessons import CourseMaker
    from autorl.studies.specification import EnvironmentChoice

    environment = make_environment("contextual:CartPole-v1")
    choice = EnvironmentChoice(id="contextual:CartPole-v1", score_range=(0.0, 500.0))
    course = CourseMaker.of(choice, environment).course({"name": "paired", "parameters": {}})
    made = trained(
        "contextual:CartPole-v1",
        {"distill_share": 1.0, "distill_coef": 10.0, "teacher": course},
        steps=256 * 12,
        algorithm="paired_ppo",
        guide=always_one,
    )
    learner, hp, state = made
    seen = np.zeros((1, environment.observation_shape[0]))
    for student in (state.protagonist, state.antagonist):
        tree = learner.layout(hp).unpack(student.adam.parameters)
        logits = learner.network(hp).apply({"params": tree}, jnp.asarray(seen, jnp.float32), method="policy")
        assert jax.nn.softmax(logits)[0, 1] > 0.9
    assert replace(hp, teacher=None).metrics == hp.metrics
