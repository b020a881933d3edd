"""The contract of the inner loop: how an agent learns.

A learner is a frozen dataclass over an environment. Its methods are pure, for **one** member; the engine maps them over a population.
Hyperparameters are one frozen dataclass, registered as a pytree: traced fields are its leaves, static fields its structure, so that
the structure *is* the static signature by which the engine groups trials, and jit keys its programs.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from autorl.declarations import (
    hyperparameters,
    is_traced,
    make_hyperparameters,
    problems,
    static,
    static_values,
    traced,
)
from autorl.environments.protocol import Environment, Task
from autorl.errors import UsageError
from autorl.inner.course import Course
from autorl.inner.objective_choice import choose

__all__ = [
    "Evaluation",
    "Learner",
    "LearnerState",
    "Progress",
    "all_finite",
    "hyperparameters",
    "is_traced",
    "make_hyperparameters",
    "objective_field",
    "problems",
    "static",
    "static_values",
    "teacher_field",
    "traced",
]

LearnerState = Any
"""A pytree of arrays with (at least) the attribute ``progress: Progress``. All that is needed to go on training."""


class Progress(NamedTuple):
    """What every learner counts, inside the program. All scalars.

    Attributes:
        env_steps: int32; environment steps trained so far.
        updates: int32; gradient updates so far.
        diverged: bool; a non-finite loss or parameter was met. Training stopped there and the state is frozen.
        train_return: float32; mean undiscounted return of the last training episodes (exponential average; nan before any).
        metrics: dict of float32 scalars, last values (losses, entropy ...), fixed structure.
    """

    env_steps: Array
    updates: Array
    diverged: Array
    train_return: Array
    metrics: dict[str, Array]


class Evaluation(NamedTuple):
    """Outcome of evaluation episodes.

    Attributes:
        returns: float32 [episodes]; undiscounted.
        env_steps: int32 scalar; environment steps used, summed over episodes.
        successes: float32 [episodes]; the greatest success each reported. None: not asked for, or the environment reports none.
    """

    returns: Array
    env_steps: Array
    successes: Array | None = None


class Learner(Protocol):
    """One algorithm in one environment."""

    Hyperparameters: ClassVar[type]
    environment: Environment

    def init(self, key: Array, hp: Any, task: Task) -> LearnerState:
        """Return a fresh agent with its environments reset to ``task``."""

    def train(self, state: LearnerState, hp: Any, task: Task, until: Array, horizon: Array) -> LearnerState:
        """Train while another whole iteration fits into ``until`` env steps (cumulative, int32) and nothing diverged.

        ``horizon`` (int32) is the length of the whole training, for schedules (annealing, exploration). Cutting a training into segments
        changes no bit of it.
        """

    def evaluate(self, state: LearnerState, hp: Any, task: Task, key: Array, episodes: int) -> Evaluation:
        """Run ``episodes`` whole episodes with the deterministic policy; training state is untouched."""


def objective_field(families: tuple[str, ...], help: str) -> Any:
    """Declare what the agent minimises: a pytree, whose leaves are data of the program and whose structure shapes it.

    The default is None, the algorithm's own hand-written loss. ``families`` are the register families that the learner
    fills in (see `autorl.inner.objective_choice`).
    """
    metadata = {"traced": False, "help": help, "families": families, "parse": lambda value: choose(value, families)}
    return dataclasses.field(default=None, metadata=metadata)


def teacher_field(help: str) -> Any:
    """Declare what sets the tasks of the episodes: None, or a `Course`, whose parameters are data of the program."""
    return dataclasses.field(default=None, metadata={"traced": False, "help": help, "parse": _course})


def _course(value: Any) -> Course | None:
    if value is None or (isinstance(value, Course) and not isinstance(value, type)):
        return value
    raise UsageError(
        f"expected a course, got {value!r}; an experiment names its teacher in a section of its own: teacher"
    )


def all_finite(*trees: Any) -> Array:
    """Return a bool scalar: every inexact leaf of every tree is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(trees) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
