"""Every dimension of every declared task space changes what happens: over the registry, one dimension at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.protocol import Discrete, Environment
from autorl.environments.registry import environment_names, make_environment
from autorl.environments.task_box import TaskBox
from autorl.environments.visible_task import VisibleTask

QUICK = ("contextual:MountainCar-v0",)
# a shown task differs in what is seen of it already: what counts is the environment behind it
WITH_TASKS = [
    name
    for name in environment_names()
    if name.startswith(("contextual:", "point_mass:", "lpg:")) and not name.endswith("-visible")
]
POLICIES = 12


def swing(observation: jax.Array) -> jax.Array:
    """Drive a mountain car the way it rolls: it gets to both ends."""
    return jnp.where(observation[1] >= 0, 2, 0)


LENGTHS = {"contextual:MountainCar-v0": 200, "point_mass:gate-2d": 100, "point_mass:gate-3d": 100}
FEEDBACK: dict[str, Callable[[jax.Array], jax.Array]] = {"contextual:MountainCar-v0": swing}


def plans(environment: Environment, key: jax.Array, length: int) -> jax.Array:
    """Return actions [POLICIES, length, ...]: random ones, and in half of the plans one random action all the time."""
    space, shape = environment.action_space, (POLICIES, length)
    if isinstance(space, Discrete):
        drawn = jax.random.randint(key, shape, 0, space.n)
    else:
        drawn = jax.random.uniform(key, (*shape, *space.shape), minval=space.low, maxval=space.high)
    drawn = drawn.at[::2].set(jnp.broadcast_to(drawn[::2, :1], drawn[::2].shape))
    if environment.name.startswith("lpg:"):
        return drawn.at[:, 0].set(4)  # stay, and so collect what is there
    if environment.name.startswith("point_mass:"):
        return drawn.at[:, :, 1].set(-10.0)  # towards the wall
    return drawn


def start_of(environment: Environment, key: jax.Array, task: Any, policy: jax.Array) -> Any:
    """Return (observation, state) of a reset; in grid worlds the agent then stands on one of the objects."""
    observation, state = environment.reset(key, task)
    if environment.name.startswith("lpg:"):
        state = state._replace(position=state.places[policy % len(state.places)])
    return observation, state


def standard_point(environment: Environment, space: TaskBox) -> np.ndarray:
    """Return the default point; in grid worlds with chances of a half, since what always ends the episode never comes back."""
    point = np.array(space.default, np.float32)
    for i, dimension in enumerate(space.dimensions):
        if dimension.name.startswith(("terminate", "respawn")):
            point[i] = 0.5
    return point


def episodes(environment: Environment, tasks: Any, length: int) -> dict[str, np.ndarray]:
    """Return what happens in [tasks, POLICIES, length] up to the ends of episodes, with the same luck for all tasks."""
    keys, actions = jax.random.split(jax.random.key(3), POLICIES), plans(environment, jax.random.key(4), length)
    feedback = FEEDBACK.get(environment.name)

    def play(task: Any, key: jax.Array, plan: jax.Array, policy: jax.Array) -> Any:
        def one(carry: Any, inputs: Any) -> Any:
            observation, state, alive = carry
            action = inputs[1] if feedback is None else feedback(observation)
            step = environment.step(inputs[0], state, action, task)
            seen = (step.observation, step.reward, step.terminated, step.truncated)
            shown = jax.tree.map(lambda x: jnp.where(alive, x, 0), seen)
            return (step.observation, step.state, alive & ~(step.terminated | step.truncated)), shown

        first = (*start_of(environment, key, task, policy), jnp.bool_(True))
        return first[0], jax.lax.scan(one, first, (jax.random.split(key, length), plan))[1]

    every_policy = jax.vmap(play, in_axes=(None, 0, 0, 0))
    run = jax.jit(
        jax.vmap(every_policy, in_axes=(0, None, None, None)), compiler_options={"xla_backend_optimization_level": 0}
    )
    first, (observation, reward, terminated, truncated) = jax.device_get(
        run(tasks, keys, actions, jnp.arange(POLICIES))
    )
    return {
        "first": first,
        "observation": observation,
        "reward": reward,
        "terminated": terminated,
        "truncated": truncated,
    }


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in WITH_TASKS])
def test_every_dimension_changes_what_happens(name: str) -> None:
    environment = make_environment(name)
    space: TaskBox = environment.task_space
    default = environment.default_task()
    np.testing.assert_allclose(space.point(default), np.array(space.default, np.float32), rtol=1e-6)
    standard = standard_point(environment, space)
    count = len(space.dimensions)
    points = np.tile(standard, (1 + 2 * count, 1))
    for i in range(count):
        points[1 + 2 * i, i], points[2 + 2 * i, i] = space.low[i], space.high[i]
    tasks = jax.vmap(space.task, in_axes=(None, 0))(default, jnp.asarray(points))
    happened = episodes(environment, tasks, min(environment.max_episode_steps, LENGTHS.get(name, 60)))

    def differs(task: int) -> bool:
        return any(not np.array_equal(x[0], x[task]) for x in happened.values())

    without_effect = [
        dimension.name
        for i, dimension in enumerate(space.dimensions)
        if not any(differs(1 + 2 * i + end) for end in (0, 1) if points[1 + 2 * i + end, i] != standard[i])
    ]
    assert without_effect == []


@pytest.mark.slow
def test_all_declared_task_spaces_are_covered() -> None:
    declared = []
    for name in environment_names():
        if name.startswith(("gymnax:", "minigrid:", "xminigrid:")):
            continue  # one class each, without a declaration; making all of them takes long
        environment = make_environment(name)
        if isinstance(getattr(environment, "task_space", None), TaskBox):
            declared.append(environment.hidden.name if isinstance(environment, VisibleTask) else name)
    assert set(declared) == set(WITH_TASKS)
