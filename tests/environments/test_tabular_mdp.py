"""Random tabular processes: what is drawn, and exact values against linear algebra, rollouts and every other policy."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments import tabular
from autorl.environments.autoreset import batched_reset
from autorl.environments.registry import make_environment
from autorl.environments.tabular_mdp import Lottery, TabularMDP, sample_process

ENVIRONMENT = TabularMDP()
LOTTERY = ENVIRONMENT.lottery
COUNT = 200

# nearly all the time goes into compiling programs that run once
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(scope="module")
def processes() -> dict[str, np.ndarray]:
    """Return many processes, stacked."""
    draw = quick_jit(jax.vmap(ENVIRONMENT.sample_task))
    return jax.device_get(draw(jax.random.split(jax.random.key(3), COUNT)))


@pytest.fixture(scope="module")
def values(processes: dict[str, np.ndarray]) -> np.ndarray:
    """Return their optimal action values [COUNT, S, A]."""
    return np.asarray(quick_jit(jax.vmap(tabular.optimal_values))(processes))


def one(processes: dict[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    return {name: value[i] for name, value in processes.items()}


def random_policies(count: int, sharp: float = 3.0) -> np.ndarray:
    logits = sharp * np.random.default_rng(0).normal(size=(count, LOTTERY.states, LOTTERY.actions))
    exp = np.exp(logits - logits.max(-1, keepdims=True))
    return (exp / exp.sum(-1, keepdims=True)).astype(np.float32)


def solved(process: dict[str, np.ndarray], policy: np.ndarray) -> np.ndarray:
    """Return the value of each state by a linear system in double precision: an independent computation."""
    p = {name: np.asarray(value, np.float64) for name, value in process.items()}
    reward = np.einsum("sa,sat,sat->s", policy, p["transition"], p["reward"])
    going = np.einsum("sa,sat,sat->st", policy, p["transition"], 1.0 - p["terminated"])
    return np.linalg.solve(np.eye(len(reward)) - p["discount"] * going, reward)


def test_it_is_in_the_registry_and_satisfies_the_tabular_contract() -> None:
    environment = make_environment("mdp:lottery")
    assert environment == ENVIRONMENT
    assert isinstance(environment, tabular.TabularEnvironment)
    assert not isinstance(make_environment("probe:two_step"), tabular.TabularEnvironment)


def test_processes_are_processes(processes: dict[str, np.ndarray]) -> None:
    chances, counts = processes["transition"], (processes["initial"] > 0).sum(-1)
    np.testing.assert_allclose(chances.sum(-1), 1.0, atol=1e-6)
    np.testing.assert_allclose(processes["initial"].sum(-1), 1.0, atol=1e-6)
    assert (chances >= 0.0).all()
    assert ((chances > 0).sum(-1) == LOTTERY.outcomes).all()  # distinct next states
    unused = np.arange(LOTTERY.states) >= counts[:, None]
    assert (chances[np.broadcast_to(unused[:, None, None], chances.shape)] == 0.0).all()
    assert (processes["reward"][chances == 0] == 0.0).all()
    assert not processes["terminated"][chances == 0].any()
    assert set(np.unique(counts)) == set(range(LOTTERY.fewest, LOTTERY.states + 1))
    assert set(np.unique(processes["discount"])) == set(np.float32(LOTTERY.discounts))
    shares = np.mean(processes["discount"] == np.float32(LOTTERY.discounts[0]))
    assert abs(shares - 1 / len(LOTTERY.discounts)) < 0.15
    assert not np.array_equal(chances[0], chances[1])


def test_exits_lures_and_skew_are_as_the_lottery_says(processes: dict[str, np.ndarray]) -> None:
    chances, rewards = processes["transition"], processes["reward"]
    possible, ends = chances > 0, processes["terminated"]
    exits = (ends | ~possible).all(-1)
    assert exits.mean() == pytest.approx(LOTTERY.exits, abs=0.02)
    accidents = (ends & ~exits[..., None]).sum() / (possible & ~exits[..., None]).sum()
    assert accidents == pytest.approx(LOTTERY.accidents, abs=0.01)
    usual = chances.argmax(-1)
    lured = (usual < LOTTERY.rich)[exits].mean() - (usual < LOTTERY.rich)[~exits].mean()
    assert lured == pytest.approx(LOTTERY.lures, abs=0.25)
    # one outcome stands apart, and is the rare one
    apart = np.abs(rewards - np.take_along_axis(rewards, usual[..., None], -1)) > 1e-4
    assert ((apart & possible).sum(-1) == 1).all()
    rare = chances[apart & possible]
    assert rare.min() >= LOTTERY.odds[0] - 1e-6
    assert rare.max() <= LOTTERY.odds[1] + 1e-6
    mean = (chances * rewards).sum(-1)
    assert mean[exits].mean() == pytest.approx(LOTTERY.exit_reward[0], abs=0.1)
    assert mean[exits].std() == pytest.approx(LOTTERY.exit_reward[1], rel=0.1)
    used = np.broadcast_to(np.arange(LOTTERY.states)[:, None] >= LOTTERY.rich, exits.shape)
    assert mean[~exits & used].mean() == pytest.approx(-LOTTERY.cost, abs=0.05)
    assert mean[~exits & ~used].mean() == pytest.approx(LOTTERY.bonus - LOTTERY.cost, abs=0.1)


def test_values_of_policies_equal_a_linear_solve(processes: dict[str, np.ndarray]) -> None:
    policies = random_policies(50)
    found = quick_jit(jax.vmap(tabular.policy_value))({k: v[:50] for k, v in processes.items()}, policies)
    for i, policy in enumerate(policies):
        np.testing.assert_allclose(found[i], solved(one(processes, i), policy), rtol=2e-5, atol=2e-5)


def test_optimal_values_satisfy_bellmans_equation(processes: dict[str, np.ndarray], values: np.ndarray) -> None:
    going = np.where(processes["terminated"], 0.0, processes["transition"])
    target = (processes["transition"] * processes["reward"]).sum(-1)
    target = target + processes["discount"][:, None, None] * (going * values.max(-1)[:, None, None]).sum(-1)
    np.testing.assert_allclose(values, target, atol=5e-5)


def test_no_policy_is_better_than_the_optimal_one(processes: dict[str, np.ndarray], values: np.ndarray) -> None:
    policies = np.concatenate([random_policies(100), random_policies(100, sharp=100.0)])
    value_of = quick_jit(jax.vmap(tabular.policy_value, in_axes=(None, 0)))
    for i in range(5):
        best = values[i].max(-1)
        np.testing.assert_allclose(value_of(one(processes, i), tabular.greedy(values[i])[None])[0], best, atol=5e-5)
        assert (np.asarray(value_of(one(processes, i), policies)) <= best + 5e-5).all()


def test_values_equal_the_mean_return_of_rollouts() -> None:
    """Through reset() and step(): what is summed up exactly is what an agent meets."""
    process, episodes = ENVIRONMENT.default_task(), 5_000
    policy = jnp.asarray(random_policies(1)[0])

    @quick_jit
    def rollout(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(carry: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            states, alive, weight = carry
            act_key, step_key = jax.random.split(key)
            actions = jax.random.categorical(act_key, jnp.log(policy[states.place])).astype(jnp.int32)
            steps = jax.vmap(ENVIRONMENT.step, (0, 0, 0, None))(
                jax.random.split(step_key, episodes), states, actions, process
            )
            gained = jnp.where(alive, weight * steps.reward, 0.0)
            return (steps.state, alive & ~steps.terminated, weight * process["discount"]), gained

        reset_key, loop_key = jax.random.split(key)
        _, states = batched_reset(ENVIRONMENT, jax.random.split(reset_key, episodes), process)
        start = (states, jnp.ones(episodes, bool), jnp.float32(1.0))
        (_, alive, _), gained = jax.lax.scan(step, start, jax.random.split(loop_key, ENVIRONMENT.max_episode_steps))
        return jnp.sum(gained, axis=0), alive

    returns, alive = rollout(jax.random.key(1))
    exact = float(tabular.initial_value(process, policy))
    error = float(returns.std()) / episodes**0.5
    assert error < 0.1
    assert abs(float(returns.mean()) - exact) < 4 * error + float(alive.mean()) * 0.1
    assert abs(exact) > 10 * error  # else a value of 0 would pass


def test_scores(processes: dict[str, np.ndarray], values: np.ndarray) -> None:
    @quick_jit
    @jax.vmap
    def score(process: Any, policy: Any) -> Any:
        return tabular.normalised_score(tabular.initial_value(process, policy), tabular.reference_values(process))

    best = np.asarray(tabular.greedy(values))
    np.testing.assert_allclose(score(processes, best), 1.0, atol=1e-4)
    np.testing.assert_allclose(score(processes, np.full_like(best, 1 / LOTTERY.actions)), 0.0, atol=1e-4)
    worst = score(processes, np.asarray(tabular.greedy(-values)))
    assert worst.min() == tabular.LOWEST_SCORE
    assert worst.mean() < 0.0


def test_default_task_is_fixed_and_of_the_distribution() -> None:
    first, again = ENVIRONMENT.default_task(), TabularMDP().default_task()
    drawn = quick_jit(partial(sample_process, Lottery()))(jax.random.key(0))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
        np.testing.assert_allclose(value, drawn[name], atol=1e-6)
    first["reward"] = np.zeros(1)
    assert ENVIRONMENT.default_task()["reward"].shape == (LOTTERY.states, LOTTERY.actions, LOTTERY.states)


def test_default_task_may_be_asked_for_while_tracing() -> None:
    environment = TabularMDP(lottery=Lottery(cost=0.25))  # not cached by another test
    jax.eval_shape(lambda key: environment.reset(key, environment.default_task()), jax.random.key(0))
    assert isinstance(environment.default_task()["initial"], np.ndarray)


def test_time_limit_truncates() -> None:
    task = ENVIRONMENT.default_task()
    task = {**task, "terminated": np.zeros_like(task["terminated"])}
    step = quick_jit(ENVIRONMENT.step)
    _, state = ENVIRONMENT.reset(jax.random.key(0), task)
    for i in range(ENVIRONMENT.max_episode_steps):
        reached = step(jax.random.key(i), state, jnp.int32(0), task)
        assert not reached.terminated
        assert bool(reached.truncated) == (i + 1 == ENVIRONMENT.max_episode_steps)
        assert reached.observation.argmax() == reached.state.place
        state = reached.state
