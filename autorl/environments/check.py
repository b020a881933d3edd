"""Does an object satisfy the environment protocol? Checked once, when it is made, by abstract evaluation."""

from __future__ import annotations

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from autorl.environments.protocol import Box, Discrete, Environment, Step
from autorl.errors import UsageError

_METHODS = ("default_task", "reset", "step")
_ATTRIBUTES = {
    "name": "a string",
    "observation_shape": "a tuple of ints",
    "action_space": "a Discrete or a Box of autorl.environments.protocol",
    "max_episode_steps": "a whole number >= 1",
}


def check_environment(candidate: Any, id: str) -> Environment:
    """Return ``candidate`` if it satisfies `Environment`.

    Args:
        candidate: Any object.
        id: What the user called it, for messages.

    Raises:
        UsageError: Listing every member that is missing or wrong: attributes, hashability, and the shapes, dtypes and
            structures that ``reset`` and ``step`` give when traced.
    """
    problems = _member_problems(candidate)
    if not problems:
        problems = _trace_problems(candidate)
    if problems:
        raise UsageError(f"environment {id!r} does not satisfy the protocol: " + "; ".join(problems))
    return cast(Environment, candidate)


def action_struct(space: Discrete | Box) -> jax.ShapeDtypeStruct:
    """Return shape and dtype of one action of ``space``."""
    if isinstance(space, Discrete):
        return jax.ShapeDtypeStruct((), jnp.int32)
    return jax.ShapeDtypeStruct(space.shape, jnp.float32)


def _is_count(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def _member_problems(candidate: Any) -> list[str]:
    problems = []
    if isinstance(candidate, type):
        return [f"{candidate.__name__} is a class, not an instance"]
    for name in _METHODS:
        if not callable(getattr(candidate, name, None)):
            problems.append(f"method {name} is missing")
    for name, wanted in _ATTRIBUTES.items():
        if not hasattr(candidate, name):
            problems.append(f"{name} is missing ({wanted})")
            continue
        value = getattr(candidate, name)
        right = {
            "name": lambda v: isinstance(v, str),
            "observation_shape": lambda v: isinstance(v, tuple) and all(_is_count(n, 0) for n in v),
            "action_space": lambda v: isinstance(v, Discrete | Box),
            "max_episode_steps": lambda v: _is_count(v, 1),
        }[name](value)
        if not right:
            problems.append(f"{name} is {value!r}, expected {wanted}")
    try:
        hash(candidate)
    except TypeError:
        problems.append("it is not hashable (use a frozen dataclass: it becomes a static argument of jit)")
    return problems


def _trace_problems(environment: Environment) -> list[str]:
    key = jax.random.key(0)
    try:
        task = environment.default_task()
        observation, state = jax.eval_shape(environment.reset, key, task)
    except Exception as error:  # whatever a user's code raises is the user's to mend
        return [f"reset(key, task) fails when traced: {type(error).__name__}: {error}"]
    problems = _array_problems("the observation of reset", observation, environment.observation_shape, jnp.float32)
    try:
        step = jax.eval_shape(environment.step, key, state, action_struct(environment.action_space), task)
    except Exception as error:
        return [*problems, f"step(key, state, action, task) fails when traced: {type(error).__name__}: {error}"]
    returned: Any = step  # the annotation is a promise, this is the check
    if not isinstance(returned, Step):
        return [*problems, f"step returns {type(returned).__name__}, expected autorl.environments.protocol.Step"]
    problems += _array_problems("step.observation", step.observation, environment.observation_shape, jnp.float32)
    problems += _array_problems("step.reward", step.reward, (), jnp.float32)
    problems += _array_problems("step.terminated", step.terminated, (), jnp.bool_)
    problems += _array_problems("step.truncated", step.truncated, (), jnp.bool_)
    if not isinstance(step.info, dict):
        problems.append(f"step.info is {type(step.info).__name__}, expected a dict of arrays")
    return problems + _state_problems(state, step.state)


def _array_problems(what: str, found: Any, shape: tuple[int, ...], dtype: Any) -> list[str]:
    if not hasattr(found, "shape") or not hasattr(found, "dtype"):
        return [f"{what} is {type(found).__name__}, expected one array"]
    if found.shape != shape or found.dtype != dtype:
        return [f"{what} is {found.dtype}{list(found.shape)}, expected {jnp.dtype(dtype)}{list(shape)}"]
    return []


def _state_problems(reset: Any, step: Any) -> list[str]:
    structures: list[Any] = [jax.tree.structure(reset), jax.tree.structure(step)]
    if structures[0] != structures[1]:
        return ["the state of step has another structure than that of reset"]
    pairs = zip(jax.tree_util.tree_leaves_with_path(reset), jax.tree.leaves(step), strict=True)
    return [
        f"state{jax.tree_util.keystr(path)} is {a.dtype}{list(a.shape)} after reset, {b.dtype}{list(b.shape)} after step"
        for (path, a), b in pairs
        if (a.shape, a.dtype) != (b.shape, b.dtype)
    ]


def refuse_strange_actions(actions: NDArray[Any], environment: Environment, leading: int) -> None:
    """Raise `UsageError` unless a guide's ``actions``, behind ``leading`` axes of their own, are such as are played in ``environment``."""
    space, shape = environment.action_space, actions.shape[leading:]
    if isinstance(space, Discrete):
        wanted, fits = f"an integer from 0 to {space.n - 1}", shape == () and np.issubdtype(actions.dtype, np.integer)
        wrong = actions[(actions < 0) | (actions >= space.n)] if fits else actions.reshape(-1)
    else:
        wanted, fits = f"numbers of shape {space.shape}", shape == space.shape
        wrong = actions[~np.isfinite(actions)] if fits else actions.reshape(-1)
    if not fits or wrong.size:
        raise UsageError(
            f"guide: expected {wanted}, an action of {environment.name!r}, got {wrong[0]!s} of shape {shape} and type {actions.dtype}. "
            "Remedy: return one action for one observation."
        )


def reports_success(environment: Environment) -> bool:
    """Return whether every step says in ``info["success"]`` whether (or how far) the episode has reached its goal."""
    key, task = jax.random.key(0), environment.default_task()
    _, state = jax.eval_shape(environment.reset, key, task)
    step: Step = jax.eval_shape(environment.step, key, state, action_struct(environment.action_space), task)
    return "success" in step.info
