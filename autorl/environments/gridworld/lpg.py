"""The grid world of LPG: walk over objects that pay, cost, end the episode and come back, each kind by its own chances.

After Oh et al. (2020, Discovering Reinforcement Learning Algorithms) in the version of GROOVE (Jackson et al., 2023, Discovering General
Reinforcement Learning Algorithms with Adversarial Environment Design).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.gridworld import sampling
from autorl.environments.gridworld.distributions import DISTRIBUTIONS, GridDistribution
from autorl.environments.protocol import Discrete, Reached, Step, Task
from autorl.environments.task_box import TaskBox, TaskDimension
from autorl.environments.tasks import override_task
from autorl.errors import UsageError

_MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)], np.int32)
_TIME_UNIT = 0.001


class GridState(NamedTuple):
    """State of an episode.

    Attributes:
        position: int32 [2]; row and column of the agent.
        places: int32 [K, 2]; where the objects are, or come back to.
        present: bool [K]; which objects are there.
        time: int32 scalar; steps since the reset.
    """

    position: Array
    places: Array
    present: Array
    time: Array


@dataclass(frozen=True)
class LpgGridWorld:
    """A grid world with K objects of T kinds on a board of side M; up, down, left, right, stay.

    The task has ``size`` (int32, the side of the world within the board), ``walls`` (bool [M, M]), ``start`` (int32 [2]),
    ``objects`` (int32, how many), ``places`` (int32 [K, 2]), of each kind ``rewards``, ``terminate`` and ``respawn`` (float32 [T]),
    and ``max_steps`` (int32, the time limit, never above ``max_episode_steps``). The observation ends with the time in
    thousands of steps. Before it, in tabular worlds, one of M * M * 2^K numbers is 1: for the agent's cell and which objects are
    present; else there are 1 + T boards of M * M, the agent's and one for each kind.

    Unlike GROOVE's, objects never come back inside a wall (its source takes a mask for indices there), and a time limit truncates.

    Attributes:
        name: Public id.
        distribution: Of its tasks.
    """

    name: str
    distribution: GridDistribution

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """A vector, see the class."""
        of = self.distribution
        return (of.board**2 * (2 ** len(of.kinds) if of.tabular else 1 + of.kind_count) + 1,)

    @property
    def action_space(self) -> Discrete:
        """Up, down, left, right, stay."""
        return Discrete(5)

    @property
    def max_episode_steps(self) -> int:
        """The longest time limit of the distribution."""
        return self.distribution.limit

    @property
    def task_space(self) -> TaskBox:
        """Rewards and chances of each kind, size, number of objects and time limit; walls and places are drawn, not boxed."""
        of, default = self.distribution, self.default_task()
        dimensions = [
            TaskDimension(f"{entry}_{i}", low, 1.0, float(default[entry][i]), least, most, entry=entry, index=(i,))
            for entry, low, least, most in (
                ("rewards", -1.0, -np.inf, np.inf),
                ("terminate", 0.0, 0.0, 1.0),
                ("respawn", 0.0, 0.0, 1.0),
            )
            for i in range(of.kind_count)
        ]
        for name, least, most in (("size", 3, of.board), ("objects", 1, len(of.kinds)), ("max_steps", 10, of.limit)):
            if least < most:
                value = float(default[name])
                dimensions.append(TaskDimension(name, least, most, value, least=1, greatest=most, whole=True))
        return TaskBox(tuple(dimensions))

    def default_task(self) -> dict[str, np.ndarray]:
        """Return one fixed task of the distribution, with the longest time limit."""
        return sampling.default_task(self.distribution)

    def task_from(self, overrides: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the default task with ``overrides``.

        Raises:
            UsageError: Unknown names (did you mean), wrong values, agent and objects not in different free cells.
        """
        task = override_task(self.name, self.default_task(), overrides, space=self.task_space)
        if not bool(jax.jit(sampling.is_valid)(task)):
            raise UsageError(
                f"environment {self.name!r}: start and the first {task['objects']} of places must be different cells without "
                f"walls, with rows and columns from 0 to {task['size'] - 1}"
            )
        return task

    def sample_task(self, key: Array) -> dict[str, Array]:
        """Return a random task of the distribution."""
        return sampling.sample_task(key, self.distribution)

    def is_valid(self, task: Task) -> Array:
        """Return whether the agent and all objects of ``task`` stand in different free cells, bool scalar."""
        return sampling.is_valid(task)

    def reset(self, key: Array, task: Task) -> tuple[Array, GridState]:
        """Return (observation, state) at the start of an episode of ``task``."""
        walls, size = jnp.asarray(task["walls"]), jnp.asarray(task["size"])
        position, places = jnp.minimum(jnp.asarray(task["start"]), size - 1), jnp.asarray(task["places"])
        if not self.distribution.tabular:
            free = sampling.vacant(walls, size).at[position[0], position[1]].set(False)
            places = sampling.random_places(key, free, len(places))
        present = jnp.arange(len(places)) < jnp.asarray(task["objects"])
        state = GridState(position, places, present, jnp.zeros((), jnp.int32))
        return self._observed(state), state

    def step(self, key: Array, state: GridState, action: Array, task: Task) -> Step:
        """Advance by one action: the agent moves and collects, then objects come back."""
        ends, returns, anywhere = jax.random.split(key, 3)
        kinds = np.asarray(self.distribution.kinds)
        rewards, terminate, respawn = (
            jnp.asarray(task[name], jnp.float32)[kinds] for name in ("rewards", "terminate", "respawn")
        )
        walls, size = jnp.asarray(task["walls"]), jnp.asarray(task["size"])
        ahead = jnp.clip(state.position + jnp.asarray(_MOVES)[action], 0, size - 1)
        position = jnp.where(walls[ahead[0], ahead[1]], state.position, ahead)
        collected = state.present & jnp.all(state.places == position, axis=1)
        back = jax.random.uniform(returns, respawn.shape) < respawn
        places = state.places
        if not self.distribution.tabular:
            free = sampling.vacant(walls, size).at[position[0], position[1]].set(False)
            free = free.at[places[:, 0], places[:, 1]].set(False)
            elsewhere = sampling.random_places(anywhere, free, len(kinds))
            places = jnp.where((back & ~state.present)[:, None], elsewhere, places)
        used = jnp.arange(len(kinds)) < jnp.asarray(task["objects"])
        following = GridState(position, places, (state.present | back) & ~collected & used, state.time + 1)
        ended = jax.random.uniform(ends) < jnp.sum(jnp.where(collected, terminate, 0.0))
        late = following.time >= jnp.minimum(jnp.asarray(task["max_steps"]), self.max_episode_steps)
        return Step(
            observation=self._observed(following),
            state=following,
            reward=jnp.sum(jnp.where(collected, rewards, 0.0)),
            terminated=ended,
            truncated=late & ~ended,
            info={},
        )

    def resumed(self, reached: Reached, task: Task) -> tuple[Reached, Array]:
        """Return what ``reached`` is in ``task``: without the objects that it has no more of.

        It cannot be gone on from where the agent stands outside the world or in a wall, an object lies where no episode of the task could
        have it, or the time is up.
        """
        state: GridState = reached.state
        free = sampling.vacant(jnp.asarray(task["walls"]), jnp.asarray(task["size"]))
        used = jnp.arange(len(state.present)) < jnp.asarray(task["objects"])
        after = state._replace(present=state.present & used)
        if self.distribution.tabular:
            # those that are gone come back to their places
            fits = jnp.all(state.places == jnp.asarray(task["places"]), axis=1) | ~used
        else:
            fits = free[state.places[:, 0], state.places[:, 1]] | ~after.present
        in_time = state.time < jnp.minimum(jnp.asarray(task["max_steps"]), self.max_episode_steps)
        standing = free[state.position[0], state.position[1]]
        return Reached(self._observed(after), after), standing & jnp.all(fits) & in_time

    def _observed(self, state: GridState) -> Array:
        of = self.distribution
        cell = state.position[0] * of.board + state.position[1]
        if of.tabular:
            combination = jnp.sum(jnp.where(state.present, 2 ** np.arange(len(of.kinds), dtype=np.int32), 0))
            seen = jax.nn.one_hot(cell + of.board**2 * combination, self.observation_shape[0] - 1, dtype=jnp.float32)
        else:
            boards = (1 + np.asarray(of.kinds, np.int32)) * of.board**2
            objects = boards + state.places[:, 0] * of.board + state.places[:, 1]
            empty = jnp.zeros(self.observation_shape[0] - 1, jnp.float32)
            seen = empty.at[objects].max(state.present.astype(jnp.float32)).at[cell].set(1.0)
        return jnp.append(seen, state.time.astype(jnp.float32) * _TIME_UNIT)


def lpg_environment(id: str) -> LpgGridWorld:
    """Return the environment of the public id ``lpg:NAME``."""
    return LpgGridWorld(id, DISTRIBUTIONS[id.removeprefix("lpg:")])
