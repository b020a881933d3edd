"""Real coordinates for a space: what an evolution strategy moves in, and how its points become candidates.

The unit cube's coordinates come first, then every entry of every array. All are centred on 0, where the search begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autorl.keys import derive, generator
from autorl.outer.protocol import Candidate
from autorl.spaces import ArraySpace, ProductSpace, Space

CUBE_STD = 0.2
"""Initial standard deviation in the unit cube: around the centre, nine tenths of the points of nine dimensions fall inside."""


@dataclass(frozen=True)
class _Part:
    """A leaf of a space: where it stands in a candidate and in the vector of coordinates."""

    path: tuple[str, ...]
    space: Space
    start: int
    stop: int


class Coordinates:
    """A bijection between the coordinates of an evolution strategy, float32 [size], and candidates.

    A cube coordinate ``x`` stands for the unit value ``0.5 + x``, **reflected** at the bounds 0 and 1: the landscape is continued as in
    a mirror, so it stays continuous, and a proposal beyond a bound is as far inside it. (Clipping would pile the proposals
    up on the bounds and leave a flat landscape behind them.) An array entry ``x`` stands for ``centre + x * ratio``, where
    the centre is a sample of the array's space drawn with ``key``; ``ratio`` makes a start with standard deviation ``std``
    spread the arrays by their own ``init_scale``.

    Attributes:
        size: Number of coordinates.
        std: Standard deviation to begin with: the one given, else `CUBE_STD`, or the largest ``init_scale`` where there is no cube.
    """

    def __init__(self, space: Space, key: int, std: float | None = None) -> None:
        leaves = list(_leaves(space))
        cube = [(path, leaf) for path, leaf in leaves if not isinstance(leaf, ArraySpace)]
        arrays = [(path, leaf) for path, leaf in leaves if isinstance(leaf, ArraySpace)]
        self._parts: list[_Part] = []
        for path, leaf in [*cube, *arrays]:
            start = self._parts[-1].stop if self._parts else 0
            length = _entries(leaf) if isinstance(leaf, ArraySpace) else leaf.unit_dimension
            self._parts.append(_Part(path, leaf, start, start + length))
        self.size = self._parts[-1].stop
        self._cube = sum(leaf.unit_dimension for _, leaf in cube)
        largest = max((leaf.init_scale for _, leaf in arrays), default=1.0)
        self.std = std if std is not None else CUBE_STD if self._cube else largest
        reference = self.std if self._cube else largest
        self._centre = np.full(self.size, 0.5, np.float64)
        self._ratio = np.ones(self.size, np.float64)
        for part in self._parts:
            if isinstance(part.space, ArraySpace):
                drawn = part.space.sample(derive(key, "centre", *part.path))
                self._centre[part.start : part.stop] = np.concatenate([drawn[n].ravel() for n in part.space.shapes])
                self._ratio[part.start : part.stop] = part.space.init_scale / reference

    def decode(self, point: NDArray[np.float32]) -> Candidate:
        """Return the candidate at ``point``, float32 [size], finite."""
        values = self._centre + self._ratio * point.astype(np.float64)
        values[: self._cube] = reflect(values[: self._cube])
        made: dict[str, Any] = {}
        for part in self._parts:
            own = values[part.start : part.stop]
            leaf = _arrays(part.space, own) if isinstance(part.space, ArraySpace) else part.space.from_unit(own)
            if not part.path:
                return leaf
            inner = made
            for name in part.path[:-1]:
                inner = inner.setdefault(name, {})
            inner[part.path[-1]] = leaf
        return made

    def encode(self, candidate: Candidate) -> NDArray[np.float32]:
        """Return a point, float32 [size], at which ``candidate`` stands; equal candidates have equal points."""
        values = np.empty(self.size, np.float64)
        for part in self._parts:
            leaf = candidate
            for name in part.path:
                leaf = leaf[name]
            if isinstance(part.space, ArraySpace):
                own = np.concatenate([np.asarray(leaf[name], np.float64).ravel() for name in part.space.shapes])
            else:
                own = part.space.to_unit(leaf)
            values[part.start : part.stop] = own
        return ((values - self._centre) / self._ratio).astype(np.float32)

    def spread(self, key: int, count: int) -> NDArray[np.float32]:
        """Return ``count`` first points, float32 [count, size]: uniform in the cube, normal with ``std`` for arrays."""
        rng = generator(key)
        points = np.empty((count, self.size), np.float64)
        points[:, : self._cube] = rng.random((count, self._cube)) - 0.5
        points[:, self._cube :] = rng.standard_normal((count, self.size - self._cube)) * self.std
        return points.astype(np.float32)


def reflect(unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``unit`` mirrored at 0 and 1 as often as it takes to lie between them."""
    folded = np.mod(unit, 2.0)
    return np.where(folded > 1.0, 2.0 - folded, folded)


def _leaves(space: Space, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Space]]:
    if not isinstance(space, ProductSpace):
        yield path, space
        return
    for name, part in space.parts.items():
        yield from _leaves(part, (*path, name))


def _entries(space: ArraySpace) -> int:
    return sum(math.prod(shape) for shape in space.shapes.values())


def _arrays(space: ArraySpace, values: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    made: dict[str, NDArray[np.float32]] = {}
    start = 0
    for name, shape in space.shapes.items():
        stop = start + math.prod(shape)
        made[name] = values[start:stop].reshape(shape).astype(np.float32)
        start = stop
    return made
