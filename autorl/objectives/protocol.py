"""The contract of an objective: which registers it needs of the learner, and the loss of each sample.

An objective is a pytree: what may differ between the members of a population (a graph's arrays, constants, weights) is its leaves,
everything else its structure. So an objective can be a traced hyperparameter, and the structure is part of the static signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from jax import Array

Registers = Mapping[str, Any]
"""Values by register name: float32 [N] for floats, [A, N] for lists, one-hot float32 [A, N] for actions.

The family ``network`` (of `coreyes2021`) also holds states [D, N] and networks: functions from [D, N] to [A, N].
"""


@runtime_checkable
class Objective(Protocol):
    """A loss. Implementations are frozen dataclasses, registered as pytrees."""

    @property
    def family(self) -> str:
        """Register family: the learner fills in these registers."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the registers that it reads: the learner need not compute others. Static."""

    def per_sample(self, registers: Registers) -> Array:
        """Return the loss of each sample, float32 [N], differentiable in the registers that are."""


@runtime_checkable
class Reading(Protocol):
    """An objective that shares its program with others which need other registers."""

    def reads(self) -> dict[str, Array]:
        """Return for each of `needs` whether this very one reads it, bool scalars: the learner may leave out the others."""


@runtime_checkable
class Fused(Protocol):
    """An objective that shares its program with others, each of which has code of its own there."""

    def members(self) -> tuple[Array, tuple[Objective, ...]]:
        """Return which of the program's losses this is (int32 scalar), and all of them, with the constants of this one."""
