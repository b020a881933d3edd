"""Which objective a learner minimises: from what a person writes to a pytree of arrays, checked against what the learner computes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from autorl.errors import IncompatibleError, UsageError
from autorl.inner.registers import FAMILIES
from autorl.objectives.protocol import Objective


def choose(value: Any, families: tuple[str, ...]) -> Objective | None:
    """Return the objective that ``value`` means, its leaves numpy arrays; None is the algorithm's own hand-written loss.

    Args:
        value: None, an `Objective`, or the name (or path) of a loss graph in the catalogue ``learned_objectives``,
            which is then compiled as straight-line code.
        families: Register families that the learner fills in.

    Raises:
        IncompatibleError: The objective is of another family; says which learners fill that one in.
        UsageError: No objective, no such name, a register that does not exist, or leaves that are not numbers.
    """
    if value is None:
        return None
    shown = _shown(value)
    if isinstance(value, str):
        value = _compiled(value)
    if isinstance(value, type) or not isinstance(value, Objective):
        raise UsageError(
            f"expected an objective (family, needs and per_sample) or the name of one in the catalogue, "
            f"got {shown}; see them with: autorl list objectives"
        )
    if value.family not in families:
        fitting = ", ".join(map(repr, learners_of(value.family))) or "none"
        raise IncompatibleError(
            f"the objective {shown} reads registers of family {value.family!r}, this learner fills in "
            f"{' or '.join(map(repr, families))}; learners that fit: {fitting}"
        )
    unknown = sorted(set(value.needs) - set(FAMILIES[value.family]))
    if unknown:
        known = ", ".join(FAMILIES[value.family])
        raise UsageError(f"the objective {shown} needs {unknown}, but family {value.family!r} has {known}")
    return _with_arrays(value, shown)


def learners_of(family: str) -> Iterator[str]:
    """Yield the names of the learners that fill in the registers of ``family``."""
    from autorl.inner.algorithms import ALGORITHMS  # these import us

    for name in ALGORITHMS:
        fields = dataclasses.fields(ALGORITHMS.load(name).Hyperparameters)
        if any(family in field.metadata.get("families", ()) for field in fields):
            yield name


def _compiled(name: str) -> Objective:
    from autorl.objectives.graphs.runners import compiled
    from autorl.objectives.loader import load_objective

    return compiled(load_objective(name).graph)


def _with_arrays(objective: Objective, shown: str) -> Objective:
    """Return ``objective`` with numpy leaves of jax's own precision, so that members stack."""

    def array(leaf: Any) -> np.ndarray:
        found = np.asarray(leaf)
        if found.dtype.kind not in "biuf":
            raise UsageError(f"the objective {shown} holds {leaf!r}; its leaves must be arrays of numbers")
        return found.astype(jax.dtypes.canonicalize_dtype(found.dtype))

    found: Objective = jax.tree.map(array, objective)
    return found


def _shown(value: Any) -> str:
    """Return a name for ``value`` that fits on a line."""
    name = getattr(value, "name", None)
    if isinstance(value, Objective) and not isinstance(value, type):
        return repr(name) if isinstance(name, str) else type(value).__name__
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
