"""A toy whose failures are short and whose successes are long, played side by side under a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from autorl.environments.protocol import Discrete, Step
from autorl.environments.task_box import TaskBox, TaskDimension
from autorl.inner.teaching import start_lessons, taught_step, told

COUNT = 32
LENGTH, LUCK = 12, 0.8


class Dice(NamedTuple):
    """Whether the episode is to fail, and its clock."""

    fails: Any
    time: Any


@dataclass(frozen=True)
class Unequal:
    """Four episodes in five are solved, after 12 steps; the others fail at the first."""

    name: str = "test:unequal"
    observation_shape: tuple[int, ...] = (1,)
    action_space: Discrete = Discrete(2)  # noqa: RUF009
    max_episode_steps: int = LENGTH

    @property
    def task_space(self) -> TaskBox:
        # two, so that no two tasks are so near that they count as one
        return TaskBox(tuple(TaskDimension(name, 0.0, 1.0, 0.5) for name in ("colour", "shape")))

    def default_task(self) -> Any:
        return {"colour": np.float32(0.5), "shape": np.float32(0.5)}

    def reset(self, key: Any, task: Any) -> Any:
        return jnp.zeros(1), Dice(jax.random.uniform(key) > LUCK, jnp.int32(0))

    def step(self, key: Any, state: Dice, action: Any, task: Any) -> Step:
        time = state.time + 1
        ended = state.fails | (time >= LENGTH)
        pay = (ended & ~state.fails).astype(jnp.float32)
        return Step(jnp.zeros(1), Dice(state.fails, time), pay, ended, jnp.bool_(False), {})


UNEQUAL = Unequal()
TASK = UNEQUAL.default_task()


@partial(jax.jit, static_argnums=1)
def taught(course: Any, rollouts: int) -> Any:
    """Return the teacher's states after rollouts of two steps, and how many episodes ended in each that were not to be learned from."""
    still = jnp.zeros(COUNT, jnp.int32)

    def advance(now: Any, key: Any) -> Any:
        lessons, _, states, totals = now
        keys = jax.random.split(key, COUNT)
        step, observation, states, lessons, played = taught_step(course, UNEQUAL, keys, states, still, TASK, lessons)
        totals, done = totals + step.reward, step.terminated | step.truncated
        return (lessons, observation, states, jnp.where(done, 0.0, totals)), (played, done, totals)

    def rollout(now: Any, key: Any) -> Any:
        (lessons, *rest), (played, done, returns) = jax.lax.scan(advance, now, jax.random.split(key, 2))
        none = jnp.zeros_like(returns)
        after = told(course, lessons, played, done, returns, none, none, jnp.float32(0.0))
        return (after, *rest), (after.teacher, jnp.sum(done & ~played.train))

    first = (*start_lessons(course, UNEQUAL, TASK, jax.random.key(0), COUNT), jnp.zeros(COUNT))
    return jax.lax.scan(rollout, first, jax.random.split(jax.random.key(1), rollouts))[1]
