"""SAC's update against an independent one in PyTorch, and what a training promises: segments, freezing, independence.

One compiled program of two lanes serves nearly all of it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from autorl.environments.registry import make_environment
from autorl.errors import IncompatibleError, UsageError
from autorl.inner import sum_tree
from autorl.inner.algorithms import ALGORITHMS
from autorl.inner.protocol import is_traced
from autorl.inner.random_words import below, normal, random_words, uniform
from autorl.inner.sac import SAC
from autorl.inner.sac_hyperparameters import SACHyperparameters

HORIZON = 2000
BATCH = 16
SMALL = {
    "n_envs": 2,
    "hidden_size": 8,
    "n_layers": 1,
    "buffer_batch_size": BATCH,
    "buffer_capacity": 2048,
    "learning_starts": 100,
}


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@functools.cache
def learner():
    sac = SAC(make_environment("gymnax:Pendulum-v1"))
    return sac, jax.tree.map(jnp.asarray, sac.environment.default_task())


def settings(**values):
    return SAC.prepare({**SMALL, **values}, HORIZON, {})


def stacked(*trees):  # by numpy: every operation of jax on one more shape would compile
    return jax.tree.map(lambda *x: np.stack([np.asarray(y) for y in x]), *trees)


@functools.cache
def programs():
    """Return the compiled init of one member, and the compiled training of two."""
    sac, task = learner()
    hp = settings()
    init = jax.jit(lambda key, hp: sac.init(key, hp, task))

    def population(states, hps, untils):
        return jax.lax.map(
            lambda lane: sac.train(lane[0], lane[1], task, lane[2], jnp.int32(HORIZON)), (states, hps, untils)
        )

    state = jax.eval_shape(init, jax.random.key(0), hp)
    lanes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype), (state, hp, jnp.int32(0)))
    return init, jax.jit(population, donate_argnums=0).lower(*lanes).compile()


def start(hp, seed=0):
    return jax.tree.map(np.asarray, programs()[0](jax.random.key(seed), hp))


def both(states, hps, untils):
    """Train two members, each from its state (or both from one) until its env step."""
    states = states if isinstance(states, list) else [states] * 2
    hps = hps if isinstance(hps, list) else [hps] * 2
    untils = untils if isinstance(untils, list) else [untils] * 2
    trained = jax.tree.map(np.asarray, programs()[1](stacked(*states), stacked(*hps), np.array(untils, np.int32)))
    return [jax.tree.map(lambda x, i=i: x[i], trained) for i in range(2)]


def go(state, hp, until):
    return both(state, hp, until)[0]


def assert_same_bits(a, b):
    def same(x, y):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(np.asarray(x).view(np.uint8), np.asarray(y).view(np.uint8))

    jax.tree.map(lambda x, y: same(np.atleast_1d(x), np.atleast_1d(y)), a, b)


def rows_of(state):
    """The stored transitions as float64: observation, next, action, reward, terminated."""
    rows = np.asarray(state.replay.rows)[: int(state.replay.filled)].astype(np.float64)
    return rows[:, :3], rows[:, 3:6], rows[:, 6:7], rows[:, 7], rows[:, 8]


# --- hyperparameters ---------------------------------------------------------------------------------------------------


def test_only_shapes_are_static():
    static = {name for name in SACHyperparameters.__dataclass_fields__ if not is_traced(SACHyperparameters, name)}
    shapes = {"buffer_batch_size", "n_envs", "hidden_size", "n_layers", "activation", "buffer_capacity"}
    assert static == shapes | {"teacher"}


def test_one_program_serves_the_whole_space():
    one, two = (SAC.prepare({"buffer_size": n}, 20_000, {"buffer_size": 120_000.0}) for n in (1024, 100_000))
    assert jax.tree.structure(one) == jax.tree.structure(two)
    assert one.buffer_capacity == 32_768


def test_prepare_refuses():
    with pytest.raises(
        UsageError, match=r"tau: expected a value in \[0.0, 1.0\], got 2.*unknown hyperparameter 'alph'"
    ):
        SAC.prepare({"tau": 2, "alph": 1.0}, 1000, {})
    with pytest.raises(UsageError, match=r"train_freq \* n_envs: one iteration of 300 \* 4 env steps.*of 1000"):
        SAC.prepare({"train_freq": 300, "n_envs": 4}, 1000, {})


def test_discrete_actions_are_refused():
    assert ALGORITHMS.load("sac") is SAC
    with pytest.raises(
        IncompatibleError, match=r"real numbers, but 'gymnax:CartPole-v1' has Discrete.*use 'dqn' or 'ppo'"
    ):
        SAC(make_environment("gymnax:CartPole-v1"))


# --- one update --------------------------------------------------------------------------------------------------------


def leaves(tree):
    """Parameters as float64 tensors that ask for gradients."""
    return jax.tree.map(lambda x: torch.tensor(x).double().requires_grad_(), tree)


def mlp(tree, x):
    hidden = torch.relu(x @ tree["Dense_0"]["kernel"] + tree["Dense_0"]["bias"])
    return hidden @ tree["Dense_1"]["kernel"] + tree["Dense_1"]["bias"]


def critics(tree, observation, action):
    x = torch.cat([observation, action], 1)
    return torch.stack([mlp(tree["params"][f"MLP_{i}"], x)[:, 0] for i in range(2)])


def act(tree, observation, noise):
    mean, log_std = mlp(tree["policy"]["params"], observation).chunk(2, dim=1)
    squash = TanhTransform(cache_size=1)
    action = squash(mean + log_std.clamp(-20, 2).exp() * noise)
    policy = TransformedDistribution(Normal(mean, log_std.clamp(-20, 2).exp()), [squash])
    return action, policy.log_prob(action).sum(1)


def flat(tensors):
    return np.concatenate([x.detach().numpy().ravel() for x in tensors])


def first_adam_step(before, after, tree, rate, eps):
    """Compare an optimiser's first step with that of PyTorch on the gradients in ``tree``, which it changes."""
    gradient = flat([x.grad for x in jax.tree.leaves(tree)])
    np.testing.assert_allclose(after.first, 0.1 * gradient, rtol=2e-3, atol=1e-6)
    np.testing.assert_array_equal(flat(jax.tree.leaves(tree)).astype(np.float32), before.parameters)
    torch.optim.Adam(jax.tree.leaves(tree), lr=rate, eps=eps).step()
    expected = flat(jax.tree.leaves(tree))
    sure = np.abs(gradient) > 3e-4  # Adam's first step is hardly more than the sign of what may be rounding
    assert sure.sum() >= 10
    np.testing.assert_allclose(after.parameters[sure], expected[sure], atol=3e-5)


