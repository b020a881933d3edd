"""Tasks from plain values: the default task with some entries replaced, every name and number checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from autorl.environments.protocol import Environment, Task
from autorl.environments.task_box import TaskBox
from autorl.errors import UsageError, suggestion


def make_task(environment: Environment, overrides: Mapping[str, Any]) -> Task:
    """Return the default task of ``environment`` with ``overrides`` in place.

    An environment with its own ``task_from(overrides)`` decides itself; otherwise its default task must be a flat
    dict of arrays.

    Raises:
        UsageError: Unknown names (did you mean) and wrong values, all of them.
    """
    own = getattr(environment, "task_from", None)
    if own is not None:
        return own(overrides)
    default = environment.default_task()
    if not overrides:
        return default
    if not isinstance(default, Mapping):
        raise UsageError(
            f"environment {environment.name!r}: its task is no flat dict, so {', '.join(sorted(overrides))} "
            "cannot be set; give the environment a method task_from(overrides)"
        )
    return override_task(environment.name, default, overrides)


def override_task(
    name: str,
    default: Mapping[str, Any],
    overrides: Mapping[str, Any],
    fixed: Mapping[str, str] | None = None,
    space: TaskBox | None = None,
) -> dict[str, np.ndarray]:
    """Return ``default`` with ``overrides``, each with the shape and dtype of the entry it replaces.

    Args:
        name: Environment, for messages.
        default: Entry -> array.
        overrides: Entry -> number, bool, or a list of numbers where the entry is an array.
        fixed: Names that exist but cannot be set -> why.
        space: The declared task space, beyond whose limits values are refused.

    Raises:
        UsageError: Listing every problem.
    """
    task = {key: np.asarray(value) for key, value in default.items()}
    problems = []
    for key, value in overrides.items():
        if key in (fixed or {}):
            problems.append(f"{key!r} cannot be set: {(fixed or {})[key]}")
        elif key not in task:
            problems.append(f"unknown task parameter {key!r}.{suggestion(key, task)}")
        elif (problem := _problem(task[key], value)) is not None:
            problems.append(f"{key}: {problem}, got {value!r}")
        else:
            task[key] = np.asarray(value, dtype=task[key].dtype)
    if space is not None:
        problems += space.problems(task)
    if problems:
        raise UsageError(f"environment {name!r}: " + "; ".join(problems))
    return task


def _problem(default: np.ndarray, value: Any) -> str | None:
    """Return what is wrong with ``value`` as a replacement of ``default``, or None."""
    try:
        given = np.asarray(value)
    except ValueError:  # ragged lists
        return f"expected numbers of shape {default.shape}"
    if given.shape != default.shape:
        return "expected one number" if default.shape == () else f"expected numbers of shape {default.shape}"
    if default.dtype == np.bool_:
        return None if given.dtype == np.bool_ else "expected true or false"
    if given.dtype.kind not in "iuf":
        return "expected a number"
    if not np.all(np.isfinite(given)):
        return "expected a finite number"
    if default.dtype.kind in "iu":
        limits = np.iinfo(default.dtype)
        if np.any(given != np.floor(given)):
            return "expected a whole number"
        if np.any(given < limits.min) or np.any(given > limits.max):
            return f"expected a whole number in [{limits.min}, {limits.max}]"
    elif np.any(np.abs(given) > np.finfo(default.dtype).max):
        return f"expected a number that fits into {default.dtype}"
    return None
