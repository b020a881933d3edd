"""Evaluation: whole episodes of a fixed policy, side by side, in one loop that ends when the last one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.environments.check import reports_success
from autorl.environments.protocol import Environment, State, Task
from autorl.inner.protocol import Evaluation


class TaskSet(NamedTuple):
    """Several tasks to be evaluated on, in turn: episode i plays the i-th, modulo their number.

    Attributes:
        tasks: Stacked, each leaf [N, ...].
    """

    tasks: Task


class _Run(NamedTuple):
    time: Array
    observation: Array
    state: State
    done: Array
    returns: Array
    env_steps: Array
    successes: Array | None = None


def evaluate_policy(
    environment: Environment,
    act: Callable[[Array, Array], Array],
    task: Task,
    key: Array,
    episodes: int,
) -> Evaluation:
    """Run ``episodes`` episodes, each from its own reset to its end, and return their undiscounted returns.

    Args:
        environment: Where to act.
        act: (observations [E, *observation_shape], key) -> actions [E, *action_shape].
        task: The task of every episode, or a `TaskSet`; then successes are returned too, where the environment reports them.
        key: jax key; resets, policy and dynamics draw from it.
        episodes: E, at least 1.

    Returns:
        Returns [E], and the environment steps of unfinished episodes summed over E. An episode that is not over after
        ``environment.max_episode_steps`` counts with the return so far.
    """
    reset_key, loop_key = jax.random.split(key)
    task, axis = _dealt(task, episodes)
    observation, state = jax.vmap(environment.reset, (0, axis))(jax.random.split(reset_key, episodes), task)
    start = _Run(
        time=jnp.int32(0),
        observation=observation,
        state=state,
        done=jnp.zeros(episodes, jnp.bool_),
        returns=jnp.zeros(episodes, jnp.float32),
        env_steps=jnp.int32(0),
        successes=jnp.zeros(episodes, jnp.float32) if axis == 0 and reports_success(environment) else None,
    )

    def unfinished(run: _Run) -> Array:
        return (run.time < environment.max_episode_steps) & ~jnp.all(run.done)

    def advance(run: _Run) -> _Run:
        act_key, step_key = jax.random.split(jax.random.fold_in(loop_key, run.time))
        actions = act(run.observation, act_key)
        keys = jax.random.split(step_key, episodes)
        step = jax.vmap(environment.step, (0, 0, 0, axis))(keys, run.state, actions, task)
        return _Run(
            time=run.time + 1,
            # finished episodes stand still, so that no state runs away to values that the dynamics never meant
            observation=_keep(run.done, run.observation, step.observation),
            state=jax.tree.map(lambda old, new: _keep(run.done, old, new), run.state, step.state),
            done=run.done | step.terminated | step.truncated,
            returns=run.returns + jnp.where(run.done, 0.0, step.reward),
            env_steps=run.env_steps + jnp.sum(~run.done, dtype=jnp.int32),
            successes=None if run.successes is None else _greatest(run, step.info["success"]),
        )

    final = jax.lax.while_loop(unfinished, advance, start)
    return Evaluation(returns=final.returns, env_steps=final.env_steps, successes=final.successes)


def _dealt(task: Task, episodes: int) -> tuple[Task, int | None]:
    """Return the tasks of ``episodes`` episodes and their axis: None where all have the same."""
    if not isinstance(task, TaskSet):
        return task, None
    return jax.tree.map(lambda x: x[jnp.arange(episodes) % len(x)], task.tasks), 0


def _greatest(run: _Run, success: Array) -> Array:
    assert run.successes is not None
    return jnp.maximum(run.successes, jnp.where(run.done, 0.0, success.astype(jnp.float32)))


def _keep(done: Array, old: Array, new: Array) -> Array:
    """Select ``old`` [E, ...] where ``done`` [E], else ``new``; typed keys in environment states are allowed."""
    return jax.vmap(jnp.where)(done, old, new)
