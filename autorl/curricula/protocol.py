"""The contract of teachers: a pure fold that proposes tasks in a box and learns from the returns of their episodes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autorl.curricula.packing import pack, unpack
from autorl.errors import UsageError
from autorl.keys import generator

Floats = NDArray[np.float64]
State = TypeVar("State")


@dataclass(frozen=True)
class TaskSpace:
    """A box of tasks.

    Attributes:
        low: Least value of each coordinate, one for each of D dimensions.
        high: Greatest value of each coordinate.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.low or len(self.low) != len(self.high):
            raise UsageError(
                f"task space: low {self.low!r} and high {self.high!r} must be equally long, at least 1 entry."
            )
        for i, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise UsageError(f"task space: dimension {i}: expected finite low < high, got {low!r} and {high!r}.")

    @classmethod
    def unit(cls, dimensions: int) -> TaskSpace:
        """Return [0, 1]^dimensions."""
        return cls((0.0,) * dimensions, (1.0,) * dimensions)

    @property
    def dimensions(self) -> int:
        """Number of coordinates, D."""
        return len(self.low)

    def from_unit(self, points: Floats) -> Floats:
        """Return points of [0, 1]^D, shape [..., D], as tasks."""
        low, high = np.array(self.low), np.array(self.high)
        return np.clip(low + points * (high - low), low, high)

    def to_unit(self, tasks: Floats) -> Floats:
        """Return tasks, shape [..., D], as points of [0, 1]^D."""
        low, high = np.array(self.low), np.array(self.high)
        return np.clip((tasks - low) / (high - low), 0.0, 1.0)


@dataclass(frozen=True)
class Proposal:
    """Tasks to play next.

    Attributes:
        tasks: float64 [n, D], within the task space.
        train: bool [n]; where False, the episode is only looked at: the agent must not learn from it.
    """

    tasks: Floats
    train: NDArray[np.bool_]


@dataclass(frozen=True)
class Feedback:
    """What became of n episodes; channels that nobody measured are None.

    Attributes:
        returns: float [n], return of each episode on a scale of the caller's choice (about [0, 1] suits every teacher here).
            One that is not finite says that its episode told nothing, and the teacher skips it.
        successes: bool [n], whether the episode reached its goal.
        values: float [n], the agent's estimate of the return at the first observation.
        antagonist_returns: float [n], return of a second agent in the same task.
    """

    returns: ArrayLike
    successes: ArrayLike | None = None
    values: ArrayLike | None = None
    antagonist_returns: ArrayLike | None = None


CHANNELS = frozenset(field.name for field in fields(Feedback))
"""What a teacher may need: the names of the fields of `Feedback`."""


@dataclass(frozen=True)
class Teacher(ABC, Generic[State]):
    """What picks the next task. Its settings are the fields of the dataclass after ``space``.

    States are frozen dataclasses of arrays and numbers (`autorl.curricula.packing`). They are never changed: `update` returns a new one.

    Attributes:
        space: The tasks that may be proposed.
    """

    space: TaskSpace

    name: ClassVar[str]
    """Its name in `autorl.curricula.teachers.TEACHERS`."""
    reference: ClassVar[str]
    """Authors, year and title."""
    state_type: ClassVar[type[Any]]
    """The class of its states."""
    needs: ClassVar[frozenset[str]] = frozenset({"returns"})
    """The channels of `Feedback` that `update` reads; a subset of `CHANNELS`."""

    @abstractmethod
    def init(self, key: int) -> State:
        """Return the state before the first episode; ``key`` (see `autorl.keys`) decides all that `update` draws."""

    def propose(self, state: State, key: int, n: int) -> Proposal:
        """Return ``n`` tasks to play at once, a function of ``state`` and ``key`` alone.

        Raises:
            UsageError: ``n`` below 1.
        """
        if n < 1:
            raise UsageError(f"teacher {self.name!r}: n: expected at least 1 task, got {n!r}.")
        unit = self._propose(state, generator(key), n)
        return Proposal(self.space.from_unit(unit), np.ones(n, dtype=np.bool_))

    def update(self, state: State, tasks: ArrayLike, feedback: Feedback) -> State:
        """Return the state after n episodes, in the order given. Episodes without a finite return are skipped.

        Args:
            state: The state before them.
            tasks: float [n, D]; tasks that were played, proposed by this teacher or not.
            feedback: What became of them, with every channel of ``needs``.

        Raises:
            UsageError: Wrong shapes, or a channel that is missing.
        """
        played = np.asarray(tasks, dtype=np.float64)
        if played.ndim != 2 or played.shape[1] != self.space.dimensions:
            raise UsageError(
                f"teacher {self.name!r}: tasks: expected shape [n, {self.space.dimensions}], got {list(played.shape)}."
            )
        channels = {name: self._channel(feedback, name, len(played)) for name in sorted(self.needs)}
        if "returns" not in channels:
            return state
        kept = np.isfinite(channels["returns"])
        if not kept.any():
            return state
        return self._learn(state, self.space.to_unit(played[kept]), {name: x[kept] for name, x in channels.items()})

    def to_arrays(self, state: State) -> dict[str, NDArray[Any]]:
        """Return ``state`` as named arrays (a checkpoint's)."""
        return pack(state)

    def from_arrays(self, arrays: dict[str, NDArray[Any]]) -> State:
        """Return the state that `to_arrays` turned into ``arrays``.

        Raises:
            UsageError: Arrays of something else.
        """
        restored: State = unpack(self.state_type, arrays)
        return restored

    @abstractmethod
    def _propose(self, state: State, rng: np.random.Generator, n: int) -> Floats:
        """Return n points of [0, 1]^D, shape [n, D]."""

    @abstractmethod
    def _learn(self, state: State, points: Floats, feedback: dict[str, Floats]) -> State:
        """Return the state after episodes at ``points``, [n, D] in [0, 1]^D, whose returns are finite."""

    def _channel(self, feedback: Feedback, name: str, n: int) -> Floats:
        value = getattr(feedback, name)
        if value is None:
            raise UsageError(f"teacher {self.name!r}: feedback: it needs {name!r}, which was not measured.")
        array = np.asarray(value, dtype=np.float64)
        if array.shape != (n,):
            raise UsageError(
                f"teacher {self.name!r}: feedback {name!r}: expected shape [{n}], got {list(array.shape)}."
            )
        return array

    def _require(self, **settings: tuple[float, float, float]) -> None:
        """Raise `UsageError` for a setting outside its range; each is (value, least, greatest)."""
        for name, (value, low, high) in settings.items():
            if not low <= value <= high:
                raise UsageError(
                    f"teacher {self.name!r}: setting {name!r}: expected a number from {low:g} to {high:g}, got {value!r}."
                )


def choose(rng: np.random.Generator, weights: Floats | Sequence[float], n: int) -> NDArray[np.int64]:
    """Draw n indices in proportion to ``weights`` (at least 0); uniformly if all are 0. Returns int64 [n]."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    if edges[-1] <= 0:
        return rng.integers(len(edges), size=n)
    drawn = np.searchsorted(edges, rng.random(n) * edges[-1], side="right")
    # rounding can put the draw on the last edge itself
    return np.minimum(drawn, len(edges) - 1).astype(np.int64)