@pytest.mark.parametrize("prioritised", [False, True])
@pytest.mark.parametrize("auto", [False, True])
def test_one_update_equals_pytorch(prioritised, auto):
    values = {"learning_starts": 0, "buffer_prio_sampling": prioritised, "buffer_alpha": 0.7, "buffer_beta": 0.5}
    values |= {"buffer_epsilon": 0.01, "gamma": 0.9, "learning_rate": 0.01, "reward_scale": 0.1, "alpha": 0.3}
    values |= {"alpha_auto": auto, "target_entropy": 0.6, "use_target_network": prioritised, "tau": 0.0}
    hp, waiting = settings(**values), settings(**values | {"learning_starts": HORIZON})
    # an end among the transitions, other priorities, another target: so that nothing is trivial
    state = go(start(hp), waiting, 60)
    rows, place = np.array(state.replay.rows), np.arange(2048)
    rows[5:15, 8] = 1.0
    tree = sum_tree.build(np.where(place < 60, 1.0 + place % 5, 0.0).astype(np.float32))
    target = state.target + np.float32(0.3)
    state = state._replace(target=target, replay=state.replay._replace(rows=rows, tree=tree))
    before, after = both(state, [waiting, hp], 62)  # the same act, without the update and with it
    assert [int(x.progress.updates) for x in (before, after)] == [0, 1]

    words = random_words(state.key, 1, jnp.int32(0), 3 * BATCH)
    noise = torch.tensor(np.asarray(normal(words[BATCH:]))).double().reshape(2, BATCH, 1)
    if prioritised:
        drawn = np.asarray(sum_tree.sample(jax.tree.map(jnp.asarray, before.replay.tree), uniform(words[:BATCH])))
        leaf = np.asarray(before.replay.tree[0])[drawn].astype(np.float64)
        weights = torch.tensor((leaf.min() / leaf) ** 0.5)
    else:
        drawn, weights = np.asarray(below(words[:BATCH], before.replay.filled)), torch.ones(BATCH).double()
    s, n, a, r, end = (torch.tensor(x[drawn]) for x in rows_of(before))
    sac, _ = learner()
    agent = leaves(sac.actor_layout(hp).unpack(before.actor.parameters))
    online = leaves(sac.critic_layout(hp).unpack(before.critics.parameters))
    target = leaves(sac.critic_layout(hp).unpack(before.target if prioritised else before.critics.parameters))

    with torch.no_grad():
        following, log_prob = act(agent, n, noise[0])
        soft = critics(target, n, following).min(0).values - 0.3 * log_prob
        targets = 0.1 * r + 0.9 * (1 - end) * soft
    errors = targets - critics(online, s, a)
    loss = 0.5 * (weights * errors**2).mean(1).sum()
    loss.backward()
    assert float(after.progress.metrics["critic_loss"]) == pytest.approx(loss.item(), rel=1e-3)
    first_adam_step(before.critics, after.critics, online, 0.01, 1e-5)

    improved = leaves(sac.critic_layout(hp).unpack(after.critics.parameters))
    action, log_prob = act(agent, s, noise[1])
    loss = (weights * (0.3 * log_prob - critics(improved, s, action).min(0).values)).mean()
    loss.backward()
    entropy = -log_prob.mean().detach()
    (agent["log_alpha"].exp() * (entropy - 0.6) if auto else agent["log_alpha"] * 0).backward()
    assert float(after.progress.metrics["actor_loss"]) == pytest.approx(loss.item(), rel=1e-3, abs=1e-4)
    assert float(after.progress.metrics["entropy"]) == pytest.approx(float(entropy), rel=1e-3, abs=1e-4)
    assert float(after.progress.metrics["alpha"]) == pytest.approx(0.3)
    first_adam_step(before.actor, after.actor, agent, 0.01, 1e-5)

    priorities = errors.abs().mean(0).detach().numpy() + 0.01
    if prioritised:
        np.testing.assert_allclose(np.asarray(after.replay.tree[0])[drawn], priorities**0.7, rtol=1e-3)
    else:
        assert_same_bits(before.replay.tree, after.replay.tree)


