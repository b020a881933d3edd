"""Stepping on across episode ends: reset where an episode ended, and only then.

Resets are the expensive part of cheap environments (their random draws). gymnax and most wrappers compute one for
every environment at every step and throw nearly all away; here they stand behind a branch. Under ``lax.map`` or ``scan``
on a CPU it is a real branch; under ``vmap`` jax turns it into a select, with the same results.

Keys come from outside: one call ``jax.random.split(key, (steps, environments))`` makes those of a whole rollout, much
cheaper than splitting inside the time loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.protocol import Environment, State, Step, Task

_RESET = 0x52455345
"""Folded into a step's key for its reset. Large: ``fold_in(key, i)`` equals ``split(key)[i]``, which a step may use."""


def step_or_reset(
    environment: Environment, key: Array, state: State, action: Array, task: Task
) -> tuple[Step, Array, State]:
    """Advance one environment; where the episode ended, start the next one of the same task.

    Args:
        environment: Any environment.
        key: One random key.
        state: Where it stands.
        action: What it does.
        task: Its task.

    Returns:
        The step with the observation and state that it reached; then observation and state to go on from
        (those of a reset where the episode ended, those of the step otherwise).
    """
    step = environment.step(key, state, action, task)
    observation, state = lax.cond(
        step.terminated | step.truncated,
        lambda: environment.reset(jax.random.fold_in(key, _RESET), task),
        lambda: (step.observation, step.state),
    )
    return step, observation, state


def batched_reset(
    environment: Environment, keys: Array, task: Task, *, task_axis: int | None = None
) -> tuple[Array, State]:
    """Return (observation [B, ...], state [B, ...]) of B new episodes. Arguments as in `batched_step_or_reset`."""
    return jax.vmap(environment.reset, in_axes=(0, task_axis))(keys, task)


def batched_step_or_reset(
    environment: Environment,
    keys: Array,
    states: State,
    actions: Array,
    task: Task,
    *,
    task_axis: int | None = None,
) -> tuple[Step, Array, State]:
    """Advance B environments; where an episode ended, start the next one. Resets are computed only if any did.

    Equals ``vmap`` of `step_or_reset` bit for bit.

    Args:
        environment: Any environment.
        keys: [B] random keys.
        states: [B, ...] states.
        actions: [B, ...] actions.
        task: One task for all, or B stacked ones.
        task_axis: None for one task, 0 for stacked ones.

    Returns:
        The steps [B, ...] with what they reached; then the observations and states [B, ...] to go on from.
    """
    steps: Step = jax.vmap(environment.step, in_axes=(0, 0, 0, task_axis))(keys, states, actions, task)
    done = steps.terminated | steps.truncated
    observations, next_states = reset_where(environment, keys, done, steps, lambda: (task, task_axis))
    return steps, observations, next_states


def reset_where(
    environment: Environment,
    keys: Array,
    done: Array,
    steps: Step,
    next_task: Callable[[], tuple[Task, int | None]],
) -> tuple[Array, State]:
    """Return the observations and states [B, ...] to go on from after ``steps``: of a new episode where ``done`` [B].

    ``next_task`` returns the task of the new episodes and its axis of environments (None for one task); ``keys`` are those of the steps.
    """

    def with_resets() -> tuple[Array, State]:
        reset_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, _RESET)
        task, task_axis = next_task()
        fresh = batched_reset(environment, reset_keys, task, task_axis=task_axis)

        def choose(new: Any, old: Any) -> Any:
            return jnp.where(done.reshape(done.shape + (1,) * (old.ndim - 1)), new, old)

        return jax.tree.map(choose, fresh, (steps.observation, steps.state))

    return lax.cond(jnp.any(done), with_resets, lambda: (steps.observation, steps.state))
