"""What the MiniGrid environments are called and what each is made of. Imports no jax.

Names are MiniGrid's, without ``MiniGrid-`` and ``-v0``. MultiRoom-N4-S5 has the four rooms that its name says (MiniGrid's
``-v0`` was misconfigured for six, ``-v1`` and the version of 2020 have four).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_PACKAGE = "autorl.environments.minigrid"


def _table() -> dict[str, tuple[str, dict[str, Any]]]:
    table: dict[str, tuple[str, dict[str, Any]]] = {}
    for size in (5, 6, 7):
        table[f"LavaGapS{size}"] = (f"{_PACKAGE}.lava:LavaGap", {"size": size})
    for kind in ("Simple", "Lava"):
        for size, rivers in ((9, 1), (9, 2), (9, 3), (11, 5)):
            made = {"size": size, "rivers": rivers, "lava": kind == "Lava"}
            table[f"{kind}CrossingS{size}N{rivers}"] = (f"{_PACKAGE}.lava:Crossing", made)
    for size, count in ((5, 2), (6, 3), (8, 4), (16, 8)):
        made = {"size": size, "standard_obstacles": count}
        table[f"Dynamic-Obstacles-{size}x{size}"] = (f"{_PACKAGE}.obstacles:DynamicObstacles", made)
        if size < 8:
            random = {**made, "random_start": True}
            table[f"Dynamic-Obstacles-Random-{size}x{size}"] = (f"{_PACKAGE}.obstacles:DynamicObstacles", random)
    for size, rows in ((3, 1), (3, 2), (3, 3), (4, 3), (5, 3), (6, 3)):
        made = {"room_size": size, "rows": rows}
        table[f"KeyCorridorS{size}R{rows}"] = (f"{_PACKAGE}.key_corridor:KeyCorridor", made)
    for name, kind in (("Unlock", "door"), ("UnlockPickup", "box"), ("BlockedUnlockPickup", "blocked_box")):
        table[name] = (f"{_PACKAGE}.unlock:Unlock", {"kind": kind})
    for name, rooms, size in (("N2-S4", 2, 4), ("N4-S5", 4, 5), ("N6", 6, 10)):
        table[f"MultiRoom-{name}"] = (f"{_PACKAGE}.multi_room:MultiRoom", {"rooms": rooms, "largest_room": size})
    return table


WRITTEN_HERE: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(_table())
"""Name -> (module:class, its settings): what XLand-MiniGrid lacks, or draws otherwise than MiniGrid (Unlock and its kin)."""

FROM_XMINIGRID: Mapping[str, str] = MappingProxyType(
    {
        **{f"Empty-{s}x{s}": f"Empty-{s}x{s}" for s in (5, 6, 8, 16)},
        **{f"Empty-Random-{s}x{s}": f"EmptyRandom-{s}x{s}" for s in (5, 6)},
        **{f"DoorKey-{s}x{s}": f"DoorKey-{s}x{s}" for s in (5, 6, 8, 16)},
        "FourRooms": "FourRooms",
    }
)
"""Name -> XLand-MiniGrid's: the environments whose boards and rules are MiniGrid's there too."""

MINIGRID_NAMES = (*FROM_XMINIGRID, *WRITTEN_HERE)
"""All ids ``minigrid:NAME``."""

XMINIGRID_NAMES = (
    *(f"{kind}-{s}x{s}" for kind in ("Empty", "EmptyRandom", "DoorKey") for s in (5, 6, 8, 16)),
    "FourRooms",
    "LockedRoom",
    "MemoryS8",
    "MemoryS16",
    "Playground",
    "Unlock",
    "UnlockPickUp",
    "BlockedUnlockPickUp",
)
"""All ids ``xminigrid:NAME``: XLand-MiniGrid's single-task environments as it draws them."""

XMINIGRID_EXCLUDED = ("MemoryS32", "MemoryS64", "MemoryS128")
"""Left out: their episodes take 5,120 to 81,920 steps."""
