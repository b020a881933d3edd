"""Rollouts: T steps of B environments of one member, in one scan with as few operations as can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.autoreset import batched_reset, batched_step_or_reset
from autorl.environments.protocol import Environment, State, Step, Task
from autorl.inner.course import Course
from autorl.inner.networks import flatten_observations
from autorl.inner.teaching import Lessons, Played, Slots, slotted_step, start_lessons, taught_step

RETURN_DECAY = 0.95
"""Weight of the past, for each episode, in the average of training returns."""


class Actors(NamedTuple):
    """B environments under way.

    Attributes:
        observation: [B, *observation_shape].
        state: Their states [B, ...].
        episode_return: float32 [B]; undiscounted, of the running episodes.
        lessons: What they play, where a teacher says so.
    """

    observation: Array
    state: State
    episode_return: Array
    lessons: Lessons | None = None


class Trajectory(NamedTuple):
    """What T steps of B environments gave.

    Attributes:
        observation: float32 [T, B, D]; flat, as the environment gave them.
        action: float32 [T, B, A]; as the policy stores them.
        outputs: float32 [T, B, O]; of the policy network.
        reward: float32 [T, B].
        terminated: bool [T, B].
        truncated: bool [T, B].
        final_observation: float32 [T, B, D]; what each step reached, before any reset.
        episode_return: float32 [T, B]; undiscounted return up to and with this step.
        played: [T, B]; the tasks, where a teacher sets them.
    """

    observation: Array
    action: Array
    outputs: Array
    reward: Array
    terminated: Array
    truncated: Array
    final_observation: Array
    episode_return: Array
    played: Played | None = None


def start_actors(environment: Environment, task: Task, key: Array, count: int, course: Course | None = None) -> Actors:
    """Return ``count`` environments at the start of an episode: of ``task``, or of those that a ``course`` proposes."""
    if course is not None:
        lessons, observation, state = start_lessons(course, environment, task, key, count)
        return Actors(observation, state, jnp.zeros(count, jnp.float32), lessons)
    observation, state = batched_reset(environment, jax.random.split(key, count), task)
    return Actors(observation, state, jnp.zeros(count, jnp.float32))


def collect(
    environment: Environment,
    task: Task,
    actors: Actors,
    key: Array,
    noise: Array,
    act: Callable[[Array, Array], tuple[Array, Array]],
    to_environment: Callable[[Array], Array],
    course: Course | Slots | None = None,
) -> tuple[Actors, Trajectory]:
    """Act for T steps.

    Args:
        environment: Where.
        task: The task of all B environments (with a course, but for what that sets).
        actors: Where they stand.
        key: Of the dynamics and resets.
        noise: [T, B, ...]; all that the policy draws.
        act: (flat observations [B, D], noise [B, ...]) -> (stored actions [B, A], network outputs [B, O]).
        to_environment: Stored actions [B, A] -> the environment's.
        course: The teacher, if there is one, or the tasks that it has set for the whole rollout.
    """
    steps, count = noise.shape[:2]
    shape = environment.observation_shape
    keys = jax.random.split(key, (steps, count))

    def advance(now: Actors, drawn: tuple[Array, Array]) -> tuple[Actors, Trajectory]:
        step_keys, step_noise = drawn
        flat = flatten_observations(now.observation, shape)
        action, outputs = act(flat, step_noise)
        step, observation, state, lessons, played = stepped(
            environment, step_keys, now, to_environment(action), task, course
        )
        total = now.episode_return + step.reward
        done = step.terminated | step.truncated
        recorded = Trajectory(
            observation=flat,
            action=action,
            outputs=outputs,
            reward=step.reward,
            terminated=step.terminated,
            truncated=step.truncated,
            final_observation=flatten_observations(step.observation, shape),
            episode_return=total,
            played=played,
        )
        return Actors(observation, state, jnp.where(done, 0.0, total), lessons), recorded

    return lax.scan(advance, actors, (keys, noise))


def stepped(
    environment: Environment, keys: Array, now: Actors, actions: Array, task: Task, course: Course | Slots | None
) -> tuple[Step, Array, State, Lessons | None, Played | None]:
    """Advance the environments, in ``task`` or in those that a ``course`` sets; see `taught_step`."""
    if course is None:
        return (*batched_step_or_reset(environment, keys, now.state, actions, task), None, None)
    if isinstance(course, Slots):
        return slotted_step(course, environment, keys, now.state, actions)
    assert now.lessons is not None
    return taught_step(course, environment, keys, now.state, actions, task, now.lessons)


def average_return(before: Array, trajectory: Trajectory) -> Array:
    """Return the exponential average of training returns after ``trajectory`` (nan before the first episode ended).

    The episodes of one rollout count with their mean, and with the weight of as many single ones.
    """
    done = trajectory.terminated | trajectory.truncated
    count = jnp.sum(done, dtype=jnp.float32)
    mean = jnp.sum(jnp.where(done, trajectory.episode_return, 0.0)) / jnp.maximum(count, 1.0)
    keep = jnp.where(jnp.isnan(before), 0.0, RETURN_DECAY**count)
    return jnp.where(count > 0, jnp.where(keep > 0.0, keep * before, 0.0) + (1.0 - keep) * mean, before)
