"""Levels of a maze as points of [0, 1]^D, so that any teacher can keep, compare and propose them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from autorl.environments.features import Feature
from autorl.environments.maze.edits import edit_level
from autorl.environments.maze.level import random_level, text_of
from autorl.environments.maze.paths import solvable_level
from autorl.environments.protocol import Task

_DIRECTIONS = 4


@dataclass(frozen=True)
class MazePoints:
    """One number for each cell (above a half: a wall), one for the cell of the start, one for that of the goal, one for the direction.

    Every point is a level that can be played: there is no wall on start and goal, and the goal is the next cell where both fell together.

    Attributes:
        size: Side of the levels, n; D is n * n + 3.
        walls: Walls of a random level.
    """

    size: int
    walls: int

    @property
    def dimensions(self) -> int:
        """Cells, and three."""
        return self.size * self.size + 3

    @property
    def features(self) -> tuple[Feature, ...]:
        """How many walls, and how many moves from start to goal if there were none."""
        return (
            Feature("walls", 0.0, self.size * self.size / 2, whole=True),
            Feature("distance", 0.0, 2.0 * self.size - 2, whole=True),
        )

    def task(self, default: Task, point: Array) -> dict[str, Array]:
        """Return the level at ``point`` [D]; nothing of ``default`` is left."""
        del default
        cells = self.size * self.size
        start, goal = (self._index(point[cells + i], cells) for i in range(2))
        goal = jnp.where(goal == start, (goal + 1) % cells, goal)
        walls = (point[:cells] > 0.5).at[jnp.stack([start, goal])].set(False)
        return {
            "walls": walls.reshape(self.size, self.size),
            "start": self._place(start),
            "goal": self._place(goal),
            "direction": self._index(point[cells + 2], _DIRECTIONS),
        }

    def point(self, level: Task) -> Array:
        """Return where ``level`` lies, float32 [D]."""
        cells = self.size * self.size
        places = [jnp.asarray(level[name]) @ jnp.array([self.size, 1]) for name in ("start", "goal")]
        numbers = [(places[0] + 0.5) / cells, (places[1] + 0.5) / cells, (jnp.asarray(level["direction"]) + 0.5) / 4]
        walls = jnp.asarray(level["walls"], jnp.float32).reshape(-1)
        return jnp.concatenate([walls, jnp.stack(numbers)]).astype(jnp.float32)

    def described(self, point: Array) -> Array:
        """Return walls and distance, scaled to [0, 1]."""
        level = self.task(None, point)
        distance = jnp.sum(jnp.abs(level["start"] - level["goal"]))
        ends = jnp.array([one.high for one in self.features], jnp.float32)
        return jnp.stack([jnp.sum(level["walls"]), distance]).astype(jnp.float32) / ends

    def text(self, point: Any) -> str:
        """Return the level at ``point`` as people draw it (`autorl.environments.maze.level.text_of`)."""
        return text_of(self.task(None, jnp.asarray(point, jnp.float32)))

    def sample(self, key: Array) -> Array:
        """Return a random level, solvable or not, as in the generators of the literature."""
        return self.point(random_level(key, self.size, self.walls))

    @property
    def settings(self) -> tuple[str, ...]:
        """How many walls."""
        return ("walls",)

    def generate(self, key: Array, settings: Array) -> Array:
        """Return a random level whose walls are ``settings[0]`` times half of the cells, to a whole number."""
        walls = jnp.round(settings[0] * (self.size * self.size / 2)).astype(jnp.int32)
        return self.point(random_level(key, self.size, walls))

    def examine(self, key: Array) -> Array:
        """Return a random level that can be solved: agents are scored on no other."""
        return self.point(solvable_level(key, self.size, self.walls))

    def edit(self, key: Array, point: Array) -> Array:
        """Return ``point`` after one edit (`autorl.environments.maze.edits`)."""
        return self.point(edit_level(key, self.task(None, point), 1, most=1))

    def _place(self, index: Array) -> Array:
        return jnp.stack([index // self.size, index % self.size]).astype(jnp.int32)

    def _index(self, number: Array, count: int) -> Array:
        return jnp.clip((number * count).astype(jnp.int32), 0, count - 1)
