"""A control policy, which acts at random: what a task gives without learning, known beforehand for tasks all over the space."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.curricula.frozen_task import FrozenTask
from autorl.environments.protocol import Discrete, Environment, State, Task
from autorl.environments.task_points import TaskPoints


class Control(NamedTuple):
    """What a random policy gets.

    Attributes:
        points: float32 [N, D]; tasks.
        returns: float32 [N]; mean undiscounted returns.
        env_steps: int32; taken to know them.
    """

    points: Array
    returns: Array
    env_steps: Array

    def at(self, points: Array) -> Array:
        """Return the returns at ``points`` [n, D], float32 [n]: each that of the nearest task."""
        distances = jnp.square(points[:, None] - self.points[None]).sum(axis=-1)
        return self.returns[jnp.argmin(distances, axis=1)]


def control(environment: Environment, points: TaskPoints, default: Task, count: int, episodes: int) -> Control:
    """Return what a random policy gets in tasks of ``environment`` (host arrays), the same every time.

    Args:
        environment: Where.
        points: How its tasks are written.
        default: What the points do not say of a task.
        count: Random tasks at which it is known, N; another one counts as the nearest of them.
        episodes: Of each.
    """
    return _control(cast(Any, environment), cast(Any, points), FrozenTask.of(default), count, episodes)


@lru_cache(maxsize=16)  # a search makes a course for each candidate
def _control(environment: Any, points: Any, frozen: FrozenTask, count: int, episodes: int) -> Control:
    default = frozen.task

    def one(key: Array) -> tuple[Array, Array, Array]:
        point_key, play_key = jax.random.split(key)
        point = points.sample(point_key)
        task = points.task(default, point)
        returns, steps = jax.vmap(lambda k: _episode(environment, task, k))(jax.random.split(play_key, episodes))
        return point, jnp.mean(returns), jnp.sum(steps)

    def all_of(keys: Array) -> Control:
        where, returns, steps = jax.lax.map(one, keys)
        return Control(where, returns, jnp.sum(steps))

    found = jax.jit(all_of)(jax.random.split(jax.random.key(0), count))
    return jax.tree.map(np.asarray, found)


def _episode(environment: Environment, task: Task, key: Array) -> tuple[Array, Array]:
    """Return what one episode of random actions gives, and its steps."""
    reset_key, loop_key = jax.random.split(key)
    _, start = environment.reset(reset_key, task)
    space = environment.action_space

    def advance(now: tuple[State, Array, Array, Array]) -> tuple[State, Array, Array, Array]:
        state, time, _, total = now
        act_key, step_key = jax.random.split(jax.random.fold_in(loop_key, time))
        if isinstance(space, Discrete):
            action = jax.random.randint(act_key, (), 0, space.n)
        else:
            action = jax.random.uniform(act_key, space.shape, minval=space.low, maxval=space.high)
        step = environment.step(step_key, state, action, task)
        return step.state, time + 1, step.terminated | step.truncated, total + step.reward

    def unfinished(now: tuple[State, Array, Array, Array]) -> Array:
        return (now[1] < environment.max_episode_steps) & ~now[2]

    begin = (start, jnp.int32(0), jnp.bool_(False), jnp.float32(0.0))
    _, steps, _, total = jax.lax.while_loop(unfinished, advance, begin)
    return total, steps
