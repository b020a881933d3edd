"""The contract of an environment: pure functions, everything traced, tasks given at reset and at every step.

Letters for shapes, the same in every docstring: T time, B environments of one member, S seeds, P members, A actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jax import Array

Task = Any
"""A pytree of arrays: the parameters of one task or level. Same structure for all tasks of an environment."""
State = Any
"""A pytree of arrays. Data: it can be stored, copied and reset to."""


@dataclass(frozen=True)
class Discrete:
    """``n`` actions, int32 scalars 0..n-1."""

    n: int


@dataclass(frozen=True)
class Box:
    """Float actions of ``shape`` within [low, high] (the same bounds in every dimension)."""

    low: float
    high: float
    shape: tuple[int, ...]


class Step(NamedTuple):
    """The six values of a step. No automatic reset: ``observation`` is the one reached, also at the end of an episode.

    Attributes:
        observation: float32 [*observation_shape].
        state: Environment state after the step.
        reward: float32 scalar.
        terminated: bool scalar; the task ended, the value after it is 0.
        truncated: bool scalar; only the time limit ended it, so the value of ``observation`` is to be bootstrapped.
        info: dict of arrays with a fixed structure (may be empty).
    """

    observation: Array
    state: State
    reward: Array
    terminated: Array
    truncated: Array
    info: dict[str, Array]


class Reached(NamedTuple):
    """Where an environment stands, and what is seen there: enough to go on from.

    Attributes:
        observation: float32 [*observation_shape].
        state: Environment state.
    """

    observation: Array
    state: State


@runtime_checkable
class Environment(Protocol):
    """A contextual environment. Implementations are frozen, hashable dataclasses, usable as static arguments of jit."""

    @property
    def name(self) -> str:
        """Public name, as in the registry: ``gymnax:CartPole-v1``."""

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""

    @property
    def action_space(self) -> Discrete | Box:
        """What may be done."""

    @property
    def max_episode_steps(self) -> int:
        """Steps after which an episode is over at the latest (bounds the evaluation)."""

    def default_task(self) -> Task:
        """Return the standard task."""

    def reset(self, key: Array, task: Task) -> tuple[Array, State]:
        """Return (observation, state) at the start of an episode of ``task``."""

    def step(self, key: Array, state: State, action: Array, task: Task) -> Step:
        """Advance by one action."""


@runtime_checkable
class ResumableEnvironment(Environment, Protocol):
    """An environment in which what was reached in one task is not always a place of another, or is seen differently there."""

    def resumed(self, reached: Reached, task: Task) -> tuple[Reached, Array]:
        """Return what ``reached``, in whatever task, is in ``task``; and whether it can be gone on from there, bool scalar. Traceable."""


@runtime_checkable
class LevelEnvironment(Environment, Protocol):
    """An environment whose tasks are levels: structures, not points of a box, drawn by it and not all of them playable."""

    def sample_task(self, key: Array) -> Task:
        """Return a random task. Traceable."""

    def is_valid(self, task: Task) -> Array:
        """Return whether ``task`` can be played, bool scalar. Traceable."""
