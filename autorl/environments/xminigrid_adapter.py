"""XLand-MiniGrid 0.9 (Nikulin et al., 2024) behind the protocol, seen and acted on like MiniGrid.

What the adapter changes, and why:

* The observation is the whole board in MiniGrid's codes (`autorl.environments.minigrid.codes`), not a view of 7 x 7 tiles.
  Objects that MiniGrid lacks are boxes, told apart by the state channel (square 0, pyramid 1, hex 2, star 3).
* Actions are MiniGrid's seven, in its order; ``done`` passes the time. Directions start from the right, as there.
* The time limit truncates and never terminates. There is no automatic reset.
* The reward follows the task: ``reward_scale * (1 - time_penalty * t / T)``, see `autorl.environments.minigrid.grid`.
* The rules by which XLand's tiles react to each other are left out of the step: MiniGrid's environments have none, and
  deciding which one applies takes most of the time. Likewise the kind of goal is fixed where it is the same on all boards.

Boards are XLand-MiniGrid's. Those that are offered as ``minigrid:NAME`` are distributed as MiniGrid's; others differ:
``UnlockPickUp`` hides any of five objects, ``Unlock`` may start the agent in front of the key, ``LockedRoom`` never in the
corridor's right column, ``Memory`` has other sizes. ``BlockedUnlockPickUp`` puts the block on top of the key on one board of
16, which nothing solves, and ``Playground`` never pays.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.minigrid import codes
from autorl.environments.minigrid.grid import default_task, ending, reward_at, task_from
from autorl.environments.protocol import Discrete, Step, Task
from autorl.errors import MissingDependencyError

_ACTIONS = np.array([2, 1, 0, 3, 4, 5, 4], np.int32)
"""MiniGrid's action -> XLand-MiniGrid's; ``done`` has none: what it stands for here is undone."""

_GREEN_TILE = ("Empty", "EmptyRandom", "DoorKey", "FourRooms", "LockedRoom")
"""XLand-MiniGrid's classes in which every board is solved by stepping on the green goal."""
_NO_GOAL = ("Memory", "Playground")
"""Those whose step decides by itself, or never, what solves the board."""


class XState(NamedTuple):
    """State of an episode.

    Attributes:
        grid: uint8 [H, W, 2]; tile and colour in XLand-MiniGrid's numbers.
        position: int32 [2]; row and column of the agent.
        direction: int32 scalar; 0 up, 1 right, 2 down, 3 left.
        pocket: uint8 [2]; tile and colour in the agent's hands.
        goal: uint8 [G]; what solves the board.
        carry: What else the environment remembers.
        time: int32 scalar; steps since the reset.
    """

    grid: Array
    position: Array
    direction: Array
    pocket: Array
    goal: Array
    carry: Any
    time: Array


