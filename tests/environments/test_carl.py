"""CARL's contexts: whole episodes are Gymnasium's, at the default context and at others; starts are what the task says."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.carl_features import FEATURES
from autorl.environments.registry import make_environment
from autorl.environments.task_points import grid_points, task_points, tasks_at
from autorl.environments.tasks import make_task
from autorl.errors import UsageError

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
STATES = {
    "CartPole-v1": ("x", "x_dot", "theta", "theta_dot"),
    "Pendulum-v1": ("theta", "theta_dot"),
    "Acrobot-v1": ("joint_angle1", "joint_angle2", "velocity_1", "velocity_2"),
    "MountainCar-v0": ("position", "velocity"),
}
OTHER = {
    "CartPole-v1": {"gravity": 5.0, "masscart": 2.0, "masspole": 0.4, "length": 1.5, "force_mag": 6.0, "tau": 0.03},
    "Pendulum-v1": {"dt": 0.03, "g": 4.0, "m": 1.5, "l": 0.7},
    "Acrobot-v1": {"link_length_1": 1.4, "link_mass_1": 1.2, "link_mass_2": 0.7, "link_com_pos_1": 0.6}
    | {"link_com_pos_2": 0.4, "link_moi": 1.3, "max_vel_1": 2.0, "max_vel_2": 3.0},
    "MountainCar-v0": {"min_position": -0.9, "max_position": 0.5, "max_speed": 0.05, "goal_position": 0.35}
    | {"goal_velocity": 0.01, "force": 0.0015, "gravity": 0.0022},
}
# where CARL's default is not Gymnasium's
DIFFERENT = {"MountainCar-v0": {"goal_position": 0.45}}
LENGTH = {"Acrobot-v1": 60, "MountainCar-v0": 200}  # of chaotic motion only the beginning can be equal


def written_into(name: str, reference: Any, context: dict[str, float]) -> None:
    """Set the features of ``context`` as CARL does: by attributes of Gymnasium's environment; and what it derives."""
    for feature, value in context.items():
        written = feature.upper() if name == "Acrobot-v1" and feature != "torque_noise_max" else feature
        assert hasattr(reference, written), written
        setattr(reference, written, value)
    if name == "CartPole-v1":
        reference.total_mass = reference.masscart + reference.masspole
        reference.polemass_length = reference.masspole * reference.length


def actions_for(name: str, rng: np.random.Generator, count: int) -> np.ndarray:
    if name == "Pendulum-v1":
        return rng.uniform(-3, 3, (count, 1)).astype(np.float32)
    if name == "MountainCar-v0":
        return np.full(count, -1)  # by its velocity, below
    if name == "CartPole-v1":
        return (rng.random(count) < 0.7).astype(np.int32)  # rather to the right: it falls in time
    return rng.integers(0, 3, count).astype(np.int32)


SLOW = ("Pendulum-v1", "Acrobot-v1")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in STATES])
def test_episodes_are_gymnasiums(name: str) -> None:
    environment = make_environment(f"contextual:{name}")
    advance, reset = quick_jit(environment.step), quick_jit(environment.reset)
    for seed, context in enumerate(({}, OTHER[name])):
        task = make_task(environment, context)
        rng, reference = np.random.default_rng(seed), gymnasium.make(name).unwrapped
        observation, state = reset(jax.random.key(seed), task)
        reference.reset(seed=0)
        written_into(name, reference, DIFFERENT.get(name, {}) | context)
        reference.state = np.array([getattr(state, field) for field in STATES[name]], float)
        ended = False
        for time, action in enumerate(actions_for(name, rng, LENGTH.get(name, 100))):
            if name == "MountainCar-v0":
                action = np.int32(2 if observation[1] >= 0 else 0)
            step = advance(jax.random.key(time), state, action, task)
            expected, reward, ended, _, _ = reference.step(action)
            np.testing.assert_allclose(step.observation, expected, atol=2e-3, err_msg=f"{name} step {time}")
            assert float(step.reward) == pytest.approx(float(reward), abs=1e-2)
            assert bool(step.terminated) == ended
            observation, state = step.observation, step.state
            if ended:
                break
        assert ended == (name in ("CartPole-v1", "MountainCar-v0"))


