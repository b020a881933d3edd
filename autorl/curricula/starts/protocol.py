"""The contract of starters: teachers that set in which state an episode starts, from an archive in their own state.

As for `autorl.curricula.protocol.Teacher`, all is pure and traced, and parameters are data. An episode *goes on from* an entry of the
archive, its clock included, or starts afresh, by the environment's own reset. Agents are examined on fresh episodes alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import jax.numpy as jnp
from jax import Array

from autorl.curricula.starts.archive import Archive
from autorl.curricula.starts.guide import STUDY, Guide, guide_policy
from autorl.declarations import make_hyperparameters
from autorl.errors import UsageError


class HasArchive(Protocol):
    """What a starter's state must have."""

    @property
    def archive(self) -> Archive:
        """Where episodes may start."""


State = TypeVar("State", bound=HasArchive)
MakeArchive = Callable[[int], Archive]
"""From a room to the empty archive of the environment's states."""


class Starts(NamedTuple):
    """How n episodes start.

    Attributes:
        restored: bool [n]; from the archive, not afresh.
        places: int32 [n]; where in the archive.
        tasks: float32 [n, D]; points of [0, 1]^D.
        blocks: int32 [n]; of the `autorl.curricula.starts.stage.Block` that each is judged in, -1 for none.
    """

    restored: Array
    places: Array
    tasks: Array
    blocks: Array


class Episodes(NamedTuple):
    """n episodes that ended.

    Attributes:
        restored: bool [n]; whether they had started from the archive.
        lengths: int32 [n]; env steps before they started.
        scores: float32 [n]; what a whole episode through their start gave, on the scale where the ends of the score range are 0 and 1.
        valid: bool [n]; the others have no score, or are of another round.
        blocks: int32 [n]; as they were proposed.
        ended: bool [n]; the others are none, and change nothing.
    """

    restored: Array
    lengths: Array
    scores: Array
    valid: Array
    blocks: Array
    ended: Array


@dataclass(frozen=True)
class Starter(ABC, Generic[State]):
    """What sets where episodes start.

    Attributes:
        dimensions: Numbers that vary in a task, D; 0 where none does.
        entries: Numbers of an observation.
    """

    dimensions: int
    entries: int

    name: ClassVar[str]
    """Its name in `autorl.curricula.teachers.STARTERS`."""
    reference: ClassVar[str]
    """Authors, year and title."""
    Parameters: ClassVar[type[Any]]
    """Its parameters, declared as hyperparameters are."""
    sets_tasks: ClassVar[bool] = False
    """Whether it varies tasks too, where there are any. If not, all episodes are of the environment's task, and D is 0."""
    scores: ClassVar[tuple[str, ...]] = ()
    """Parameters that are compared with returns, whose defaults are for scores from 0 to 1."""
    hears_starts: ClassVar[bool] = False
    """Whether `begun` is to be called."""

    def parameters(self, values: Mapping[str, Any] | None = None) -> Any:
        """Return ``Parameters`` with ``values``, the others at their defaults.

        Raises:
            UsageError: An unknown name, or a value out of range.
        """
        sizes = {"dimensions": self.dimensions, "entries": self.entries}
        try:
            return make_hyperparameters(self.Parameters, values or {}, sizes)
        except UsageError as error:
            raise UsageError(f"teacher {self.name!r}: {error}") from error

    def needs(self, params: Any) -> frozenset[str]:
        """Return the channels of feedback that it reads."""
        return frozenset({"returns"})

    def round(self, state: State) -> Array:
        """Return the round in which episodes are proposed now, int32: what began in another one is neither watched nor counted."""
        return jnp.int32(0)

    def limit(self, params: Any) -> Array | None:
        """Return after how many steps an episode that goes on from the archive is truncated, int32; None: only by the environment."""
        return None

    @abstractmethod
    def init(self, params: Any, make: MakeArchive, seed: Array) -> State:
        """Return the first state; ``seed`` is uint32 [2], see `autorl.curricula.protocol.stream`."""

    @abstractmethod
    def propose(self, params: Any, state: State, key: Array, n: int) -> Starts:
        """Return how n episodes are to start."""

    def begun(self, params: Any, state: State, starts: Starts, which: Array) -> State:
        """Return the state after those of n episodes began that ``which`` [n] says; ``starts`` says how, but not from which place."""
        return state

    @abstractmethod
    def watch(self, params: Any, state: State, visited: Archive) -> State:
        """Return the state after N steps led to ``visited`` [N] (filled where the episode goes on from there), in their order."""

    @abstractmethod
    def update(self, params: Any, state: State, told: Episodes) -> State:
        """Return the state after n episodes."""


GUIDE = (
    "module:attribute, a function from (observation, random key) to an action; or study:NAME, a study with its policy."
)
"""What the parameter ``guide`` says."""


@dataclass(frozen=True)
class GuidedStarter(Starter[State]):
    """A starter from the states of a guide; its parameters name that (``guide``), and how many ``trajectories`` of it there are."""

    def parameters(self, values: Mapping[str, Any] | None = None) -> Any:
        """Return ``Parameters`` with ``values``; raise `UsageError` also where there is no such function. Studies are read later."""
        params = super().parameters(values)
        if params.guide.startswith(STUDY):
            return params
        try:
            guide_policy(params.guide)
        except UsageError as error:
            raise UsageError(f"teacher {self.name!r}: {error}") from error
        return params

    def init(self, params: Any, make: MakeArchive, seed: Array) -> State:
        """Not to be called: `begin` takes its place."""
        raise AssertionError("a guided starter begins with its guide")

    @abstractmethod
    def begin(self, params: Any, guide: Guide, scores: Array, seed: Array) -> State:
        """Return the first state, with the ``guide`` and the ``scores`` [M] of its episodes."""


def afresh(n: int, dimensions: int) -> Starts:
    """Return n episodes that start by the environment's own reset."""
    return Starts(
        jnp.zeros(n, jnp.bool_), jnp.zeros(n, jnp.int32), jnp.zeros((n, dimensions)), jnp.full(n, -1, jnp.int32)
    )
