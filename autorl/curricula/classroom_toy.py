"""The classroom: students who learn the same grid of tasks in different orders, for outer loops that learn curricula.

After the toy environments of Meta-ACL (Portelas et al., 2020, Meta Automatic Curriculum Learning), from the published source (commit
7d2d5b9). Tasks are points of [0, 1]^2, in one of 20 x 20 cells. A student has a competence from 0 to 100 in each; an episode in a cell
raises it by 1 if the cell is unlocked, and returns competence / 100. A cell is unlocked if it is the student's first, or if a
neighbour has a competence of at least 75. Mastered is above 75: the least number of episodes to master all is 76 a cell, 30,400.

There are two classrooms, and students of both are the same arrays:

* ``rotated``: 4 students. The first cell is a corner, and what unlocks a cell are the three cells before it (diagonal too),
  seen from that corner: the task space is turned by 0, 90, 180 or 270 degrees.
* ``first_cube``: 400 students, one for each first cell. What unlocks a cell are the four cells beside it.

Functions are of one student and one task after another, in JAX; ``vmap`` them over students.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

CELLS = 20
"""Along each dimension."""
FULL = 100
UNLOCKS = 75
"""Competence from which a cell unlocks its neighbours, and above which it is mastered."""
EPISODES = 200_000
"""Of the published runs, which are scored every 10,000."""

_BEFORE = np.array([(-1, 0), (0, -1), (-1, -1), (-1, 0)], np.int32)  # one of the three twice: both kinds have four
_BESIDE = np.array([(-1, 0), (0, -1), (1, 0), (0, 1)], np.int32)


class Student(NamedTuple):
    """Who learns. Arrays, so that a classroom is a stack of them.

    Attributes:
        turns: int32 scalar; quarter turns of the task space.
        first: int32 [2]; the cell that is always unlocked, after the turns.
        unlocked_by: int32 [4, 2]; steps to the neighbours that unlock a cell, after the turns.
    """

    turns: Array
    first: Array
    unlocked_by: Array


def rotated_students() -> Student:
    """Return the 4 students of the first classroom, stacked."""
    return Student(
        turns=jnp.arange(4, dtype=jnp.int32),
        first=jnp.zeros((4, 2), jnp.int32),
        unlocked_by=jnp.broadcast_to(jnp.asarray(_BEFORE), (4, 4, 2)),
    )


def first_cube_students(cells: int = CELLS) -> Student:
    """Return the ``cells``^2 students of the second classroom, stacked; number k starts in the cell (k % cells, k // cells)."""
    numbers = jnp.arange(cells**2, dtype=jnp.int32)
    return Student(
        turns=jnp.zeros(cells**2, jnp.int32),
        first=jnp.stack([numbers % cells, numbers // cells], axis=-1),
        unlocked_by=jnp.broadcast_to(jnp.asarray(_BESIDE), (cells**2, 4, 2)),
    )


def init(cells: int = CELLS) -> Array:
    """Return the competence of a student that can do nothing, int32 [cells, cells]."""
    return jnp.zeros((cells, cells), jnp.int32)


def episode(student: Student, competence: Array, task: Array) -> tuple[Array, Array]:
    """Play one episode.

    Args:
        student: One student.
        competence: int32 [cells, cells], of the student's own (turned) cells.
        task: float [2], in [0, 1].

    Returns:
        The competence after it, and the return, float32 in [0, 1].
    """
    cells = competence.shape[0]
    row, column = _cell(student, task, cells)
    neighbours = jnp.stack([row, column]) + student.unlocked_by
    inside = jnp.all((neighbours >= 0) & (neighbours < cells), axis=1)
    near = jnp.clip(neighbours, 0, cells - 1)
    opened = jnp.any(inside & (competence[near[:, 0], near[:, 1]] >= UNLOCKS))
    unlocked = opened | jnp.all(jnp.stack([row, column]) == student.first)
    now = jnp.minimum(competence[row, column] + unlocked.astype(jnp.int32), FULL)
    return competence.at[row, column].set(now), now.astype(jnp.float32) / FULL


def play(student: Student, competence: Array, tasks: Array) -> tuple[Array, Array]:
    """Play n episodes one after another: tasks [n, 2] -> competence, returns float32 [n]."""
    return lax.scan(lambda now, task: episode(student, now, task), competence, tasks)


def mastered(competence: Array) -> Array:
    """Return the per cent of cells that are mastered, float32 scalar."""
    return 100.0 * jnp.mean((competence > UNLOCKS).astype(jnp.float32))


def in_task_space(student: Student, competence: Array) -> Array:
    """Return the competence in the cells of the task space, int32 [cells, cells]: [i, j] is that of a task in row i, column j.

    What Meta-ACL tests a student by. (Its source turns the map the other way for the students turned by 90 and 270 degrees.)
    """
    cells = competence.shape[0]
    centres = (jnp.stack(jnp.indices((cells, cells)), axis=-1).astype(jnp.float32) + 0.5) / cells

    def there(task: Array) -> Array:
        return competence[_cell(student, task, cells)]

    return jax.vmap(jax.vmap(there))(centres)


def _cell(student: Student, task: Array, cells: int) -> tuple[Array, Array]:
    """Return row and column of the student's cell that ``task`` falls into; 1.0 belongs to the last one."""
    index = jnp.clip((jnp.asarray(task, jnp.float32) * cells).astype(jnp.int32), 0, cells - 1)
    i, j = index[0], index[1]
    last = cells - 1
    turned = jnp.stack([jnp.stack(pair) for pair in ((i, j), (last - j, i), (last - i, last - j), (j, last - i))])
    return turned[student.turns, 0], turned[student.turns, 1]
