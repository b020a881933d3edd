"""Drawing the task of a grid world, and checking one."""

from __future__ import annotations

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.gridworld.distributions import GridDistribution
from autorl.environments.protocol import Task


def sample_task(key: Array, of: GridDistribution) -> dict[str, Array]:
    """Return a task drawn from ``of``; its entries are those of `autorl.environments.gridworld.lpg.LpgGridWorld`."""
    keys = jax.random.split(key, 8)
    size, objects = (_between(k, bounds) for k, bounds in zip(keys[:2], (of.sizes, of.objects), strict=True))
    walls = _walls(keys[2], of)
    places = random_places(keys[3], vacant(walls, size), len(of.kinds) + 1)
    return {
        "size": size,
        "walls": walls,
        "start": places[0],
        "objects": objects,
        "places": places[1:],
        "rewards": _given(of.rewards) if of.rewards else _first_is_good(keys[4], of.kind_count),
        "terminate": _given(of.terminate) if of.terminate else _log_uniform(keys[5], (of.kind_count,), 0.01, 1.0),
        "respawn": _given(of.respawn) if of.respawn else _log_uniform(keys[6], (of.kind_count,), 0.001, 0.1),
        "max_steps": jnp.round(_log_uniform(keys[7], (), *of.steps)).astype(jnp.int32),
    }


@functools.cache
def default_task(of: GridDistribution) -> dict[str, np.ndarray]:
    """Return the task that the key 0 draws, of the largest size, with all objects and the longest episodes."""
    count = len(of.kinds)
    largest = replace(of, sizes=of.sizes[1:] * 2, objects=(count, count), steps=(of.limit, of.limit))
    with jax.ensure_compile_time_eval():
        drawn = jax.jit(sample_task, static_argnums=1)(jax.random.key(0), largest)
    return {name: np.asarray(value) for name, value in drawn.items()}


def is_valid(task: Task) -> Array:
    """Return whether the agent and all objects stand in different free cells of the world. Bool scalar, traceable."""
    walls, size = jnp.asarray(task["walls"]), jnp.asarray(task["size"])
    places = jnp.concatenate([jnp.asarray(task["start"])[None], jnp.asarray(task["places"])])
    used = jnp.arange(len(places)) <= jnp.asarray(task["objects"])
    inside = jnp.all((places >= 0) & (places < size), axis=1)
    free = vacant(walls, size)[places[:, 0], places[:, 1]]
    same = jnp.all(places[:, None] == places, axis=-1) & used & used[:, None]
    apart = jnp.sum(same) == jnp.sum(used)
    return jnp.all((inside & free) | ~used) & apart & (size <= walls.shape[0])


def vacant(walls: Array, size: Array) -> Array:
    """Return the cells of a world of side ``size`` that are no walls, bool [M, M]."""
    rows, columns = np.indices(walls.shape, np.int32)
    return (rows < size) & (columns < size) & ~walls


def random_places(key: Array, free: Array, count: int) -> Array:
    """Return ``count`` different cells that are true in ``free`` [M, M], all equally likely: int32 [count, 2]."""
    marks = jnp.where(free.reshape(-1), jax.random.uniform(key, (free.size,)), -1.0)
    cells = jax.lax.top_k(marks, count)[1].astype(jnp.int32)
    return jnp.stack([cells // free.shape[1], cells % free.shape[1]], axis=-1)


def _walls(key: Array, of: GridDistribution) -> Array:
    if isinstance(of.walls, tuple):
        return jnp.asarray(of.wall_mask)
    rank = jax.random.permutation(key, of.board**2)
    return (rank < of.walls).reshape(of.board, of.board)


def _given(values: tuple[float, ...]) -> Array:
    return jnp.asarray(values, jnp.float32)


def _between(key: Array, bounds: tuple[int, int]) -> Array:
    return jax.random.randint(key, (), bounds[0], bounds[1] + 1, jnp.int32)


def _first_is_good(key: Array, count: int) -> Array:
    """Return [count] rewards, the first one uniform in [0, 1], the others in [-1, 1]."""
    drawn = jax.random.uniform(key, (count,), minval=-1.0, maxval=1.0)
    return drawn.at[0].set(0.5 * (drawn[0] + 1.0))


def _log_uniform(key: Array, shape: tuple[int, ...], low: float, high: float) -> Array:
    return jnp.exp(jax.random.uniform(key, shape, minval=np.float32(np.log(low)), maxval=np.float32(np.log(high))))
