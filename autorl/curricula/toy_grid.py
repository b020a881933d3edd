"""A grid of cells that a simulated student learns in order: the benchmark of teachers whose optimum is known.

After the toy environment of Portelas et al. (2019, Teacher Algorithms for Curriculum Learning of Deep RL in Continuously
Parameterized Environments). A task in [0, 1]^D falls into one of ``cells`` ^ ``dimensions`` cells. Each has a competence from 0
to 100, which an episode in it raises by 1 if the cell is unlocked; the return is competence / 100. The cell at the origin is
always unlocked; another is if a cell before it (each index the same or one less, diagonals included) has a competence of at
least 75. Mastered is above 75. So the least number of episodes in which all can be mastered is 76 a cell.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autorl.curricula.protocol import Floats, TaskSpace
from autorl.errors import UsageError
from autorl.keys import generator

FULL = 100
UNLOCKS = 75
"""Competence from which a cell unlocks those after it, and above which it is mastered."""


@dataclass(frozen=True)
class GridState:
    """What S students can do.

    Attributes:
        competence: int64 [S, cells + 2], cells in C order. Then two cells that no task falls into: one that stays at 0, one at 100.
    """

    competence: NDArray[np.int64]


@dataclass(frozen=True)
class ToyGrid:
    """The grid and its student.

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
    def keys_to(self) -> NDArray[np.int64]:
        """The cells of which any one unlocks a cell, int64 [total, 2^dimensions - 1]."""
        shape = (self.cells,) * self.dimensions
        at = np.stack(np.unravel_index(np.arange(self.total), shape))
        steps = [step for step in itertools.product((0, 1), repeat=self.dimensions) if any(step)]
        table = np.empty((self.total, len(steps)), dtype=np.int64)
        for column, step in enumerate(steps):
            earlier = at - np.array(step)[:, None]
            inside = (earlier >= 0).all(axis=0)
            table[:, column] = np.where(inside, np.ravel_multi_index(tuple(np.maximum(earlier, 0)), shape), self.total)
        table[0] = self.total + 1
        return table

    def init(self, students: int = 1) -> GridState:
        """Return students that can do nothing."""
        competence = np.zeros((students, self.total + 2), dtype=np.int64)
        competence[:, -1] = FULL
        return GridState(competence)

    def cell_of(self, tasks: Floats) -> NDArray[np.int64]:
        """Return the number of the cell, int64 [...], of each task [..., D]; 1.0 belongs to the last cell.

        Raises:
            UsageError: A task outside [0, 1]^D.
        """
        if tasks.shape[-1] != self.space.dimensions or not ((tasks >= 0) & (tasks <= 1)).all():
            raise UsageError(f"toy grid: tasks: expected points of [0, 1]^{self.space.dimensions}, got {tasks!r}.")
        index = np.minimum((tasks[..., : self.dimensions] * self.cells).astype(np.int64), self.cells - 1)
        powers = self.cells ** np.arange(self.dimensions - 1, -1, -1)
        return np.asarray(index @ powers)

    def play(self, state: GridState, tasks: Floats, key: int) -> tuple[GridState, Floats]:
        """Play n episodes for each of S students, one after another.

        Args:
            state: What the students can do before.
            tasks: float [S, n, D], in [0, 1].
            key: Decides noise and forgetting (see `autorl.keys`).

        Returns:
            The state after, and the returns [S, n].
        """
        visited = self.cell_of(tasks)
        competence, students = state.competence.copy(), np.arange(len(visited))
        rng = generator(key) if self.noise or self.forgetting else None
        returns = np.empty(visited.shape)
        for i, cell in enumerate(visited.T):
            unlocked = (competence[students[:, None], self.keys_to[cell]] >= UNLOCKS).any(axis=1)
            now = np.minimum(competence[students, cell] + unlocked, FULL)
            if self.forgetting and rng is not None:
                lost = rng.random((len(students), self.total)) < self.forgetting
                competence[:, : self.total] = np.maximum(competence[:, : self.total] - lost, 0)
            competence[students, cell] = now
            returns[:, i] = now / FULL
        if self.noise and rng is not None:
            returns = np.clip(returns + rng.normal(0, self.noise, returns.shape), 0, 1)
        return replace(state, competence=competence), returns

    def mastered(self, state: GridState) -> Floats:
        """Return the per cent of cells that each student has mastered, float64 [S]."""
        return np.asarray(100 * (state.competence[:, : self.total] > UNLOCKS).mean(axis=1))
