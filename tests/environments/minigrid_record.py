"""Record what Farama's MiniGrid does: how its boards are distributed, and its steps. Not run by the tests.

In an environment of its own, once: ``pip install minigrid==3.2.0 && python tests/environments/minigrid_record.py 10000``.
It writes ``minigrid_reference.npz`` beside this file.
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from minigrid_features import features
from minigrid_solver import (
    DONE,
    DROP,
    EMPTY,
    FORWARD,
    LEFT,
    PICKUP,
    RIGHT,
    TOGGLE,
    Unsolvable,
    solve,
)

NAMES = [
    "Empty-5x5",
    "Empty-Random-5x5",
    "DoorKey-5x5",
    "DoorKey-6x6",
    "DoorKey-8x8",
    "FourRooms",
    "LavaGapS5",
    "LavaGapS6",
    "LavaGapS7",
    "SimpleCrossingS9N1",
    "SimpleCrossingS9N2",
    "SimpleCrossingS9N3",
    "SimpleCrossingS11N5",
    "LavaCrossingS9N1",
    "LavaCrossingS9N3",
    "LavaCrossingS11N5",
    "Dynamic-Obstacles-5x5",
    "Dynamic-Obstacles-Random-5x5",
    "Dynamic-Obstacles-6x6",
    "Dynamic-Obstacles-Random-6x6",
    "Dynamic-Obstacles-8x8",
    "Dynamic-Obstacles-16x16",
    "KeyCorridorS3R1",
    "KeyCorridorS3R2",
    "KeyCorridorS3R3",
    "KeyCorridorS4R3",
    "KeyCorridorS6R3",
    "Unlock",
    "UnlockPickup",
    "BlockedUnlockPickup",
    "MultiRoom-N2-S4",
    "MultiRoom-N4-S5",
    "MultiRoom-N6",
]
REPLAYED = ("DoorKey-6x6", "FourRooms", "LavaGapS5", "LavaCrossingS9N1", "KeyCorridorS3R2", "Unlock", "UnlockPickup")
REPLAYED += ("BlockedUnlockPickup", "MultiRoom-N2-S4")
EPISODES, LENGTH, PREFIX = 8, 130, 40
BUSY = (LEFT, RIGHT, FORWARD, FORWARD, FORWARD, PICKUP, PICKUP, DROP, TOGGLE, TOGGLE, DONE)


def state(env: Any) -> tuple[np.ndarray, tuple[int, int], int]:
    """Return (board [H, W, 3], row and column of the agent, direction); MiniGrid's arrays have the column first."""
    place = (int(env.agent_pos[1]), int(env.agent_pos[0]))
    return env.grid.encode().transpose(1, 0, 2), place, int(env.agent_dir)


def seen(env: Any) -> np.ndarray:
    grid, place, direction = state(env)
    grid[place] = (10, 0, direction)
    return grid


def boards(env: Any, count: int) -> dict[str, np.ndarray]:
    rows = []
    for _ in range(count):
        env.agent_pos, env.agent_dir = (-1, -1), -1
        env._gen_grid(env.width, env.height)
        rows.append(features(*state(env)))
    found = np.array(rows)
    return {"mean": found.mean(axis=0), "std": found.std(axis=0), "count": np.array(count)}


def plan(env: Any) -> list[int]:
    """Return actions that solve the board from where it is, nothing if there are none."""
    grid, place, direction = state(env)
    first = []
    if env.carrying is not None:
        for turns in range(4):
            facing = (direction - turns) % 4
            cell = (place[0] + (0, 1, 0, -1)[facing], place[1] + (1, 0, -1, 0)[facing])
            if grid[cell][0] == EMPTY:
                grid[cell], direction = env.carrying.encode(), facing
                first = [LEFT] * turns + [DROP]
                break
    wanted = getattr(env, "obj", None)
    target = None
    if wanted is not None:
        cells = np.argwhere((grid[..., 0] == wanted.encode()[0]) & (grid[..., 1] == wanted.encode()[1]))
        if len(cells) == 0:
            return first
        target = (int(cells[0][0]), int(cells[0][1]))
    try:
        return first + solve(grid, place, direction, target)
    except (Unsolvable, IndexError):
        return first


def episode(env: Any, rng: np.random.Generator, wanders: bool) -> dict[str, np.ndarray]:
    """Record an episode: random actions first if it ``wanders``, then a plan that solves the board."""
    env.reset(seed=int(rng.integers(2**31)))
    grid, place, direction = state(env)
    kept: dict[str, list[Any]] = {name: [] for name in ("actions", "seen", "rewards", "terminated")}
    todo = [int(a) for a in rng.choice(BUSY, wanders * min(PREFIX, env.max_steps // 3))]
    for phase in range(2):
        for action in todo if phase == 0 else plan(env):
            _, reward, terminated, truncated, _ = env.step(action)
            for name, value in zip(kept, (action, seen(env), reward, terminated), strict=True):
                kept[name].append(value)
            if terminated or truncated:
                break
        if kept["terminated"] and kept["terminated"][-1]:
            break
    length = len(kept["actions"])
    assert length <= LENGTH, length
    padded = {name: np.array(values + values[-1:] * (LENGTH - length)) for name, values in kept.items()}
    return {
        **padded,
        "grid": grid,
        "place": np.array(place),
        "direction": np.array(direction),
        "length": np.array(length),
    }


def main(count: int) -> None:
    import gymnasium
    import minigrid

    print("MiniGrid", minigrid.__version__)
    out: dict[str, np.ndarray] = {}
    for name in NAMES:
        version = "v1" if name == "MultiRoom-N4-S5" else "v0"
        env = gymnasium.make(f"MiniGrid-{name}-{version}", disable_env_checker=True).unwrapped
        env.reset(seed=zlib.crc32(name.encode()))
        out |= {f"{name}/{key}": value.astype(np.float32) for key, value in boards(env, count).items()}
        out[f"{name}/limit"] = np.array(env.max_steps)
        if name in REPLAYED:
            rng = np.random.default_rng(zlib.crc32(name.encode()) + 1)
            episodes = [episode(env, rng, index % 4 > 0) for index in range(EPISODES)]
            for key in episodes[0]:
                stacked = np.stack([one[key] for one in episodes])
                kind = {"rewards": np.float32, "terminated": np.bool_}.get(key, np.uint8)
                out[f"{name}/{key}"] = stacked.astype(kind)
        done = out.get(f"{name}/terminated", np.zeros((0, 1)))[:, -1]
        print(f"{name}: {int(done.sum())} of {len(done)} episodes ended", flush=True)
    np.savez_compressed(Path(__file__).with_name("minigrid_reference.npz"), **out)


if __name__ == "__main__":
    main(int(sys.argv[1]))
