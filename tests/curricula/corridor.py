"""A corridor whose every way is known, walked at random under a teacher of starts; and a guide through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from autorl.curricula.courses import any_course
from autorl.environments.protocol import Discrete, Step
from autorl.environments.task_box import TaskBox, TaskDimension
from autorl.environments.task_points import task_points
from autorl.inner.teaching import start_lessons, taught_step, told

END = 12


class Place(NamedTuple):
    """In the corridor, with a key, as environments may have one in their state."""

    position: Any
    time: Any
    key: Any


@dataclass(frozen=True)
class Corridor:
    """Action 1 goes on, action 0 back to the start; each step costs 0.1, and the end, 12 steps away, pays 1. An episode takes 20 steps."""

    name: str = "test:corridor"
    observation_shape: tuple[int, ...] = (1,)
    action_space: Discrete = Discrete(2)  # noqa: RUF009
    max_episode_steps: int = 20

    @property
    def task_space(self):
        return TaskBox((TaskDimension("toll", 0.0, 1.0, 0.1),))

    def default_task(self):
        return {"toll": np.float32(0.1)}

    def reset(self, key, task):
        return jnp.zeros(1), Place(jnp.int32(0), jnp.int32(0), jax.random.key_data(key))

    def step(self, key, state, action, task):
        position = jnp.where(action == 1, state.position + 1, 0)
        after = Place(position, state.time + 1, state.key)
        ended = position >= END
        pay = ended.astype(jnp.float32) - task["toll"]
        truncated = (after.time >= self.max_episode_steps) & ~ended
        return Step(position.astype(jnp.float32)[None], after, pay, ended, truncated, {})


CORRIDOR = Corridor()
POINTS = task_points(CORRIDOR)
STEPS, COUNT = 16, 4


def course(name, **parameters):
    return any_course({"name": name, "parameters": parameters}, CORRIDOR, POINTS, (0.0, 1.0))


@jax.jit
def begun(course):
    lessons, observation, states = start_lessons(course, CORRIDOR, CORRIDOR.default_task(), jax.random.key(0), COUNT)
    return lessons, observation, states, jnp.zeros(COUNT)


@jax.jit
def rollout(course, now, key):
    """Walk at random: on with probability 0.7."""

    def advance(now, key):
        lessons, _, states, totals = now
        actions = jax.random.bernoulli(jax.random.fold_in(key, 0), 0.7, (COUNT,)).astype(jnp.int32)
        step, observation, states, lessons, played = taught_step(
            course, CORRIDOR, jax.random.split(key, COUNT), states, actions, CORRIDOR.default_task(), lessons
        )
        totals, done = totals + step.reward, step.terminated | step.truncated
        return (lessons, observation, states, jnp.where(done, 0.0, totals)), (
            played, done, totals, observation, states,
        )  # fmt: skip

    (lessons, observation, states, totals), seen = jax.lax.scan(advance, now, jax.random.split(key, STEPS))
    played, done, returns, *after = seen
    zero = jnp.zeros((STEPS, COUNT))
    lessons = told(course, lessons, played, done, returns, zero, zero, jnp.float32(0.0))
    return (lessons, observation, states, totals), (played, done, *after)


def walked(course, times):
    now, seen = begun(course), None
    for i in range(times):
        now, seen = rollout(course, now, jax.random.key(i))
    return now, seen


def onwards(observation, key):
    """Go on, whatever is seen."""
    return jnp.int32(1)


ONWARDS = f"{__name__}:onwards"
