"""A task as a hashable value, so that what was worked out for it can be looked up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from autorl.environments.protocol import Task


@dataclass(frozen=True)
class FrozenTask:
    """A task: its structure, and of each leaf dtype, shape and bytes."""

    structure: Any
    leaves: tuple[tuple[str, tuple[int, ...], bytes], ...]

    @classmethod
    def of(cls, task: Task) -> FrozenTask:
        """Return ``task``, frozen."""
        leaves, structure = jax.tree.flatten(task)
        arrays = [np.asarray(leaf) for leaf in leaves]
        return cls(structure, tuple((x.dtype.str, x.shape, x.tobytes()) for x in arrays))

    @property
    def task(self) -> Task:
        """The task, of host arrays."""
        leaves = [np.frombuffer(data, dtype).reshape(shape) for dtype, shape, data in self.leaves]
        return jax.tree.unflatten(self.structure, leaves)
