"""Known values: the physics are Gymnasium's, with default and with changed parameters; time limits; derived parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.protocol import Environment, State
from autorl.environments.registry import make_environment
from autorl.environments.tasks import make_task
from autorl.errors import UsageError

Array = np.ndarray


def cartpole_into(reference: Any, p: Mapping[str, float]) -> None:
    for name in (
        "gravity",
        "masscart",
        "masspole",
        "length",
        "force_mag",
        "tau",
        "theta_threshold_radians",
        "x_threshold",
    ):
        setattr(reference, name, p[name])
    reference.total_mass = p["masscart"] + p["masspole"]
    reference.polemass_length = p["masspole"] * p["length"]


def acrobot_into(reference: Any, p: Mapping[str, Any]) -> None:
    reference.dt = p["dt"]
    reference.AVAIL_TORQUE = list(p["available_torque"])
    for ours, theirs in {
        "link_length_1": "LINK_LENGTH_1",
        "link_length_2": "LINK_LENGTH_2",
        "link_mass_1": "LINK_MASS_1",
        "link_mass_2": "LINK_MASS_2",
        "link_com_pos_1": "LINK_COM_POS_1",
        "link_com_pos_2": "LINK_COM_POS_2",
        "link_moi": "LINK_MOI",
        "max_vel_1": "MAX_VEL_1",
        "max_vel_2": "MAX_VEL_2",
    }.items():
        setattr(reference, theirs, p[ours])


def same_names(reference: Any, p: Mapping[str, float]) -> None:
    for name, value in p.items():
        assert hasattr(reference, name), name
        setattr(reference, name, value)


def mountain_into(reference: Any, p: Mapping[str, float]) -> None:
    same_names(
        reference, {name: value for name, value in p.items() if name not in ("gravity", "force", "goal_velocity")}
    )
    same_names(reference, {name: value for name, value in p.items() if name in ("force", "goal_velocity")})
    if hasattr(reference, "gravity"):  # the continuous one has it as a literal 0.0025
        reference.gravity = p["gravity"]


# id -> (fields of gymnax's state in Gymnasium's order, scale of random states, parameters to change, writer of parameters)
CASES: dict[str, tuple[list[str], list[float], dict[str, Any], Callable[[Any, Any], None]]] = {
    "CartPole-v1": (
        ["x", "x_dot", "theta", "theta_dot"],
        [2.0, 2.0, 0.2, 2.0],
        {"gravity": 5.0, "masscart": 2.0, "masspole": 0.7, "length": 1.3, "force_mag": 4.0, "tau": 0.05}
        | {"theta_threshold_radians": 0.1, "x_threshold": 1.0},
        cartpole_into,
    ),
    "Acrobot-v1": (
        ["joint_angle1", "joint_angle2", "velocity_1", "velocity_2"],
        [3.0, 3.0, 4.0, 8.0],
        {
            "available_torque": [-2.0, 0.5, 3.0],
            "dt": 0.1,
            "link_length_1": 1.5,
            "link_length_2": 0.8,
            "link_mass_1": 1.2,
        }
        | {"link_mass_2": 0.6, "link_com_pos_1": 0.7, "link_com_pos_2": 0.3, "link_moi": 1.4, "max_vel_1": 3.0}
        | {"max_vel_2": 5.0},
        acrobot_into,
    ),
    "Pendulum-v1": (
        ["theta", "theta_dot"],
        [3.0, 7.0],
        {"max_speed": 4.0, "max_torque": 1.5, "dt": 0.02, "g": 3.0, "m": 1.7, "l": 0.6},
        same_names,
    ),
    "MountainCar-v0": (
        ["position", "velocity"],
        [0.9, 0.07],
        {"min_position": -0.8, "max_position": 0.5, "max_speed": 0.03, "goal_position": 0.4, "goal_velocity": 0.01}
        | {"force": 0.004, "gravity": 0.001},
        mountain_into,
    ),
    "MountainCarContinuous-v0": (
        ["position", "velocity"],
        [0.9, 0.07],
        {"min_action": -0.5, "max_action": 0.7, "max_position": 0.5, "max_speed": 0.03, "goal_position": 0.4}
        | {"goal_velocity": 0.01, "power": 0.004},
        mountain_into,
    ),
}


def placed(environment: Environment, fields: list[str], values: Array) -> State:
    """Return [n] states of gymnax that stand at ``values`` [n, fields]."""
    _, state = environment.reset(jax.random.key(0), environment.default_task())
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(values), *x.shape)), state)
    return many.replace(**{field: jnp.asarray(values[:, i], jnp.float32) for i, field in enumerate(fields)})


@pytest.mark.parametrize("changed", [False, True], ids=["default", "changed"])
@pytest.mark.parametrize("name", CASES)
def test_physics_are_gymnasiums(name: str, changed: bool) -> None:
    fields, scale, changes, write = CASES[name]
    environment = make_environment(f"gymnax:{name}")
    task = make_task(environment, changes if changed else {})
    assert not changed or set(changes) >= set(task) - {"min_position", "gravity", "torque_noise_max"}
    rng = np.random.default_rng(3)
    states = rng.uniform(-1, 1, (200, len(fields))) * scale
    if name.startswith("MountainCar"):
        states[:, 0] = rng.uniform(-0.75, 0.55, 200)
    reference = gymnasium.make(name).unwrapped
    reference.reset(seed=0)
    write(reference, {k: v.tolist() for k, v in task.items() if k != "torque_noise_max"})
    discrete = isinstance(reference.action_space, gymnasium.spaces.Discrete)
    actions = rng.integers(0, reference.action_space.n, 200) if discrete else rng.uniform(-3, 3, (200, 1))
    actions = actions.astype(np.int32 if discrete else np.float32)
    steps = jax.jit(jax.vmap(environment.step, in_axes=(None, 0, 0, None)))(
        jax.random.key(0), placed(environment, fields, states), actions, task
    )
    for i, (state, action) in enumerate(zip(states.astype(np.float32).astype(float), actions, strict=True)):
        reference.state = state.copy()
        if hasattr(reference, "steps_beyond_terminated"):
            reference.steps_beyond_terminated = None
        observation, reward, terminated, _, _ = reference.step(action)
        if name == "MountainCarContinuous-v0" and at_a_wall(observation, task):
            continue
        np.testing.assert_allclose(steps.observation[i], observation, rtol=2e-4, atol=2e-4)
        assert bool(steps.terminated[i]) == bool(terminated)
        if name != "CartPole-v1" or not outside(state, task):
            np.testing.assert_allclose(steps.reward[i], reward, rtol=1e-4, atol=1e-5)
    assert name == "Pendulum-v1" or 0 < np.asarray(steps.terminated).sum() < 200


def at_a_wall(observation: Array, task: Mapping[str, Any]) -> bool:
    """Where gymnax stops the continuous car at the wrong wall (the test below)."""
    position, velocity = observation
    return position <= task["min_position"] or (position >= task["goal_position"] and velocity < 0)


def outside(state: Array, task: Mapping[str, Any]) -> bool:
    """Whether a CartPole episode is over already in ``state`` (gymnax rewards such steps with 0)."""
    return abs(state[0]) > task["x_threshold"] or abs(state[2]) > task["theta_threshold_radians"]


def test_cartpole_by_hand() -> None:
    """One step written out (Barto, Sutton and Anderson, 1983), with another pole than the default one."""
    environment = make_environment("gymnax:CartPole-v1")
    task = environment.task_from({"masspole": 0.5, "length": 0.8, "masscart": 2.0})
    x, v, angle, spin = 0.1, -0.3, 0.05, 0.4
    total, moment = 2.0 + 0.5, 0.5 * 0.8
    push = (10.0 + moment * spin**2 * math.sin(angle)) / total
    turn = (9.8 * math.sin(angle) - math.cos(angle) * push) / (0.8 * (4 / 3 - 0.5 * math.cos(angle) ** 2 / total))
    pull = push - moment * turn * math.cos(angle) / total
    state = placed(environment, ["x", "x_dot", "theta", "theta_dot"], np.array([[x, v, angle, spin]]))
    step = environment.step(jax.random.key(0), jax.tree.map(lambda a: a[0], state), jnp.int32(1), task)
    expected = [x + 0.02 * v, v + 0.02 * pull, angle + 0.02 * spin, spin + 0.02 * turn]
    np.testing.assert_allclose(step.observation, expected, rtol=1e-6)


def test_derived_parameters_are_recomputed() -> None:
    environment = make_environment("gymnax:CartPole-v1")
    default = gymnax.make("CartPole-v1")[1]
    from autorl.environments.gymnax_adapter import _with_task

    same = _with_task(default, environment.default_task())
    for name in ("total_mass", "polemass_length"):
        assert np.float32(getattr(same, name)) == np.float32(getattr(default, name))
    heavy = _with_task(default, environment.task_from({"masspole": 1.0, "length": 2.0}))
    assert (float(heavy.total_mass), float(heavy.polemass_length)) == (2.0, 2.0)
    for name in ("total_mass", "polemass_length"):
        with pytest.raises(UsageError, match=f"'{name}' cannot be set: it is computed: mass"):
            environment.task_from({name: 1.0})


def test_the_default_task_is_gymnax() -> None:
    """With the default task the adapter is gymnax's own environment, bit for bit."""
    environment = make_environment("gymnax:CartPole-v1")
    original, params = gymnax.make("CartPole-v1")
    key = jax.random.key(5)
    observation, state = environment.reset(key, environment.default_task())
    np.testing.assert_array_equal(observation, original.reset(key, params)[0])
    step = jax.jit(environment.step)(key, state, jnp.int32(1), environment.default_task())
    theirs = jax.jit(original.step_env)(key, state, 1, jax.tree.map(np.float32, params))
    np.testing.assert_array_equal(step.observation, theirs[0])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"masspol": 1.0}, "unknown task parameter 'masspol'. Did you mean 'masspole'?"),
        ({"max_steps_in_episode": 3}, "'max_steps_in_episode' cannot be set: the time limit is fixed at 500 steps"),
        ({"gravity": "strong"}, "gravity: expected a number, got 'strong'"),
        ({"gravity": True}, "gravity: expected a number, got True"),
        ({"gravity": None}, "gravity: expected a number, got None"),
        ({"gravity": [1.0, 2.0]}, "gravity: expected one number, got [1.0, 2.0]"),
        ({"gravity": [[1.0], 2.0]}, "gravity: expected numbers of shape ()"),
        ({"gravity": math.nan}, "gravity: expected a finite number, got nan"),
        ({"gravity": 1e300}, "gravity: expected a number that fits into float32"),
    ],
)
def test_wrong_tasks(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_environment("gymnax:CartPole-v1").task_from(overrides)
    assert message in str(caught.value)
    assert "gymnax:CartPole-v1" in str(caught.value)


def test_all_problems_of_a_task_at_once_and_other_dtypes() -> None:
    with pytest.raises(UsageError, match=r"(?s)gravity: .*'lenth'.*Did you mean 'length'"):
        make_environment("gymnax:CartPole-v1").task_from({"gravity": math.inf, "lenth": 1})
    pong = make_environment("gymnax:Pong-misc")
    task = pong.task_from({"ball_max_y_speed": 50.0, "use_ai_policy": False})
    assert (task["ball_max_y_speed"].dtype, int(task["ball_max_y_speed"])) == (np.int32, 50)
    assert (task["use_ai_policy"].dtype, bool(task["use_ai_policy"])) == (np.bool_, False)
    for wrong, message in [
        ({"ball_max_y_speed": 2.5}, "whole number"),
        ({"ball_max_y_speed": 2**40}, r"whole number in \[-2147483648, 2147483647\]"),
        ({"use_ai_policy": 1}, "true or false"),
    ]:
        with pytest.raises(UsageError, match=message):
            pong.task_from(wrong)


def run(environment: Environment, task: Any, action: Any, length: int) -> Any:
    """Return the steps [length] of one environment that goes on beyond its end."""
    _, start = jax.jit(environment.reset)(jax.random.key(1), task)

    def one(state: State, key: jax.Array) -> Any:
        step = environment.step(key, state, action, task)
        return step.state, step

    return jax.jit(lambda keys: jax.lax.scan(one, start, keys))(jax.random.split(jax.random.key(2), length))[1]


def test_time_limit_alone_truncates() -> None:
    """A CartPole that cannot fall runs to the limit: truncated there, never terminated; a falling one never truncated."""
    environment = make_environment("gymnax:CartPole-v1")
    forever = run(environment, environment.task_from({"x_threshold": 1e9, "theta_threshold_radians": 1e9}), 1, 500)
    assert np.flatnonzero(forever.truncated).tolist() == [499]
    assert not np.any(forever.terminated)
    falling = run(environment, environment.default_task(), jnp.int32(1), 30)
    end = int(np.argmax(falling.terminated))
    assert 5 < end < 15
    assert not np.any(falling.truncated)
    assert falling.reward[: end + 1].tolist() == [1.0] * (end + 1)


def test_an_end_at_the_time_limit_is_an_end() -> None:
    """DeepSea is over at the bottom row, which is also the step of its time limit."""
    environment = make_environment("gymnax:DeepSea-bsuite")
    steps = run(environment, environment.default_task(), jnp.int32(0), 8)
    assert steps.terminated.tolist() == [False] * 7 + [True]
    assert not np.any(steps.truncated)


def test_discrete_observations_become_one_hot() -> None:
    environment = make_environment("gymnax:FrozenLake-misc")
    observation, _ = environment.reset(jax.random.key(0), environment.default_task())
    assert observation.tolist() == [1.0] + [0.0] * 15


def test_continuous_mountain_car_keeps_gymnax_left_wall() -> None:
    """Documented deviation: Gymnasium stops the car at the left wall, gymnax does so at the goal instead."""
    environment = make_environment("gymnax:MountainCarContinuous-v0")
    state = jax.tree.map(lambda a: a[0], placed(environment, ["position", "velocity"], np.array([[-1.19, -0.06]])))
    step = environment.step(jax.random.key(0), state, jnp.zeros(1), environment.default_task())
    assert float(step.observation[0]) == pytest.approx(-1.2)
    assert float(step.observation[1]) < -0.05