def starts(name: str, *contexts: dict[str, float]) -> list[np.ndarray]:
    """Return the first states of 1,000 episodes in each context."""
    environment = make_environment(f"contextual:{name}")

    @quick_jit
    def draw(keys: jax.Array, task: Any) -> jax.Array:
        states = jax.vmap(lambda key: environment.reset(key, task)[1])(keys)
        return jnp.stack([getattr(states, field) for field in STATES[name]], axis=-1)

    keys = jax.random.split(jax.random.key(0), 1000)
    return [np.asarray(draw(keys, make_task(environment, context))) for context in contexts]


@pytest.mark.slow
def test_starts_are_what_the_task_says() -> None:
    def spans(drawn: np.ndarray, low: list[float], high: list[float]) -> None:
        np.testing.assert_allclose(drawn.min(axis=0), low, atol=0.03)
        np.testing.assert_allclose(drawn.max(axis=0), high, atol=0.03)
        np.testing.assert_allclose(drawn.mean(axis=0), np.mean([low, high], axis=0), atol=0.15)
        for i in range(drawn.shape[1]):
            for j in range(i):
                if drawn[:, i].std() * drawn[:, j].std() > 0:
                    assert abs(np.corrcoef(drawn[:, i], drawn[:, j])[0, 1]) < 0.1  # drawn apart

    usual, raised = starts("CartPole-v1", {}, {"initial_state_lower": 0.05})
    spans(usual, [-0.1] * 4, [0.1] * 4)
    spans(raised, [0.05] * 4, [0.1] * 4)
    (pendulum,) = starts("Pendulum-v1", {"initial_velocity_max": 3})
    spans(pendulum, [-np.pi, -3], [np.pi, 3])
    (acrobot,) = starts("Acrobot-v1", {"initial_angle_lower": -0.5, "initial_velocity_upper": 0.7})
    spans(acrobot, [-0.5, -0.5, -0.1, -0.1], [0.1, 0.1, 0.7, 0.7])
    usual, wide = starts("MountainCar-v0", {}, {"min_position_start": -0.9, "max_velocity_start": 0.05})
    spans(usual, [-0.6, 0], [-0.4, 0])
    spans(wide, [-0.9, 0], [-0.4, 0.05])


def test_names_and_defaults() -> None:
    """The table of CARL's source, without what changes nothing (a test over the registry finds such dimensions)."""
    defaults = {name: {one.name: one.default for one in features} for name, features in FEATURES.items()}
    assert defaults["CartPole-v1"] == {
        "gravity": 9.8,
        "masscart": 1.0,
        "masspole": 0.1,
        "length": 0.5,
        "force_mag": 10.0,
        "tau": 0.02,
        "initial_state_lower": -0.1,
        "initial_state_upper": 0.1,
    }
    assert {name: len(features) for name, features in FEATURES.items()} == {
        "CartPole-v1": 8,
        "CartPole-wide": 8,
        "Pendulum-v1": 6,
        "Acrobot-v1": 13,
        "MountainCar-v0": 11,
    }
    bounds = {one.name: (one.least, one.greatest) for one in FEATURES["Acrobot-v1"]}
    assert bounds["link_moi"] == (0.1, 10.0)
    assert bounds["max_vel_2"] == pytest.approx((0.9 * np.pi, 90 * np.pi))
    visible = make_environment("contextual:Acrobot-v1-visible")
    task = make_task(visible, {"link_moi": 2.0})
    shown = quick_jit(visible.reset)(jax.random.key(0), task)[0][6:]
    np.testing.assert_array_equal(shown, np.stack([task[one.name] for one in FEATURES["Acrobot-v1"]]))


def test_the_wide_cartpole_has_the_grid_of_jaxued() -> None:
    """Ten lengths and masses from 0.05 to 10, equal ratios apart, which CARL's own CartPole refuses."""
    environment = make_environment("contextual:CartPole-wide")
    points = task_points(environment, {"length": None, "masspole": None})
    tasks = tasks_at(points, environment.default_task(), grid_points(points, 10))
    values = np.logspace(np.log10(0.05), 1.0, 10)
    np.testing.assert_allclose(tasks["length"].reshape(10, 10), values[:, None] * np.ones(10), rtol=1e-5)
    np.testing.assert_allclose(tasks["masspole"].reshape(10, 10), values * np.ones((10, 1)), rtol=1e-5)
    with pytest.raises(UsageError, match=r"length: expected a number from 0\.05 to 5, got 10"):
        make_task(make_environment("contextual:CartPole-v1"), {"length": 10.0})
