"""Uniform tasks: domain randomisation, the control of every comparison of teachers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from autorl.curricula.protocol import Floats, Teacher


@dataclass(frozen=True)
class Nothing:
    """The state of a teacher that learns nothing."""


@dataclass(frozen=True)
class Uniform(Teacher[Nothing]):
    """Every task is drawn uniformly from the box, whatever became of the earlier ones."""

    name: ClassVar[str] = "uniform"
    reference: ClassVar[str] = "Tobin et al., 2017, Domain Randomization for Transferring Deep Neural Networks"
    state_type: ClassVar[type[Nothing]] = Nothing
    needs: ClassVar[frozenset[str]] = frozenset()

    def init(self, key: int) -> Nothing:
        """Return the empty state."""
        return Nothing()

    def _propose(self, state: Nothing, rng: np.random.Generator, n: int) -> Floats:
        return rng.random((n, self.space.dimensions))

    def _learn(self, state: Nothing, points: Floats, feedback: dict[str, Floats]) -> Nothing:
        return state
