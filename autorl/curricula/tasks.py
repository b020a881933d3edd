"""The tasks that a teacher may propose: a box, with its own way to draw and to edit a task where a box's is not the right one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.errors import UsageError

SAME = 1e-5
"""Points of [0, 1]^D that differ by less in every coordinate are one task: scaling to the box and back rounds."""
FARTHEST = 100.0
"""Greatest bound of a dimension, in its own sides: beyond, float32 would round tasks by more than `SAME`."""
_SUMS = 4
"""Sums of coordinates that are compared before points are."""
EDIT = 0.1
"""Standard deviation of the usual edit of one coordinate, in sides of the box."""


@dataclass(frozen=True)
class TaskSpace:
    """A box of tasks. Hashable, so it can be structure of a program.

    Attributes:
        low: Least value of each coordinate, one for each of D dimensions.
        high: Greatest value of each coordinate.
        sampler: From a key to a point of [0, 1]^D, float32 [D]: tasks without a curriculum. Uniform if None.
        editor: From a key and a point to a similar point of [0, 1]^D: what a level editor changes in one edit. None changes one
            coordinate, by a Gaussian step of `EDIT`.
        generator: From a key and settings in [0, 1]^G to a point of [0, 1]^D: how random tasks are made. None: the settings are the task.
        generator_settings: Settings of the generator, G; of no account without one.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    sampler: Callable[[Array], Array] | None = None
    editor: Callable[[Array, Array], Array] | None = None
    generator: Callable[[Array, Array], Array] | None = None
    generator_settings: int = 0

    def __post_init__(self) -> None:
        if not self.low or len(self.low) != len(self.high):
            raise UsageError(
                f"task space: low {self.low!r} and high {self.high!r} must be equally long, at least 1 entry."
            )
        for i, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise UsageError(f"task space: dimension {i}: expected finite low < high, got {low!r} and {high!r}.")
            if max(abs(low), abs(high)) > FARTHEST * (high - low):
                raise UsageError(
                    f"task space: dimension {i}: {low!r} to {high!r} lies so far from 0 that float32 cannot tell its tasks "
                    "apart; give the difference from a constant instead."
                )

    @classmethod
    def unit(cls, dimensions: int) -> TaskSpace:
        """Return [0, 1]^dimensions."""
        return cls((0.0,) * dimensions, (1.0,) * dimensions)

    @property
    def dimensions(self) -> int:
        """Number of coordinates, D."""
        return len(self.low)

    @property
    def settings(self) -> int:
        """Settings from which tasks are made, G: of the generator, or else the coordinates."""
        return self.dimensions if self.generator is None else self.generator_settings

    def from_unit(self, points: Array) -> Array:
        """Return points of [0, 1]^D, float32 [..., D], as tasks."""
        low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        return jnp.clip(low + points * (high - low), low, high)

    def to_unit(self, tasks: Array) -> Array:
        """Return tasks, float32 [..., D], as points of [0, 1]^D."""
        low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        return jnp.clip((tasks - low) / (high - low), 0.0, 1.0)

    def draw(self, key: Array, n: int) -> Array:
        """Draw ``n`` points of [0, 1]^D, float32 [n, D], as without a curriculum."""
        if self.sampler is None:
            return jax.random.uniform(key, (n, self.dimensions))
        return jnp.clip(jax.vmap(self.sampler)(jax.random.split(key, n)), 0.0, 1.0)

    def generate(self, key: Array, settings: Array) -> Array:
        """Return a random point of [0, 1]^D for each of n ``settings`` in [0, 1]^G, float32 [n, D]."""
        if self.generator is None:
            return settings
        return jnp.clip(jax.vmap(self.generator)(jax.random.split(key, len(settings)), settings), 0.0, 1.0)

    def edit(self, key: Array, point: Array, edits: Array, most: int) -> Array:
        """Return ``point`` [D] after ``edits`` (int32 scalar, at most ``most``) edits, one after another."""
        editor = self._step if self.editor is None else self.editor

        def once(edited: Array, turn: tuple[Array, Array]) -> tuple[Array, None]:
            number, own = turn
            return jnp.where(number < edits, jnp.clip(editor(own, edited), 0.0, 1.0), edited), None

        return jax.lax.scan(once, point, (jnp.arange(most), jax.random.split(key, most)))[0]

    def _step(self, key: Array, point: Array) -> Array:
        which, how = jax.random.split(key)
        axis = jax.random.randint(which, (), 0, self.dimensions)
        return point.at[axis].add(EDIT * jax.random.normal(how))


def same_task(points: Array, others: Array) -> Array:
    """Return whether each of ``points`` [n, D] is the same task as each of ``others`` [m, D], bool [n, m]."""
    return jnp.all(jnp.abs(points[:, None] - others[None]) < SAME, axis=-1)


def find(points: Array, table: Array, filled: Array) -> tuple[Array, Array]:
    """Return where each of ``points`` [n, D] stands in ``table`` [m, D], int32 [n], and whether it does, bool [n]; ``filled`` [m].

    Comparing all coordinates of all pairs is most of the work of a teacher with thousands of levels, so a few sums of coordinates are
    compared first. Where they leave a point one candidate at most, only that is compared; else all are. The answer is the same.
    """
    if points.shape[1] <= _SUMS:
        return _first(same_task(points, table) & filled)
    weights = np.random.default_rng(0).normal(size=(points.shape[1], _SUMS)).astype(np.float32)
    # how far sums of one task may lie apart: the tolerance of points, and as much again for rounding
    apart = 2.0 * SAME * np.abs(weights).sum(axis=0)
    sums = [jnp.matmul(x, weights, precision=jax.lax.Precision.HIGHEST) for x in (points, table)]
    alike = jnp.all(jnp.abs(sums[0][:, None] - sums[1][None]) <= apart, axis=-1) & filled

    def one_each() -> tuple[Array, Array]:
        place, known = _first(alike)
        return place, known & jnp.all(jnp.abs(points - table[place]) < SAME, axis=-1)

    place, known = jax.lax.cond(
        jnp.all(alike.sum(axis=1) <= 1), one_each, lambda: _first(same_task(points, table) & filled)
    )
    return jnp.where(known, place, 0), known


def _first(same: Array) -> tuple[Array, Array]:
    return jnp.argmax(same, axis=1).astype(jnp.int32), same.any(axis=1)


def first_alike(points: Array, valid: Array) -> Array:
    """Return the number of the first valid one of ``points`` [n, D] that is the same task as each, int32 [n]."""
    return jnp.argmax(same_task(points, points) & valid, axis=1).astype(jnp.int32)
