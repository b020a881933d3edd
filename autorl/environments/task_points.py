"""Tasks as points of [0, 1]^D: the one form in which teachers handle boxes and levels alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.features import Feature
from autorl.environments.protocol import Environment, Task
from autorl.environments.task_box import TaskBox, task_space
from autorl.errors import UsageError


class TaskPoints(Protocol):
    """A way to write tasks as points. Hashable: it is structure of a program."""

    @property
    def dimensions(self) -> int:
        """Numbers of a point, D."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """What tells tasks apart for people: F features."""

    def task(self, default: Task, point: Array) -> Task:
        """Return ``default`` with what varies set to ``point``, float32 [D]. Traceable."""

    def described(self, point: Array) -> Array:
        """Return where the features of ``point`` [D] lie in their ranges, on their scales, float32 [F] within [0, 1]. Traceable."""

    def sample(self, key: Array) -> Array:
        """Return a point as without a curriculum, float32 [D]. Traceable."""

    def examine(self, key: Array) -> Array:
        """Return a point to score agents on, float32 [D]. Traceable."""

    def edit(self, key: Array, point: Array) -> Array | None:
        """Return ``point`` after one edit; None if any small change of a coordinate is one. Traceable."""


@runtime_checkable
class Generated(TaskPoints, Protocol):
    """Points of tasks that are made at random, by settings."""

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the G settings."""

    def generate(self, key: Array, settings: Array) -> Array:
        """Return a random point, float32 [D], for ``settings`` in [0, 1]^G. Traceable."""


@dataclass(frozen=True)
class BoxPoints:
    """Points of a box.

    Attributes:
        box: What varies.
    """

    box: TaskBox

    @property
    def dimensions(self) -> int:
        """Those of the box."""
        return len(self.box.dimensions)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The dimensions themselves."""
        return tuple(Feature(one.name, one.low, one.high, one.log, one.whole) for one in self.box.dimensions)

    def task(self, default: Task, point: Array) -> Task:
        """Return ``default`` with the dimensions of the box at ``point``."""
        return self.box.task(default, self.box.from_unit(point))

    def described(self, point: Array) -> Array:
        """Return ``point``, where whole numbers are as they are played: the nearest ones."""
        whole = np.array([one.whole and not one.log for one in self.box.dimensions])
        if not whole.any():
            return point
        low = np.array([one.low for one in self.box.dimensions], np.float32)
        width = np.array([one.high for one in self.box.dimensions], np.float32) - low
        return jnp.where(whole, jnp.clip((jnp.round(low + point * width) - low) / width, 0.0, 1.0), point)

    def sample(self, key: Array) -> Array:
        """Return a point, all equally likely."""
        return jax.random.uniform(key, (self.dimensions,))

    def examine(self, key: Array) -> Array:
        """Return a point, all equally likely."""
        return self.sample(key)

    def edit(self, key: Array, point: Array) -> None:
        """Return None."""


def task_points(environment: Environment, ranges: Mapping[str, Any] | None = None) -> TaskPoints:
    """Return how tasks of ``environment`` are written as points.

    Args:
        environment: One that declares a task space, or whose tasks are levels that it writes as points itself (``task_points``).
        ranges: Dimension -> (low, high), or None for its own range; the other dimensions do not vary. All vary if this is None.

    Raises:
        UsageError: No task space, an unknown dimension, a range that is empty or beyond what is allowed.
    """
    own: TaskPoints | None = getattr(environment, "task_points", None)
    if own is not None:
        if ranges is not None:
            raise UsageError(
                f"environment {environment.name!r}: its tasks are levels, of which all varies; remove 'vary'"
            )
        return own
    box = task_space(environment)
    return BoxPoints(box if ranges is None else box.only(ranges))


def has_tasks(environment: Environment) -> bool:
    """Return whether `task_points` finds any in ``environment``."""
    return getattr(environment, "task_points", None) is not None or isinstance(
        getattr(environment, "task_space", None), TaskBox
    )


def held_out_points(points: TaskPoints, count: int, seed: int) -> np.ndarray:
    """Return ``count`` points to score agents on, float32 [count, D]; a function of ``seed`` alone."""
    keys = jax.random.split(jax.random.key(seed), count)
    return np.asarray(jax.jit(jax.vmap(points.examine))(keys), np.float32)


def grid_points(points: TaskPoints, side: int) -> np.ndarray:
    """Return the grid of ``side`` points in each dimension, ends included, float32 [side ** D, D].

    Raises:
        UsageError: The tasks are levels, of which there is no grid.
    """
    if not isinstance(points, BoxPoints):
        raise UsageError("levels have no grid; draw some (held_out), or name them (named)")
    axes = [np.linspace(0.0, 1.0, side) if side > 1 else np.array([0.5])] * points.dimensions
    return np.stack([axis.reshape(-1) for axis in np.meshgrid(*axes, indexing="ij")], axis=1).astype(np.float32)


def tasks_at(points: TaskPoints, default: Task, where: np.ndarray) -> Task:
    """Return the tasks at ``where`` [N, D], stacked host arrays [N, ...]."""
    return jax.tree.map(np.asarray, jax.vmap(points.task, (None, 0))(default, jnp.asarray(where)))
