"""The point mass against its published source, retold in numpy; what happens at the wall; the experiments' settings."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from autorl.environments.point_mass_settings import SETTINGS, SelfPacedSettings
from autorl.environments.registry import make_environment
from autorl.environments.task_box import TaskBox, task_space
from autorl.environments.tasks import make_task

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
Floats = np.ndarray
NAMES = ("gate_position", "gate_width", "friction")


def source_step(state: Floats, action: Floats, context: Floats, noise: Floats) -> tuple[Floats, float, bool]:
    """One step of the source: state (x, x', y, y'), its ten Euler steps with the given noise [10, 2]."""
    action = np.clip(action, -10, 10)
    crash = False
    for one in noise:
        slope = np.zeros(4)
        slope[0::2] = state[1::2]
        slope[1::2] = 1.5 * action - context[2] * state[1::2] + one
        after = state + 0.01 * slope
        after[0::2] = np.clip(after[0::2], -4, 4)
        if state[2] >= 0 > after[2] or state[2] <= 0 < after[2]:
            alpha = (0.0 - state[2]) / (after[2] - state[2])
            crossing = alpha * after[0] + (1 - alpha) * state[0]
            if abs(crossing - context[0]) > 0.5 * context[1]:
                after, crash = np.array([crossing, 0.0, 0.0, 0.0]), True
        state = after
        if crash:
            break
    return state, float(np.exp(-0.6 * np.linalg.norm(np.array([0.0, -3.0]) - state[0::2]))), crash


@pytest.fixture(scope="module")
def step():
    environment = make_environment("point_mass:gate-3d")

    @quick_jit
    def advance(key, state, action, task):
        return environment.step(key, state, action, task), jax.random.normal(key, (10, 2))

    return advance, environment


def test_episodes_are_those_of_the_source(step) -> None:
    """Aimed at the gate or beside it: some pass, some crash, all as in the source."""
    advance, environment = step
    rng = np.random.default_rng(0)
    ends = []
    for episode in range(12):
        context = rng.uniform([-2, 0.5, 0], [2, 3, 2])
        task = {name: np.float32(value) for name, value in zip(NAMES, context, strict=True)}
        observation, state = environment.reset(jax.random.key(episode), task)
        expected = np.asarray(observation, float)
        assert expected.tolist() == [0, 0, 3, 0]
        for time in range(30):
            key = jax.random.key(100 * episode + time)
            aim = context[0] + (episode % 2) * context[1]  # the middle of the gate, or beside it
            action = np.array([6 * (aim - expected[0]) + rng.normal(), -12.0])
            taken, noise = advance(key, state, np.asarray(action, np.float32), task)
            expected, reward, crash = source_step(expected, action, context, 0.05 * np.asarray(noise, float))
            np.testing.assert_allclose(taken.observation, expected, atol=2e-4)
            assert float(taken.reward) == pytest.approx(reward, abs=1e-4)
            assert bool(taken.terminated) == crash
            assert not taken.truncated
            state = taken.state
            if crash:
                break
        ends.append((crash, expected[2] < 0))
    assert {(True, False), (False, True)} <= set(ends)  # some rest at the wall, some are beyond it


def test_time_limit_success_and_default_tasks(step) -> None:
    advance, environment = step
    task = environment.default_task()
    assert {name: float(value) for name, value in task.items()} == {"gate_position": 0, "gate_width": 2, "friction": 2}
    _, state = environment.reset(jax.random.key(0), task)
    for time in range(100):
        motion = np.asarray(state.motion)
        action = 5 * (np.array([0.0, -3.0]) - motion[0]) - 2 * motion[1]
        taken, _ = advance(jax.random.key(time), state, np.asarray(action, np.float32), task)
        state = taken.state
    assert (bool(taken.truncated), bool(taken.terminated), bool(taken.info["success"])) == (True, False, True)
    assert float(taken.reward) > 0.95
    assert set(make_environment("point_mass:gate-2d").default_task()) == {"gate_position", "gate_width"}


def test_two_dimensions_are_three_without_friction(step) -> None:
    advance, environment = step
    flat = make_environment("point_mass:gate-2d")
    state = environment.reset(jax.random.key(0), {})[1]._replace(motion=np.array([[0.5, 2.0], [1.0, -2.0]], np.float32))
    action = np.array([1.0, 2.0], np.float32)
    plain = quick_jit(flat.step)(jax.random.key(1), state, action, flat.default_task())
    slippery, _ = advance(jax.random.key(1), state, action, make_task(environment, {"friction": 0.0}))
    np.testing.assert_array_equal(plain.observation, slippery.observation)


def drawn_tasks(settings: SelfPacedSettings, space: TaskBox) -> list[np.ndarray]:
    """Return 2,000 initial and as many target tasks."""

    @quick_jit
    @jax.vmap
    def draw(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return settings.initial.sample(key, space), settings.target.sample(key, space)

    return [np.asarray(x) for x in draw(jax.random.split(jax.random.key(0), 2000))]


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_experiments(name: str) -> None:
    settings, space = SETTINGS[name], task_space(make_environment(name))
    assert settings.env_steps == 819_200
    for values in (settings.initial.mean, settings.target.deviation, settings.least_deviation):
        assert len(values) == len(space.dimensions)
    drawn, target = drawn_tasks(settings, space)
    low, high = np.float32(space.low), np.float32(space.high)
    assert ((drawn >= low) & (drawn <= high)).all()
    assert (drawn == high).any()  # clipped, not drawn again
    np.testing.assert_allclose(np.median(drawn, axis=0), settings.initial.mean, atol=0.2)
    np.testing.assert_allclose(target.mean(axis=0), settings.target.mean, atol=3e-3)
