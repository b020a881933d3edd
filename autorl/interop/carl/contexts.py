"""CARL's contexts (Benjamins et al., 2023), ``{id: {feature: value}}``, as tasks of our contextual environments, and back.

Plain dictionaries on both sides: CARL itself is not needed, and may live in another installation. Names may be CARL's
(``LINK_MOI``) or ours (``link_moi``); what is written has CARL's.

Written contexts are whole, every feature in each: CARL sets only what a context names, so that features which the next context leaves out
keep the values of the one before (seen in carl-bench 1.1.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from autorl.environments.protocol import Environment, Task
from autorl.environments.task_box import TaskBox, TaskDimension
from autorl.environments.task_points import BoxPoints, task_points, tasks_at
from autorl.environments.tasks import make_task
from autorl.errors import UsageError
from autorl.interop.carl.names import Counterpart, counterpart

Context = dict[str, float]
_SHOWN: Final = 5
"""Problems of contexts that one error lists."""
_DIGITS: Final = 13
"""Decimals to which ConfigSpace, and with it CARL, rounds its limits."""


def overrides_from_contexts(
    environment: str | Environment, contexts: Mapping[Any, Mapping[str, Any]] | Sequence[Mapping[str, Any]]
) -> dict[Any, dict[str, float]]:
    """Return what each context differs in from the default, as the ``tasks: {named: [...]}`` of experiments has it.

    Args:
        environment: ``contextual:NAME`` or such an environment.
        contexts: CARL's, by id; or a sequence, whose ids are its places.

    Raises:
        UsageError: An environment that CARL does not have; or listing the contexts with unknown features (did you mean), features that
            change nothing but have another value than their default, values that are no numbers, and those beyond the limits.
    """
    tasks = tasks_from_contexts(environment, contexts)
    made, _ = counterpart(environment)
    default: Mapping[str, Any] = made.default_task()
    return {
        key: {name: _decimal(value) for name, value in task.items() if value != np.asarray(default[name])}
        for key, task in tasks.items()
    }


def tasks_from_contexts(
    environment: str | Environment, contexts: Mapping[Any, Mapping[str, Any]] | Sequence[Mapping[str, Any]]
) -> dict[Any, Task]:
    """Return the task of each context, for ``reset`` and ``step``; arguments and errors are those of `overrides_from_contexts`."""
    made, there = counterpart(environment)
    tasks: dict[Any, Task] = {}
    wrong: list[str] = []
    for key, context in _by_id(contexts, "contexts").items():
        try:
            tasks[key] = make_task(made, _entries(there, context))
        except UsageError as error:
            wrong.append(f"context {key!r}: {error}")
    _refuse(wrong)
    return tasks


def contexts_from_tasks(
    environment: str | Environment, tasks: Mapping[Any, Mapping[str, Any]] | Sequence[Mapping[str, Any]]
) -> dict[Any, Context]:
    """Return ``tasks`` as contexts that CARL's environment can be made with, whole ones under CARL's names.

    Args:
        environment: ``contextual:NAME`` or such an environment.
        tasks: By id, or in order. Each is a task, or what it differs in from the default.

    Raises:
        UsageError: An environment that CARL does not have; or listing the tasks with wrong entries, or values beyond CARL's limits
            (``contextual:CartPole-wide`` has such).
    """
    made, there = counterpart(environment)
    box = TaskBox(tuple(there.limits.values()))
    contexts: dict[Any, Context] = {}
    wrong: list[str] = []
    for key, given in _by_id(tasks, "tasks").items():
        try:
            task = make_task(made, given)
        except UsageError as error:
            wrong.append(f"task {key!r}: {error}")
            continue
        wrong += [f"task {key!r}: {problem}, by CARL's limits" for problem in box.problems(task)]
        contexts[key] = {
            name: there.inert[name][0]
            if name in there.inert
            else _exact(task[name.lower()], there.limits[name.lower()])
            for name in there.features
        }
    _refuse(wrong)
    return contexts


def contexts_at(
    environment: str | Environment, points: ArrayLike, vary: TaskBox | Mapping[str, Any] | None = None
) -> dict[Any, Context]:
    """Return what teachers propose as contexts.

    Args:
        environment: ``contextual:NAME`` or such an environment.
        points: [N, D] in [0, 1]^D, as a teacher of a study proposes them and `autorl.environments.task_points.grid_points` makes them.
        vary: What their D coordinates mean, as in experiments: dimension -> [low, high] or None for its own range; or a box. All if None.

    Raises:
        UsageError: Points of another shape or outside [0, 1]^D, unknown dimensions, and as `contexts_from_tasks`.
    """
    made, _ = counterpart(environment)
    written = BoxPoints(vary) if isinstance(vary, TaskBox) else task_points(made, vary)
    where = np.asarray(points, np.float32)
    if where.ndim != 2 or where.shape[1] != written.dimensions or not np.all((where >= 0) & (where <= 1)):
        raise UsageError(f"points: expected [N, {written.dimensions}] within [0, 1], got shape {list(where.shape)}")
    return contexts_from_tasks(made, _unstacked(tasks_at(written, made.default_task(), where)))


def held_out_contexts(environment: Mapping[str, Any]) -> dict[Any, Context]:
    """Return the tasks that a study scores agents on, as contexts: the same tasks, in its order.

    Args:
        environment: The section ``environment`` of an experiment: ``{id, task, tasks: {vary, held_out | grid | named, seed}}``.

    Raises:
        UsageError: Naming what is wrong with the section, or that it has none of held_out, grid and named; and as `contexts_from_tasks`.
    """
    from pydantic import ValidationError

    from autorl.engine.lessons import exam
    from autorl.inner.evaluation import TaskSet
    from autorl.studies.models import EnvironmentChoice

    try:
        choice = EnvironmentChoice.model_validate(dict(environment))
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"environment.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    made, _ = counterpart(choice.id)
    tasks = exam(choice, made, make_task(made, choice.task))
    if not isinstance(tasks, TaskSet):
        raise UsageError(
            "environment.tasks: expected one of held_out, grid and named, which say what agents are scored on"
        )
    return contexts_from_tasks(made, _unstacked(tasks.tasks))


def _entries(there: Counterpart, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a context under our names, without features that change nothing (at their default)."""
    if not isinstance(context, Mapping):
        raise UsageError(f"expected a mapping of features to numbers, got {context!r:.60}")
    entries: dict[str, Any] = {}
    for feature, value in context.items():
        if feature in there.inert and _is_default(value, there.inert[feature][0]):
            continue  # CARL fills every context up with its defaults
        name = there.ours(feature)
        if name in entries:
            raise UsageError(f"{name!r} has two values, under CARL's name and under ours")
        entries[name] = value
    return entries


def _is_default(value: Any, default: float) -> bool:
    return isinstance(value, int | float | np.number) and bool(np.float32(value) == np.float32(default))


def _by_id(given: Any, what: str) -> dict[Any, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, Sequence) and not isinstance(given, str):
        return dict(enumerate(given))
    raise UsageError(f"{what}: expected a mapping of ids or a sequence, got {type(given).__name__}")


def _unstacked(tasks: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return stacked tasks, entries [N], one by one."""
    count = len(next(iter(tasks.values())))
    return [{name: entry[i] for name, entry in tasks.items()} for i in range(count)]


def _decimal(value: Any) -> float:
    """Return a float32 as the shortest decimal that is it."""
    return float(str(np.float32(value)))


def _exact(value: Any, dimension: TaskDimension) -> float:
    """Return a float32 as CARL writes it: limits and defaults to the digit, so that they pass its own check."""
    for mark in (dimension.default, dimension.least, dimension.greatest):
        if np.float32(mark) == np.float32(value):
            return round(float(mark), _DIGITS)
    return _decimal(value)


def _refuse(wrong: Sequence[str]) -> None:
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise UsageError("; ".join(wrong[:_SHOWN]) + more)
