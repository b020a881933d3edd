"""The probes are what they say: rewards, ends and observations by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.environments.tasks import make_task


def episode(name: str, actions: list[Any], seed: int = 0, **task: float) -> tuple[list[float], list[Any]]:
    """Return the observations (one more than actions) and the steps."""
    environment = make_environment(name)
    full = make_task(environment, task)
    observation, state = environment.reset(jax.random.key(seed), full)
    observations, steps = [float(observation[0])], []
    for action in actions:
        steps.append(environment.step(jax.random.key(9), state, jnp.asarray(action), full))
        state = steps[-1].state
        observations.append(float(steps[-1].observation[0]))
    return observations, steps


@pytest.mark.parametrize("action", [0, 1])
def test_constant_reward(action: int) -> None:
    observations, steps = episode("probe:constant_reward", [action])
    assert observations[0] == 0.0
    assert (float(steps[0].reward), bool(steps[0].terminated), bool(steps[0].truncated)) == (1.0, True, False)
    assert float(episode("probe:constant_reward", [0], reward=2.5)[1][0].reward) == 2.5


def test_observation_reward() -> None:
    seen = set()
    for seed in range(12):
        observations, steps = episode("probe:observation_reward", [seed % 2], seed)
        assert float(steps[0].reward) == observations[0]
        seen.add(observations[0])
    assert seen == {-1.0, 1.0}


def test_random_signs_are_even() -> None:
    environment = make_environment("probe:observation_reward")
    reset = jax.vmap(environment.reset, in_axes=(0, None))
    observations, _ = reset(jax.random.split(jax.random.key(0), 4000), environment.default_task())
    assert abs(float(observations.mean())) < 0.06


def test_two_step() -> None:
    observations, steps = episode("probe:two_step", [0, 1])
    assert observations[:2] == [0.0, 1.0]
    assert [float(s.reward) for s in steps] == [0.0, 1.0]
    assert [bool(s.terminated) for s in steps] == [False, True]


def test_action_reward() -> None:
    assert [float(episode("probe:action_reward", [a])[1][0].reward) for a in (0, 1)] == [-1.0, 1.0]


def test_observation_action_reward() -> None:
    for seed in range(6):
        for action in (0, 1):
            observations, steps = episode("probe:observation_action_reward", [action], seed)
            assert float(steps[0].reward) == (1.0 if action == (observations[0] > 0) else -1.0)


def test_continuous_action() -> None:
    for seed in range(4):
        observations, steps = episode("probe:continuous_action", [np.array([0.25], np.float32)], seed, target=-0.75)
        assert float(steps[0].reward) == pytest.approx(-((0.25 + 0.75 * observations[0]) ** 2))


def test_truncation() -> None:
    _, steps = episode("probe:truncation", [0] * 10)
    assert [float(s.reward) for s in steps] == [1.0] * 10
    assert [bool(s.truncated) for s in steps] == [False] * 9 + [True]
    assert not any(bool(s.terminated) for s in steps)


def test_continuous_truncation() -> None:
    observations, steps = episode("probe:continuous_truncation", [np.array([0.25], np.float32)] * 10, target=-0.75)
    assert len(set(observations)) == 1
    assert [float(s.reward) for s in steps] == pytest.approx([1 - (0.25 + 0.75 * observations[0]) ** 2] * 10)
    assert [bool(s.truncated) for s in steps] == [False] * 9 + [True]
    assert not any(bool(s.terminated) for s in steps)


@pytest.mark.parametrize("after", [0, 3, 20])
def test_nan_reward(after: int) -> None:
    _, steps = episode("probe:nan_reward", [1] * 20, nan_after=after)
    rewards = np.array([float(s.reward) for s in steps])
    assert np.isnan(rewards).tolist() == [t >= after for t in range(20)]
    assert (rewards[:after] == 1.0).all()
    assert [bool(s.terminated) for s in steps] == [False] * 19 + [True]