@dataclasses.dataclass(frozen=True)
class XMiniGridEnvironment:
    """An environment of XLand-MiniGrid. Made by `adapted`; equal if name and XLand-MiniGrid's id are.

    Attributes:
        name: Public id.
        source: XLand-MiniGrid's id.
        max_episode_steps: The time limit, XLand-MiniGrid's.
        observation_shape: [H, W, 3].
    """

    name: str
    source: str
    max_episode_steps: int
    observation_shape: tuple[int, ...]
    _environment: Any = dataclasses.field(repr=False, compare=False)
    _parameters: Any = dataclasses.field(repr=False, compare=False)
    _goal: Any = dataclasses.field(repr=False, compare=False)

    @property
    def action_space(self) -> Discrete:
        """MiniGrid's seven."""
        return Discrete(7)

    def default_task(self) -> dict[str, np.ndarray]:
        """Return ``reward_scale`` 1 and ``time_penalty`` 0.9."""
        return default_task()

    def task_from(self, overrides: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the default task with ``overrides``.

        Raises:
            UsageError: Listing unknown names (did you mean) and wrong values.
        """
        return task_from(self.name, self.default_task(), self.max_episode_steps, overrides)

    def reset(self, key: Array, task: Task) -> tuple[Array, XState]:
        """Return (observation, state) of a new board."""
        del task
        with jax.numpy_dtype_promotion("standard"):  # XLand-MiniGrid is not written for strict promotion
            state = _kept(self._environment.reset(self._parameters, key).state)
        return _observe(state), state

    def step(self, key: Array, state: XState, action: Array, task: Task) -> Step:
        """Advance by one action."""
        del key
        waits = action == codes.DONE
        with jax.numpy_dtype_promotion("standard"):
            timestep = self._timestep(state)
            after = self._environment.step(self._parameters, timestep, jnp.asarray(_ACTIONS)[action])
            acted = _kept(after.state)
            terminated, solved = (after.discount == 0) & ~waits, (after.reward > 0) & ~waits
        reached = jax.tree.map(lambda old, new: jnp.where(waits, old, new), state, acted)
        reached = reached._replace(goal=state.goal, time=state.time + 1)
        reward = jnp.where(solved, reward_at(reached.time, self.max_episode_steps, task), 0.0)
        return ending(_observe(reached), reached, reward, terminated, reached.time >= self.max_episode_steps)

    def _timestep(self, state: XState) -> Any:
        """Return what XLand-MiniGrid calls a time step, with no rules."""
        from xminigrid.core.rules import EmptyRule
        from xminigrid.types import AgentState, State, TimeStep

        made = State(
            key=jnp.zeros(2, jnp.uint32),  # only resets draw
            step_num=state.time,
            grid=state.grid,
            agent=AgentState(position=state.position, direction=state.direction, pocket=state.pocket),
            goal_encoding=state.goal if self._goal is None else jnp.asarray(self._goal),
            rule_encoding=EmptyRule().encode()[None][:0],
            carry=state.carry,
        )
        return TimeStep(state=made, step_type=None, reward=None, discount=None, observation=None)


def xminigrid_environment(id: str) -> XMiniGridEnvironment:
    """Return XLand-MiniGrid's own environment of the public id ``xminigrid:NAME``.

    Raises:
        MissingDependencyError: XLand-MiniGrid is not installed.
    """
    return adapted(id, id.removeprefix("xminigrid:"))


def adapted(id: str, name: str) -> XMiniGridEnvironment:
    """Return XLand-MiniGrid's ``MiniGrid-{name}`` as an environment called ``id``.

    Raises:
        MissingDependencyError: XLand-MiniGrid is not installed.
    """
    if importlib.util.find_spec("xminigrid") is None:
        raise MissingDependencyError(
            f"environment {id!r} needs XLand-MiniGrid, which is not installed: pip install 'autorl[minigrid]'"
        )
    source = f"MiniGrid-{name}"
    with jax.ensure_compile_time_eval(), jax.numpy_dtype_promotion("standard"):
        import xminigrid

        environment, parameters = xminigrid.make(source)
    return XMiniGridEnvironment(
        name=id,
        source=source,
        max_episode_steps=int(parameters.max_steps),
        observation_shape=(int(parameters.height), int(parameters.width), 3),
        _environment=environment,
        _parameters=parameters,
        _goal=_goal_of(type(environment).__name__),
    )


@functools.cache
def _goal_of(kind: str) -> np.ndarray | None:
    """Return the encoded goal that all boards of a class have, None if it differs between boards."""
    from xminigrid.core.constants import TILES_REGISTRY, Colors, Tiles
    from xminigrid.core.goals import AgentOnTileGoal, EmptyGoal

    with jax.ensure_compile_time_eval(), jax.numpy_dtype_promotion("standard"):
        if kind in _GREEN_TILE:
            return np.asarray(AgentOnTileGoal(tile=TILES_REGISTRY[Tiles.GOAL, Colors.GREEN]).encode())
        return np.asarray(EmptyGoal().encode()) if kind in _NO_GOAL else None


def _kept(state: Any) -> XState:
    """Return what is needed of an XLand-MiniGrid state, each with a fixed dtype."""
    return XState(
        grid=jnp.asarray(state.grid, jnp.uint8),
        position=jnp.asarray(state.agent.position, jnp.int32),
        direction=jnp.asarray(state.agent.direction, jnp.int32),
        pocket=jnp.asarray(state.agent.pocket, jnp.uint8),
        goal=jnp.asarray(state.goal_encoding, jnp.uint8),
        carry=jax.tree.map(lambda x: jnp.asarray(x, jnp.int32), state.carry),
        time=jnp.asarray(state.step_num, jnp.int32),
    )


def _observe(state: XState) -> Array:
    cells = jnp.asarray(_CELLS)[state.grid[..., 0].astype(jnp.int32), state.grid[..., 1].astype(jnp.int32)]
    return codes.observe(cells, state.position, (state.direction + 3) % 4)


def _cells() -> np.ndarray:
    """Return uint8 [13 tiles, 12 colours, 3]: MiniGrid's cell of each of XLand-MiniGrid's.

    Tiles: empty, floor, wall, ball, square, pyramid, goal, key, door locked, closed, open, hex, star. Colours: none, then
    MiniGrid's six in MiniGrid's order, then others that only the floor has, which is MiniGrid's empty cell.
    """
    kinds = [(codes.UNSEEN, 0), (codes.EMPTY, 0), (codes.WALL, 0), (codes.BALL, 0), (codes.BOX, 0), (codes.BOX, 1)]
    kinds += [(codes.GOAL, 0), (codes.KEY, 0), (codes.DOOR, codes.LOCKED), (codes.DOOR, codes.CLOSED)]
    kinds += [(codes.DOOR, codes.OPEN), (codes.BOX, 2), (codes.BOX, 3)]
    cells = np.zeros((13, 12, 3), np.uint8)
    cells[..., 0] = np.array(kinds, np.uint8)[:, None, 0]
    cells[..., 1] = np.array([0, *range(codes.COLOURS), 0, 0, 0, 0, 0], np.uint8)
    cells[..., 2] = np.array(kinds, np.uint8)[:, None, 1]
    cells[[0, 1], :, 1] = 0
    return cells


_CELLS = _cells()