def test_the_target_critics_move_by_tau_when_due():
    values = {"train_freq": 3, "target_update_interval": 4, "tau": 0.25, "learning_starts": 0}
    hp = settings(**values)
    state, dues = start(hp), set()
    for i in range(1, 8):  # 6 env steps an iteration: one or two updates fall due in each
        before, state = state, go(state, hp, 6 * i)
        due = 6 * i // 4 - 6 * (i - 1) // 4
        dues.add(due)
        old, parameters = np.asarray(before.target), np.asarray(before.critics.parameters)
        np.testing.assert_allclose(state.target, old + (1 - 0.75**due) * (parameters - old), atol=1e-6)
    assert dues == {1, 2}
    assert np.abs(np.asarray(state.critics.parameters) - np.asarray(state.target)).max() > 1e-4


def test_alpha_follows_the_entropy():
    # at most log 2 = .69 nats: a target of .69 is never met, one of -5 always
    high, low = both(start(settings()), [settings(target_entropy=0.69), settings(target_entropy=-5.0)], 400)
    sac, _ = learner()
    alphas = [float(sac.actor_layout(settings()).unpack(x.actor.parameters)["log_alpha"]) for x in (high, low)]
    assert alphas[0] > 0.02 > -0.02 > alphas[1]
    hp = settings(alpha_auto=False, alpha=0.2)
    fixed, more = both(start(hp), [hp, settings(alpha_auto=False, alpha=5.0)], 400)
    log_alpha = sac.actor_layout(hp).unpack(fixed.actor.parameters)["log_alpha"]
    assert (float(fixed.progress.metrics["alpha"]), float(log_alpha)) == pytest.approx((0.2, np.log(0.2)))
    assert float(more.progress.metrics["entropy"]) > float(fixed.progress.metrics["entropy"])


