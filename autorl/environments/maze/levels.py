"""The mazes of the literature that agents are evaluated on, 13 x 13.

Made for PAIRED (Dennis et al., 2020) and robust PLR (Jiang et al., 2021); as minimax (Jiang et al., 2023) and JaxUED (Coward et
al., 2024) have them: the two agree on every wall, start and goal. Where minimax leaves the direction open, it is JaxUED's.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from autorl.environments.maze.level import level_from_text
from autorl.errors import UnknownNameError

_SIXTEEN_ROOMS = """
...#..#..#...
.>.......#...
...#..#......
#.###.##.###.
...#.........
......#..#...
##.#.##.###.#
...#.....#...
...#..#......
.####.##.#.##
...#..#..#...
......#....G.
...#.....#...
"""

_SIXTEEN_ROOMS_2 = """
...#.....#...
.>....#..#...
...#..#..#...
####.##.###.#
...#..#......
......#..#...
#.#####.#####
...#..#..#...
...#.........
##.##.##.####
...#..#..#...
......#....G.
...#..#..#...
"""

_LABYRINTH = """
.............
.###########.
.#.........#.
.#.#######.#.
.#.#.....#.#.
.#.#.###.#.#.
.#.#.#G#.#.#.
.#.#.#.#.#.#.
.#...#...#.#.
.#########.#.
.....#.....#.
####.#.#####.
>....#.......
"""

_LABYRINTH_FLIPPED = """
.............
.###########.
.#.........#.
.#.#######.#.
.#.#.....#.#.
.#.#.###.#.#.
.#.#.#G#.#.#.
.#.#.#.#.#.#.
.#.#...#...#.
.#.#########.
.#.....#.....
.#####.#.####
.......#....<
"""

_LABYRINTH_2 = """
>#...........
.#.#########.
.#.#.......#.
.#.#.#####.#.
.#.#.#...#.#.
...#.#.#.#.#.
####.#G#.#.#.
...#.###.#.#.
.#.#.....#.#.
.#.#######.#.
.#.........#.
.###########.
.............
"""

_STANDARD_MAZE = """
.....#>...#..
.###.####.##.
.#...........
.########.###
........#....
######.#####.
....#..#.....
.##...##.####
..#.#..#...#.
#.#.##.###.#.
#.#..#...#...
#.##.###.###.
...#..G#.#...
"""

_STANDARD_MAZE_2 = """
...#.#....#..
.#.#.####...#
.#........#..
.########.###
...#..#.#.#.G
##.#.##.#.#..
>#.#....#.##.
.#.##.###..#.
.#..#..###.#.
.##.##.#.#.#.
.#...#.#.#.#.
.#.#.#.#.#.#.
...#...#.....
"""

_STANDARD_MAZE_3 = """
...>#.#......
.####.#.####.
.#....#.#....
...####.#.#.#
##.#....#.#..
...#.##.#.##.
.#.#.#..#..#G
.#.#.#.###.##
.#...#.#.#...
.###.#.#.###.
.#...#.#...#.
.#.###.#.#.#.
.#...#...#...
"""

NAMED_LEVELS = MappingProxyType(
    {
        "SixteenRooms": _SIXTEEN_ROOMS,
        "SixteenRooms2": _SIXTEEN_ROOMS_2,
        "Labyrinth": _LABYRINTH,
        "LabyrinthFlipped": _LABYRINTH_FLIPPED,
        "Labyrinth2": _LABYRINTH_2,
        "StandardMaze": _STANDARD_MAZE,
        "StandardMaze2": _STANDARD_MAZE_2,
        "StandardMaze3": _STANDARD_MAZE_3,
    }
)
"""Name -> drawing."""


def named_level(name: str) -> dict[str, np.ndarray]:
    """Return the level called ``name``.

    Raises:
        UnknownNameError: No such level; the message suggests one.
    """
    if name not in NAMED_LEVELS:
        raise UnknownNameError("level", name, NAMED_LEVELS)
    return level_from_text(NAMED_LEVELS[name])
