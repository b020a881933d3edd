"""Trajectories of a guide: a policy that is given, whose states an agent may start from."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.curricula.frozen_task import FrozenTask
from autorl.curricula.starts.archive import Archive
from autorl.environments.check import refuse_strange_actions
from autorl.environments.protocol import Environment, Reached, Task
from autorl.errors import UsageError
from autorl.registry import load_attribute

Policy = Callable[[Array, Array], Any]
"""From one observation and a random key to an action. Traceable and hashable."""
Guides = Callable[[str, Environment], Policy]
"""From the reference of a guide, and where it is to act, to the guide; raises `UsageError` where there is none."""
STUDY = "study:"
"""Begins the reference of a guide that a study trained; those are read beyond this package."""


class Guide(NamedTuple):
    """M episodes of a guide, of at most L steps.

    Attributes:
        archive: [M * L]; the state after t steps of episode m stands at m * L + t; filled while the episode goes on.
        alive: int32 [M]; how many states of each episode are filled: as many as it took env steps.
        returns: float32 [M]; of whole episodes.
    """

    archive: Archive
    alive: Array
    returns: Array


def guide_policy(reference: str) -> Policy:
    """Return the policy that ``module:attribute`` names.

    Raises:
        UsageError: It does not exist, or cannot be called.
    """
    if not reference:
        raise UsageError(
            "guide: expected 'module:attribute', a function from (observation, random key) to an action, or 'study:NAME', "
            "a study that kept its policy, got ''"
        )
    try:
        found = load_attribute(reference)
    except UsageError as error:
        raise UsageError(f"guide: {error}") from error
    if not callable(found):
        raise UsageError(f"guide: expected a function from (observation, random key) to an action, got {reference!r}")
    return cast(Policy, found)


def guides_of_modules(reference: str, environment: Environment) -> Policy:
    """Return `guide_policy`; raise `UsageError` also where the guide is one of a study."""
    if reference.startswith(STUDY):
        raise UsageError(
            f"guide: {reference!r} is read by experiments alone. Remedy: give a function, module:attribute"
        )
    return guide_policy(reference)


def guided(environment: Environment, policy: Policy, count: int, task: Task) -> Guide:
    """Return ``count`` episodes of ``policy`` in ``task`` (host arrays), the same ones every time.

    Args:
        environment: Where.
        policy: The guide.
        count: Episodes, M.
        task: The task.

    Raises:
        UsageError: The policy does not return one of the environment's actions, or states hold random keys.
    """
    return _guided(cast(Any, environment), policy, count, FrozenTask.of(task))


@lru_cache(maxsize=16)  # a search makes a course for each candidate
def _guided(environment: Any, policy: Policy, count: int, frozen: FrozenTask) -> Guide:
    task, length = frozen.task, environment.max_episode_steps
    if any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in jax.tree.leaves(_states(environment, task))):
        raise UsageError(
            f"guide: the states of {environment.name!r} hold random keys, which cannot be given beforehand"
        )

    def advance(now: tuple[Reached, Array, Array, Array], time: Array) -> tuple[Any, tuple[Archive, Array]]:
        reached, alive, total, key = now
        act_key, step_key = jax.random.split(jax.random.fold_in(key, time))
        action = jnp.asarray(policy(reached.observation, act_key))
        step = environment.step(step_key, reached.state, action, task)
        entry = Archive(reached, time, total, alive)
        after = alive & ~(step.terminated | step.truncated)
        return (Reached(step.observation, step.state), after, total + jnp.where(alive, step.reward, 0.0), key), (
            entry,
            action,
        )

    def episode(key: Array) -> tuple[Archive, Array, Array]:
        start = Reached(*environment.reset(key, task))
        now = (start, jnp.bool_(True), jnp.float32(0.0), jax.random.fold_in(key, 1))
        (_, _, total, _), (entries, actions) = jax.lax.scan(advance, now, jnp.arange(length))
        return entries, actions, total

    try:
        entries, actions, returns = jax.jit(jax.vmap(episode))(jax.random.split(jax.random.key(0), count))
    except Exception as error:  # the guide is the user's function and may raise anything
        raise UsageError(f"guide: it cannot act in {environment.name!r}: {error}") from error
    refuse_strange_actions(np.asarray(actions), environment, leading=2)
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), entries)
    made = Guide(flat, entries.filled.sum(axis=1, dtype=jnp.int32), returns)
    return jax.tree.map(np.asarray, made)


def _states(environment: Environment, task: Task) -> Any:
    return jax.eval_shape(environment.reset, jax.random.key(0), task)
