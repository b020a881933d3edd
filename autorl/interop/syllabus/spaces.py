"""Task spaces of Syllabus (Sullivan et al., 2025) as boxes of ours, and how points of the box are encoded as its tasks.

They are read by their attributes, so Syllabus is not imported here. A number of a continuous space is a coordinate of the box. A choice of
n is the coordinate [0, n], of which [i, i + 1) means the i-th; the box draws and edits only the middles, so that a teacher that remembers
tasks meets the same one again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike, NDArray

from autorl.curricula.tasks import EDIT, TaskSpace
from autorl.environments.task_box import TaskBox, TaskDimension
from autorl.errors import UsageError

Point = NDArray[np.float64]


class Coding(Protocol):
    """How points [D] of a box are encoded as tasks of Syllabus, and back."""

    @property
    def sides(self) -> tuple[tuple[float, float], ...]:
        """Least and greatest value of each of D coordinates."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Choices of each coordinate; 0 where it is a number."""

    def encode(self, point: Point) -> Any:
        """Return the task at ``point``, as ``TaskSpace.encode`` of Syllabus would."""

    def decode(self, task: Any) -> Point:
        """Return where the encoded ``task`` lies; the middle, of a choice."""


@dataclass(frozen=True)
class Numbers:
    """A ``BoxTaskSpace``: the task is an array.

    Attributes:
        sides: Least and greatest value of each entry, in C order.
        shape: Of the array.
        dtype: Of the array.
    """

    sides: tuple[tuple[float, float], ...]
    shape: tuple[int, ...]
    dtype: Any

    @property
    def counts(self) -> tuple[int, ...]:
        """No choices."""
        return (0,) * len(self.sides)

    def encode(self, point: Point) -> NDArray[Any]:
        """Return the array, within the bounds in its own type."""
        low, high = np.asarray(self.sides, self.dtype).T
        return np.clip(np.asarray(point, self.dtype), low, high).reshape(self.shape)

    def decode(self, task: ArrayLike) -> Point:
        """Return the entries."""
        found = np.asarray(task, float)
        if found.shape != self.shape:
            raise UsageError(f"task {task!r}: expected shape {list(self.shape)}, got {list(found.shape)}")
        return found.reshape(-1)


@dataclass(frozen=True)
class Choices:
    """A ``DiscreteTaskSpace`` or ``MultiDiscreteTaskSpace``: the task is an index, or a tuple of them.

    Attributes:
        counts: Choices of each coordinate.
        written: As one index (of the only choice, or of all in C order), or as a tuple.
    """

    counts: tuple[int, ...]
    written: Literal["index", "tuple"]

    @property
    def sides(self) -> tuple[tuple[float, float], ...]:
        """From 0 to the number of choices."""
        return tuple((0.0, float(count)) for count in self.counts)

    def encode(self, point: Point) -> Any:
        """Return the index or indices."""
        indices = tuple(int(np.clip(math.floor(x), 0, n - 1)) for x, n in zip(point, self.counts, strict=True))
        return indices if self.written == "tuple" else int(np.ravel_multi_index(indices, self.counts))

    def decode(self, task: Any) -> Point:
        """Return the middle."""
        if self.written == "index":
            return np.asarray(_unravelled(task, self.counts)) + 0.5
        indices = np.asarray(task)
        if indices.shape != (len(self.counts),) or not np.all((indices >= 0) & (indices < self.counts)):
            raise UsageError(f"task {task!r}: expected {len(self.counts)} indices below {self.counts}")
        return indices + 0.5


@dataclass(frozen=True)
class Together:
    """A ``TupleTaskSpace``.

    Attributes:
        parts: Its spaces.
        flat: Tasks of each, if the task is one index in C order; else it is a tuple.
    """

    parts: tuple[Coding, ...]
    flat: tuple[int, ...] | None

    @property
    def sides(self) -> tuple[tuple[float, float], ...]:
        """Those of the parts."""
        return tuple(side for part in self.parts for side in part.sides)

    @property
    def counts(self) -> tuple[int, ...]:
        """Those of the parts."""
        return tuple(count for part in self.parts for count in part.counts)

    def encode(self, point: Point) -> Any:
        """Return the tuple of the parts' tasks, or its index."""
        ends = np.cumsum([len(part.sides) for part in self.parts])[:-1]
        tasks = tuple(part.encode(own) for part, own in zip(self.parts, np.split(point, ends), strict=True))
        return tasks if self.flat is None else int(np.ravel_multi_index(tasks, self.flat))

    def decode(self, task: Any) -> Point:
        """Return the points of the parts, one after another."""
        tasks = tuple(task) if self.flat is None else _unravelled(task, self.flat)
        if len(tasks) != len(self.parts):
            raise UsageError(f"task {task!r}: expected {len(self.parts)} parts, got {len(tasks)}")
        return np.concatenate([part.decode(own) for part, own in zip(self.parts, tasks, strict=True)])


