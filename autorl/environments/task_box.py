"""Task spaces: what may be varied about an environment, as a box of named dimensions that teachers and searches propose from.

An environment declares one by an attribute ``task_space``; `task_space` finds it. Its task is a flat dict of arrays, and a
dimension is one number in it. Points of the box are float32 [D], in the order of the dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.protocol import Environment, Task
from autorl.errors import UsageError, suggestion


@dataclass(frozen=True)
class TaskDimension:
    """One number of a task.

    Attributes:
        name: Public name.
        low: Least value proposed; finite.
        high: Greatest value proposed; finite.
        default: Its value in the default task.
        least: Least value that makes sense (may be -inf); a task below it is refused.
        greatest: Greatest value that makes sense (may be inf).
        log: Whether equal ratios, not differences, are equally far apart; needs ``low`` > 0.
        whole: Whether it is a whole number.
        entry: The entry of the task that holds it; ``name`` if empty.
        index: Where in that entry, if it is an array.
    """

    name: str
    low: float
    high: float
    default: float
    least: float = -math.inf
    greatest: float = math.inf
    log: bool = False
    whole: bool = False
    entry: str = ""
    index: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.entry:
            object.__setattr__(self, "entry", self.name)
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UsageError(
                f"task dimension {self.name!r}: expected finite low < high, got {self.low!r} and {self.high!r}."
            )
        if not (self.least <= self.low and self.high <= self.greatest and self.least <= self.default <= self.greatest):
            raise UsageError(
                f"task dimension {self.name!r}: expected low {self.low!r}, high {self.high!r} and default "
                f"{self.default!r} within [{self.least!r}, {self.greatest!r}]."
            )
        if self.log and self.low <= 0:
            raise UsageError(f"task dimension {self.name!r}: a log scale needs low > 0, got {self.low!r}.")


@dataclass(frozen=True)
class TaskBox:
    """A box of tasks.

    Attributes:
        dimensions: D of them; points have their order.
    """

    dimensions: tuple[TaskDimension, ...]

    def __post_init__(self) -> None:
        if not self.dimensions or len(set(self.names)) < len(self.dimensions):
            raise UsageError(f"task space: expected at least one dimension and no name twice, got {self.names!r}.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def low(self) -> tuple[float, ...]:
        """Least value proposed in each dimension."""
        return tuple(dimension.low for dimension in self.dimensions)

    @property
    def high(self) -> tuple[float, ...]:
        """Greatest value proposed in each dimension."""
        return tuple(dimension.high for dimension in self.dimensions)

    @property
    def default(self) -> tuple[float, ...]:
        """The default task."""
        return tuple(dimension.default for dimension in self.dimensions)

    def only(self, ranges: Iterable[str] | Mapping[str, tuple[float, float] | None]) -> TaskBox:
        """Return the box of the named dimensions alone, in that order; a mapping also gives ranges (None keeps one's own).

        Raises:
            UsageError: Unknown names (did you mean), a range that is empty or beyond what the dimension allows.
        """
        known = {dimension.name: dimension for dimension in self.dimensions}
        wanted = dict(ranges) if isinstance(ranges, Mapping) else dict.fromkeys(ranges)
        unknown = [f"{name!r}.{suggestion(name, known)}" for name in wanted if name not in known]
        if unknown:
            raise UsageError("unknown task dimension " + "; ".join(unknown))
        return TaskBox(
            tuple(
                known[name] if bounds is None else replace(known[name], low=bounds[0], high=bounds[1])
                for name, bounds in wanted.items()
            )
        )

    def task(self, default: Task, point: Array) -> dict[str, Array]:
        """Return ``default`` with the dimensions of the box set to ``point``, float [D]. Traceable; vmap it for more."""
        task = {name: jnp.asarray(value) for name, value in default.items()}
        point = jnp.asarray(point, jnp.float32)
        for i, dimension in enumerate(self.dimensions):
            value = jnp.round(point[i]) if dimension.whole else point[i]
            entry = task[dimension.entry]
            task[dimension.entry] = entry.at[dimension.index].set(value.astype(entry.dtype))
        return task

    def point(self, task: Task) -> Array:
        """Return where ``task`` lies, float32 [D]. Traceable."""
        values = [jnp.asarray(task[one.entry])[one.index].astype(jnp.float32) for one in self.dimensions]
        return jnp.stack(values)

    def from_unit(self, unit: Array) -> Array:
        """Return points [..., D] of [0, 1]^D as points of the box, float32 [..., D]; log dimensions by ratio. Traceable."""
        low, high, log = self._bounds()
        scaled = low + jnp.asarray(unit, jnp.float32) * (high - low)
        inside = jnp.where(log, jnp.exp(scaled), scaled)
        return jnp.clip(inside, np.asarray(self.low, np.float32), np.asarray(self.high, np.float32))

    def to_unit(self, points: Array) -> Array:
        """Return points [..., D] of the box as points of [0, 1]^D, float32 [..., D]. Traceable."""
        low, high, log = self._bounds()
        points = jnp.clip(
            jnp.asarray(points, jnp.float32), np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        )
        return (jnp.where(log, jnp.log(jnp.where(log, points, 1.0)), points) - low) / (high - low)

    def sample(self, key: Array) -> Array:
        """Return a point of the box, float32 [D], all equally likely (in the scale of each dimension)."""
        return self.from_unit(jax.random.uniform(key, (len(self.dimensions),)))

    def problems(self, task: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the values of ``task``: those beyond ``least`` and ``greatest``."""
        found = []
        for one in self.dimensions:
            value = float(np.asarray(task[one.entry])[one.index])
            # values are float32, bounds are not: the bound itself must pass
            if not np.float32(one.least) <= np.float32(value) <= np.float32(one.greatest):
                found.append(f"{one.name}: expected a number from {one.least:g} to {one.greatest:g}, got {value:g}")
        return found

    def _bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return low and high (of the logarithms where the scale is log), float32 [D], and which are log, bool [D]."""
        log = np.array([dimension.log for dimension in self.dimensions])
        low, high = (np.where(log, np.log(np.where(log, x, 1.0)), x) for x in (self.low, self.high))
        return low.astype(np.float32), high.astype(np.float32), log


def task_space(environment: Environment) -> TaskBox:
    """Return the task space that ``environment`` declares.

    Raises:
        UsageError: It declares none.
    """
    declared = getattr(environment, "task_space", None)
    if not isinstance(declared, TaskBox):
        raise UsageError(
            f"environment {environment.name!r} declares no task space; give it an attribute task_space, "
            "an autorl.environments.task_box.TaskBox"
        )
    return declared
