"""Plans that solve MiniGrid boards: pure numpy, no knowledge of the simulator under test beyond MiniGrid's codes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

EMPTY, WALL, DOOR, KEY, BALL, BOX, GOAL, LAVA, AGENT = 1, 2, 4, 5, 6, 7, 8, 9, 10
OPEN, CLOSED, LOCKED = 0, 1, 2
LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE, DONE = range(7)
STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))


class Unsolvable(Exception):
    """No plan was found."""


class Planner:
    """A board (uint8 [H, W, 3], without the agent), where the agent is, and the actions planned so far."""

    def __init__(self, grid: np.ndarray, place: tuple[int, int], direction: int) -> None:
        self.grid, self.place, self.direction, self.actions = grid.copy(), place, direction, []
        self.held: np.ndarray | None = None

    def copy(self) -> Planner:
        other = Planner(self.grid, self.place, self.direction)
        other.actions, other.held = list(self.actions), self.held
        return other

    def find(self, kind: int, state: int | None = None) -> list[tuple[int, int]]:
        found = self.grid[..., 0] == kind
        if state is not None:
            found &= self.grid[..., 2] == state
        return [(int(r), int(c)) for r, c in np.argwhere(found)]

    def front(self) -> tuple[int, int]:
        return self.place[0] + STEPS[self.direction][0], self.place[1] + STEPS[self.direction][1]

    def _walk(self, there) -> None:
        """Walk, opening closed doors, until ``there(place, direction)``."""
        start = (*self.place, self.direction)
        came: dict = {start: None}
        queue = deque([start])
        while queue:
            state = queue.popleft()
            r, c, d = state
            if there((r, c), d):
                break
            ahead = (r + STEPS[d][0], c + STEPS[d][1])
            kind, _, condition = self.grid[ahead]
            follow = [((r, c, (d + 3) % 4), (LEFT,)), ((r, c, (d + 1) % 4), (RIGHT,))]
            if kind in (EMPTY, GOAL) or (kind == DOOR and condition == OPEN):
                follow.append(((*ahead, d), (FORWARD,)))
            elif kind == DOOR and condition == CLOSED:
                follow.append(((*ahead, d), (TOGGLE, FORWARD)))
            for after, actions in follow:
                if after not in came:
                    came[after] = (state, actions)
                    queue.append(after)
        else:
            raise Unsolvable
        self.place, self.direction = (r, c), d
        steps: list[int] = []
        while came[state] is not None:
            passed, (state, actions) = state[:2], came[state]
            if TOGGLE in actions:
                self.grid[passed][2] = OPEN
            steps[:0] = actions
        self.actions += steps

    def go_to(self, cell: tuple[int, int]) -> None:
        self._walk(lambda place, direction: place == cell)

    def face(self, cell: tuple[int, int]) -> None:
        self._walk(lambda p, d: (p[0] + STEPS[d][0], p[1] + STEPS[d][1]) == cell)

    def pick_up(self, cell: tuple[int, int]) -> None:
        self.face(cell)
        self.actions.append(PICKUP)
        self.held = self.grid[cell].copy()
        self.grid[cell] = (EMPTY, 0, 0)

    def drop(self, banned: set[tuple[int, int]]) -> tuple[int, int]:
        """Put what is held on the nearest empty cell that is not ``banned``; return the cell."""

        def suits(place: tuple[int, int], direction: int) -> bool:
            cell = (place[0] + STEPS[direction][0], place[1] + STEPS[direction][1])
            return self.grid[cell][0] == EMPTY and cell not in banned

        self._walk(suits)
        self.actions.append(DROP)
        self.grid[self.front()] = self.held
        return self.front()


def _dropped(plan: Planner, then: Callable[[Planner], Planner]) -> Planner:
    """Return ``then`` of the plan after a drop on the nearest cell from which it works out."""
    banned: set[tuple[int, int]] = set()
    while True:
        other = plan.copy()
        banned.add(other.drop(banned))
        try:
            return then(other)
        except Unsolvable:
            continue


def _end(plan: Planner, target: tuple[int, int] | None) -> Planner:
    """Go on with an open way: to ``target`` (picked up), or to the goal."""
    if target is None:
        plan.go_to(plan.find(GOAL)[0])
    else:
        plan.pick_up(target)
    return plan


def solve(grid: np.ndarray, place: tuple[int, int], direction: int, target: tuple[int, int] | None = None) -> list[int]:
    """Return actions that end on the goal, with ``target`` in the hands, or (without either) before the unlocked door.

    Raises:
        Unsolvable: No plan of this kind exists: clear the door, fetch the key, unlock, drop the key, fetch the target.
    """
    plan = Planner(grid, place, direction)
    locked = plan.find(DOOR, LOCKED)
    if not locked:
        return _end(plan, target).actions
    (door,) = locked
    keys = [cell for cell in plan.find(KEY) if plan.grid[cell][1] == plan.grid[door][1]]

    def unlock(at: Planner) -> Planner:
        at.pick_up(keys[0])
        at.face(door)
        at.actions.append(TOGGLE)
        at.grid[door][2] = OPEN
        if target is not None:
            return _dropped(at, lambda free: _end(free, target))
        return _end(at, None) if at.find(GOAL) else at

    blocking = [cell for cell in plan.find(BALL) + plan.find(BOX) if cell != target]
    if not blocking:
        return unlock(plan).actions
    plan.pick_up(blocking[0])
    return _dropped(plan, unlock).actions


def decode(observation: np.ndarray) -> tuple[np.ndarray, tuple[int, int], int]:
    """Return (board without the agent, place, direction) of an observation [H, W, 3] at the start of an episode."""
    grid = np.rint(observation * np.array([10, 5, 3])).astype(np.uint8)
    (place,) = np.argwhere(grid[..., 0] == AGENT)
    direction = int(grid[tuple(place)][2])
    grid[tuple(place)] = (EMPTY, 0, 0)
    return grid, (int(place[0]), int(place[1])), direction