def coding(space: Any) -> Coding:
    """Return how tasks of Syllabus's ``space`` are points.

    Args:
        space: A ``BoxTaskSpace``, ``DiscreteTaskSpace``, ``MultiDiscreteTaskSpace`` or ``TupleTaskSpace``.

    Raises:
        UsageError: It is none of these, has no finite bounds, or no task.
    """
    flat = bool(getattr(space, "flatten", False))
    if isinstance(parts := getattr(space, "task_spaces", None), Sequence):
        if flat and any(part.num_tasks < 1 for part in parts):
            raise UsageError("task space: a flat tuple of spaces with a continuous one has no index; leave out flatten")
        return Together(tuple(map(coding, parts)), tuple(int(part.num_tasks) for part in parts) if flat else None)
    inner: Any = getattr(space, "gym_space", None)
    if hasattr(inner, "nvec"):
        return Choices(_counted(np.asarray(inner.nvec).reshape(-1)), "index" if flat else "tuple")
    if hasattr(inner, "n"):
        return Choices(_counted([space.num_tasks]), "index")
    if hasattr(inner, "low") and hasattr(inner, "high"):
        low, high = (np.asarray(end, float).reshape(-1) for end in (inner.low, inner.high))
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise UsageError(f"task space: expected finite bounds, got {inner!r}")
        if not np.issubdtype(inner.dtype, np.floating):
            raise UsageError(
                f"task space: {inner!r} has whole numbers, which are choices; take a MultiDiscreteTaskSpace"
            )
        sides = tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))
        return Numbers(sides, tuple(np.shape(inner.low)), np.dtype(inner.dtype))
    raise UsageError(
        "task space: expected a BoxTaskSpace, DiscreteTaskSpace, MultiDiscreteTaskSpace or TupleTaskSpace of Syllabus, got "
        f"{type(space).__name__} of {type(inner).__name__}"
    )


def task_space_of(space: Any) -> TaskSpace:
    """Return Syllabus's ``space`` as what a teacher of ours proposes from; see the module, and `coding` for what is raised.

    Raises:
        UsageError: Also where a side is empty: that is no choice.
    """
    written = coding(space)
    low, high = zip(*written.sides, strict=True)
    if not any(written.counts):
        return TaskSpace(low, high)
    middles = _Middles(written.counts)
    return TaskSpace(low, high, middles.draw, middles.edit)


def task_box_of(
    space: Any, names: Sequence[str], default: Sequence[float] | None = None, log: Sequence[str] = ()
) -> TaskBox:
    """Return Syllabus's ``space`` as the task space that an environment of ours declares; a choice is a whole number from 0.

    Args:
        space: As `coding` takes it.
        names: Of its coordinates.
        default: The default task; by default the middle, rounded down where it is a choice.
        log: Names of those that are proposed by ratio.

    Raises:
        UsageError: As `coding`, or names, defaults or scales that do not fit.
    """
    written = coding(space)
    if len(names) != len(written.sides) or (default is not None and len(default) != len(names)):
        raise UsageError(f"task space: expected {len(written.sides)} names, and as many defaults, got {list(names)!r}")
    if unknown := set(log) - set(names):
        raise UsageError(f"task space: log: {sorted(unknown)!r} are not among the names {list(names)!r}")
    dimensions = []
    for i, (name, (low, high), count) in enumerate(zip(names, written.sides, written.counts, strict=True)):
        top = high - 1 if count else high
        middle = float((count - 1) // 2) if count else (low + high) / 2
        usual = middle if default is None else float(default[i])
        dimensions.append(TaskDimension(name, low, top, usual, low, top, log=name in log, whole=bool(count)))
    return TaskBox(tuple(dimensions))


@dataclass(frozen=True)
class _Middles:
    """Draws and edits points of [0, 1]^D whose choices stand in the middle. Hashable: it is structure of a program."""

    counts: tuple[int, ...]

    def draw(self, key: Array) -> Array:
        """Return a point, all choices equally likely."""
        counts = np.asarray(self.counts, np.float32)
        point = jax.random.uniform(key, (len(self.counts),))
        index = jnp.minimum(jnp.floor(point * counts), counts - 1)
        return jnp.where(counts > 0, (index + 0.5) / np.maximum(counts, 1), point)

    def edit(self, key: Array, point: Array) -> Array:
        """Return ``point`` with one coordinate changed: a number by a Gaussian step, a choice to any other, as choices have no order."""
        counts = np.asarray(self.counts, np.float32)
        which, how, other = jax.random.split(key, 3)
        axis = jax.random.randint(which, (), 0, len(self.counts))
        count = jnp.asarray(counts)[axis]
        index = jnp.floor(point[axis] * count)
        further = 1.0 + jnp.floor(jax.random.uniform(other) * (count - 1))
        chosen = (jnp.mod(index + further, jnp.maximum(count, 1.0)) + 0.5) / jnp.maximum(count, 1.0)
        stepped = point[axis] + EDIT * jax.random.normal(how)
        return point.at[axis].set(jnp.where(count > 0, chosen, stepped))


def _unravelled(task: Any, counts: tuple[int, ...]) -> tuple[int, ...]:
    total = math.prod(counts)
    if not isinstance(task, int | np.integer) or isinstance(task, bool) or not 0 <= task < total:
        raise UsageError(f"task {task!r}: expected an index from 0 to {total - 1}")
    return tuple(int(index) for index in np.unravel_index(int(task), counts))


def _counted(counts: Any) -> tuple[int, ...]:
    found = tuple(int(count) for count in counts)
    if not found or min(found) < 1:
        raise UsageError(f"task space: expected at least one task, got {found} choices")
    return found