# --- a training --------------------------------------------------------------------------------------------------------


def test_counts_and_learning_starts():
    hp = settings(train_freq=5, gradient_steps=3)
    early, late = both(start(hp), hp, [109, 155])  # 10 env steps an iteration, whole ones only
    assert (int(early.progress.env_steps), int(early.progress.updates)) == (100, 0)
    np.testing.assert_array_equal(early.critics.parameters, early.target)
    assert (int(late.progress.env_steps), int(late.progress.updates)) == (150, 15)
    assert int(late.replay.filled) == 150


@pytest.mark.bits
def test_segments_change_no_bit():
    hps = [settings(buffer_prio_sampling=p, normalize_observations=p, buffer_size=300) for p in (True, False)]
    begun = [start(hp) for hp in hps]
    whole, cut = both(begun, hps, HORIZON), begun
    for until in (1, 333, 334, 1000, 1999, HORIZON):
        cut = both(cut, hps, until)
    assert int(whole[0].progress.env_steps) == HORIZON
    assert int(whole[0].progress.updates) > 900
    for a, b in zip(whole, cut, strict=True):
        assert_same_bits(a, b)
    seen = rows_of(whole[0])[0]
    assert seen.shape == (300, 3)
    assert np.asarray(whole[0].moments.weight) == HORIZON
    assert not np.asarray(whole[1].moments.mean).any()


@pytest.mark.bits  # what is stored twice is compared bit by bit
def test_time_limits_are_no_ends_and_actions_reach_the_environment_scaled():
    hp = settings(learning_starts=HORIZON)
    observation, following, action, reward, terminated = rows_of(go(start(hp), hp, HORIZON))
    assert len(reward) == HORIZON  # ten episodes, each ended by its time limit of 200 steps
    assert not terminated.any()
    angle = np.arctan2(observation[:, 1], observation[:, 0])
    torque = 2.0 * action[:, 0]  # Pendulum's bounds are -2 and 2
    assert (np.abs(action) < 1).all()
    assert np.std(torque) > 0.8
    np.testing.assert_allclose(reward, -(angle**2 + 0.1 * observation[:, 2] ** 2 + 0.001 * torque**2), atol=2e-4)
    velocity = observation[:, 2] + (15.0 * np.sin(angle) + 3.0 * torque) * 0.05
    np.testing.assert_allclose(following[:, 2], np.clip(velocity, -8, 8), atol=1e-4)  # never that of a reset
    continued = (observation[2:] == following[:-2]).all(1)
    assert (~continued).sum() == 2 * 4  # five episodes in each of two environments


# --- failures ----------------------------------------------------------------------------------------------------------


def test_a_learning_rate_beyond_all_bounds_diverges_and_disturbs_nobody():
    calm, wild = settings(), settings(learning_rate=1e38)
    begun = [start(calm, 1), start(wild, 2)]
    alone = both(begun[0], calm, 600)
    among = both(begun, [calm, wild], 600)
    assert_same_bits(alone[0], among[0])
    assert_same_bits(*alone)
    frozen = among[1]
    assert bool(frozen.progress.diverged)
    assert int(frozen.progress.env_steps) < 600
    assert all(np.isfinite(np.asarray(x)).all() for x in (frozen.critics.first, frozen.target, *frozen.replay.tree))
    assert_same_bits(frozen, go(frozen, wild, HORIZON))


# --- the compiled program ----------------------------------------------------------------------------------------------


def test_the_loop_copies_no_buffer():
    text = programs()[1].as_text()
    copies = [line for line in text.splitlines() if " copy(" in line and ("[2048,9]" in line or "[2048]" in line)]
    assert "f32[2048,9]" in text
    # taking a member out of the population may copy its two buffers, once for each call
    assert len(copies) <= 2, copies
