"""The contract of the inner loop: how an agent learns.

A learner is a frozen dataclass over an environment. Its methods are pure, for **one** member; the engine maps them over a population.
Hyperparameters are one frozen dataclass, registered as a pytree: traced fields are its leaves, static fields its structure, so that
the structure *is* the static signature by which the engine groups trials, and jit keys its programs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.protocol import Environment, Task
from autorl.errors import UsageError, suggestion
from autorl.inner.objective_choice import choose

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
    """

    returns: Array
    env_steps: Array


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


def traced(default: Any, help: str, *, low: float | None = None, high: float | None = None) -> Any:
    """Declare a hyperparameter that is data of the program: changing it compiles nothing. ``low``/``high`` are inclusive."""
    return dataclasses.field(default=default, metadata={"traced": True, "help": help, "low": low, "high": high})


def static(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """Declare a hyperparameter that shapes the program: each value compiles its own."""
    return dataclasses.field(
        default=default,
        metadata={"traced": False, "help": help, "low": low, "high": high, "choices": choices},
    )


def objective_field(families: tuple[str, ...], help: str) -> Any:
    """Declare what the agent minimises: a pytree, whose leaves are data of the program and whose structure shapes it.

    The default is None, the algorithm's own hand-written loss. ``families`` are the register families that the learner
    fills in (see `autorl.inner.objective_choice`).
    """
    return dataclasses.field(default=None, metadata={"traced": False, "help": help, "families": families})


H = TypeVar("H")


@dataclass_transform(frozen_default=True, field_specifiers=(traced, static, objective_field))
def hyperparameters(cls: type[H]) -> type[H]:
    """Class decorator: frozen dataclass, registered as a pytree.

    Traced fields are leaves, static fields structure, an objective a subtree.
    """
    made: type[H] = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    fields = dataclasses.fields(made)  # type: ignore[arg-type]
    names = {f.name: bool(f.metadata["traced"] or "families" in f.metadata) for f in fields}
    jax.tree_util.register_dataclass(
        made,
        data_fields=[n for n, is_traced in names.items() if is_traced],
        meta_fields=[n for n, is_traced in names.items() if not is_traced],
    )
    return made


def is_traced(cls: type, name: str) -> bool:
    """Return whether hyperparameter ``name`` of ``cls`` is traced: no value of it compiles a program of its own."""
    return bool(cls.__dataclass_fields__[name].metadata["traced"])  # type: ignore[attr-defined]


def static_values(hp: Any) -> dict[str, Any]:
    """Return the static hyperparameters of ``hp``, plain values by name: what its program was compiled for.

    The structure of an objective is static too; of it this says only its kind, and nothing where there is none.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(hp):
        value = getattr(hp, field.name)
        if "families" not in field.metadata:
            found |= {} if field.metadata["traced"] else {field.name: value}
        elif value is not None:
            found[field.name] = type(value).__name__
    return found


def problems(cls: type, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, message) for every unknown name, wrong type and value out of range in ``values``."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if name not in fields:
            found.append((name, f"unknown hyperparameter {name!r}.{suggestion(name, fields)}"))
            continue
        if "families" in fields[name].metadata:
            try:
                choose(value, fields[name].metadata["families"])
            except UsageError as error:
                found.append((name, f"{name}: {error}"))
            continue
        message = _value_problem(fields[name], value)
        if message:
            found.append((name, f"{name}: {message}, got {value!r}"))
    return found


def _value_problem(field: dataclasses.Field[Any], value: Any) -> str | None:
    default, meta = field.default, field.metadata
    choices = meta.get("choices")
    if choices is not None:
        return None if value in choices else f"expected one of {', '.join(map(repr, choices))}"
    if isinstance(default, bool):
        return None if isinstance(value, bool | np.bool_) else "expected true or false"
    if isinstance(default, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            return "expected a number"
        if isinstance(default, int) and float(value) != int(value):
            return "expected a whole number"
        low, high = meta["low"], meta["high"]
        if not np.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            return f"expected a value in [{'-inf' if low is None else low}, {'inf' if high is None else high}]"
    return None


def make_hyperparameters(cls: type[H], values: Mapping[str, Any]) -> H:
    """Build ``cls`` from plain values (missing ones take the default); leaves become float32 / int32 / bool scalars.

    An objective may be given by its name in the catalogue.

    Raises:
        IncompatibleError: The objective reads what this learner does not compute, and nothing else is wrong.
        UsageError: Listing every unknown name and every value out of range.
    """
    wrong = problems(cls, values)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    objectives = {field.name for field in fields if "families" in field.metadata}
    if any(name not in objectives for name, _ in wrong):
        raise UsageError("; ".join(message for _, message in wrong))
    arguments: dict[str, Any] = {}
    for field in fields:
        value = values.get(field.name, field.default)
        if "families" in field.metadata:
            arguments[field.name] = choose(value, field.metadata["families"])
        elif not field.metadata["traced"]:
            kind: type[Any] = type(field.default)
            arguments[field.name] = kind(value)
        elif isinstance(field.default, bool):
            arguments[field.name] = np.asarray(value, np.bool_)
        elif isinstance(field.default, int):
            arguments[field.name] = np.asarray(value, np.int32)
        else:
            arguments[field.name] = np.asarray(value, np.float32)
    return cls(**arguments)


def all_finite(*trees: Any) -> Array:
    """Return a bool scalar: every inexact leaf of every tree is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(trees) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
