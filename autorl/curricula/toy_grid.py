"""A grid of cells that a simulated student learns in order: the benchmark of teachers whose optimum is known.

After the toy environment of Portelas et al. (2019, Teacher Algorithms for Curriculum Learning of Deep RL in Continuously
Parameterized Environments). A task in [0, 1]^D falls into one of ``cells`` ^ ``dimensions`` cells. Each has a competence from 0
to 100, which an episode in it raises by 1 if the cell is unlocked; the return is competence / 100. The cell at the origin is
always unlocked; another is if a cell before it (each index the same or one less, diagonals included) has a competence of at
least 75. Mastered is above 75. So the least number of episodes in which all can be mastered is 76 a cell.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from autorl.curricula.tasks import TaskSpace
from autorl.errors import UsageError

FULL = 100
UNLOCKS = 75
"""Competence from which a cell unlocks those after it, and above which it is mastered."""


@dataclass(frozen=True)
class ToyGrid:
    """The grid and its student, whose state is its competence.

    That is int32 [cells + 2]: the cells in C order, then two that no task falls into: one that stays at 0, one at 100.

    Attributes:
        dimensions: Dimensions that matter.
        irrelevant: Dimensions of a task beyond those, which change nothing.
        cells: Cells along each dimension.
        noise: Standard deviation of Gaussian noise on returns, which are then clipped to [0, 1].
        forgetting: Probability that a cell which the episode is not in loses 1 of its competence, in each episode.
    """

    dimensions: int = 2
    irrelevant: int = 0
    cells: int = 10
    noise: float = 0.0
    forgetting: float = 0.0

    def __post_init__(self) -> None:
        for name, least in {"dimensions": 1, "irrelevant": 0, "cells": 1}.items():
            if getattr(self, name) < least:
                raise UsageError(f"toy grid: {name}: expected at least {least}, got {getattr(self, name)!r}.")
        if not self.noise >= 0:
            raise UsageError(f"toy grid: noise: expected at least 0, got {self.noise!r}.")
        if not 0 <= self.forgetting <= 1:
            raise UsageError(f"toy grid: forgetting: expected a probability, got {self.forgetting!r}.")

    @property
    def space(self) -> TaskSpace:
        """The tasks: [0, 1]^(dimensions + irrelevant)."""
        return TaskSpace.unit(self.dimensions + self.irrelevant)

    @property
    def total(self) -> int:
        """Number of cells."""
        return int(self.cells**self.dimensions)

    @cached_property
    def keys_to(self) -> NDArray[np.int32]:
        """The cells of which any one unlocks a cell, int32 [total, 2^dimensions - 1]."""
        shape = (self.cells,) * self.dimensions
        at = np.stack(np.unravel_index(np.arange(self.total), shape))
        steps = [step for step in itertools.product((0, 1), repeat=self.dimensions) if any(step)]
        table = np.empty((self.total, len(steps)), dtype=np.int32)
        for column, step in enumerate(steps):
            earlier = at - np.array(step)[:, None]
            inside = (earlier >= 0).all(axis=0)
            table[:, column] = np.where(inside, np.ravel_multi_index(tuple(np.maximum(earlier, 0)), shape), self.total)
        table[0] = self.total + 1
        return table

    def init(self) -> Array:
        """Return the competence of a student that can do nothing."""
        return jnp.zeros(self.total + 2, jnp.int32).at[-1].set(FULL)

    def cell_of(self, tasks: Array) -> Array:
        """Return the number of the cell, int32 [...], of each task [..., D]; 1.0 belongs to the last cell.

        Raises:
            UsageError: Tasks of another dimension.
        """
        if tasks.shape[-1] != self.space.dimensions:
            raise UsageError(
                f"toy grid: tasks: expected shape [..., {self.space.dimensions}], got {list(tasks.shape)}."
            )
        index = jnp.clip((tasks[..., : self.dimensions] * self.cells).astype(jnp.int32), 0, self.cells - 1)
        powers = self.cells ** np.arange(self.dimensions - 1, -1, -1)
        return (index * powers.astype(np.int32)).sum(axis=-1)

    def play(self, competence: Array, tasks: Array, key: Array) -> tuple[Array, Array]:
        """Play n episodes, one after another.

        Args:
            competence: What the student can do before.
            tasks: float32 [n, D], in [0, 1].
            key: Decides noise and forgetting.

        Returns:
            The competence after, and the returns, float32 [n].
        """
        forget, disturb = jax.random.split(key)
        n, table = len(tasks), jnp.asarray(self.keys_to)

        def episode(before: Array, turn: tuple[Array, Array]) -> tuple[Array, Array]:
            cell, number = turn
            unlocked = jnp.any(before[table[cell]] >= UNLOCKS)
            now = jnp.minimum(before[cell] + unlocked, FULL)
            if self.forgetting:
                lost = jax.random.bernoulli(jax.random.fold_in(forget, number), self.forgetting, (self.total,))
                before = before.at[: self.total].add(-lost.astype(jnp.int32)).clip(0)
            return before.at[cell].set(now), now

        after, reached = jax.lax.scan(episode, competence, (self.cell_of(tasks), jnp.arange(n)))
        returns = reached.astype(jnp.float32) / FULL
        if self.noise:
            returns = jnp.clip(returns + self.noise * jax.random.normal(disturb, (n,)), 0.0, 1.0)
        return after, returns

    def mastered(self, competence: Array) -> Array:
        """Return the per cent of cells that the student has mastered, a float32 scalar; of competence [..., cells + 2], [...]."""
        return 100.0 * jnp.mean(competence[..., : self.total] > UNLOCKS, axis=-1)
