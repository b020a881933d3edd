"""CARL's context spaces as ours: the ranges of its features, read off its objects or off the JSON that ConfigSpace writes of them.

CARL's features are hyperparameters of ConfigSpace. They are read by their attributes (``lower``, ``upper``, ``log``), so neither package
is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from autorl.environments.protocol import Environment
from autorl.environments.task_box import TaskBox, TaskDimension, task_space
from autorl.errors import UsageError
from autorl.interop.carl.names import Counterpart, counterpart


@dataclass(frozen=True)
class _Feature:
    """What a feature says of itself; ``lower`` and ``upper`` are None where it is no range."""

    name: str
    lower: Any
    upper: Any
    log: bool
    whole: bool
    problem: str = ""


def vary_from_space(environment: str | Environment, space: Any) -> dict[str, tuple[float, float] | None]:
    """Return the ranges of ``space`` as the ``tasks: {vary: ...}`` of experiments, in its order.

    How values within a range are proposed, by differences or by ratios, is then the dimension's own; `box_from_space` takes it over.

    Args:
        environment: ``contextual:NAME`` or such an environment.
        space: A ``ContextSpace``, a ``ContextSampler``, features by name or in a list, or the content of ConfigSpace's JSON. Of a
            ``ContextSpace``, which is all that there is, features that change nothing are left out, and so is what the environment has
            no use for (negative torque noise).

    Returns:
        Our name -> (low, high), or None, its own range, where CARL gives none: an infinite one.

    Raises:
        UsageError: An environment that CARL does not have; or listing features that are unknown, categorical or normally distributed,
            change nothing, have one infinite end, or go beyond what the environment allows.
    """
    made, there = counterpart(environment)
    box = task_space(made)
    known = {one.name: one for one in box.dimensions}
    whole_space = isinstance(getattr(space, "context_space", None), Mapping) and not isinstance(space, Mapping)
    ranges: dict[str, tuple[float, float] | None] = {}
    wrong: list[str] = []
    for feature in _features(space):
        if whole_space and feature.name in there.inert:
            continue
        try:
            name, given = _range(there, feature, known)
            if whole_space and given is not None:  # all of CARL's: what makes no sense here is not asked for
                given = max(given[0], known[name].least), min(given[1], known[name].greatest)
            if name in ranges:
                raise UsageError("there is another one of this name")
            ranges[name] = given
            box.only({name: given})
        except UsageError as error:
            wrong.append(f"feature {feature.name!r}: {error}")
    if not wrong and not ranges:
        wrong = ["context space: it has no feature"]
    if wrong:
        raise UsageError("; ".join(wrong))
    return ranges


def box_from_space(environment: str | Environment, space: Any) -> TaskBox:
    """Return ``space`` as a box of tasks: its ranges, logarithmic and whole where it is; else as `vary_from_space`."""
    made, there = counterpart(environment)
    ranges = vary_from_space(made, space)
    said = {there.ours(one.name): one for one in _features(space) if one.name not in there.inert}

    def dimension(one: TaskDimension) -> TaskDimension:
        feature = said[one.name]
        return one if ranges[one.name] is None else replace(one, log=feature.log, whole=feature.whole)

    return TaskBox(tuple(map(dimension, task_space(made).only(ranges).dimensions)))


def _range(
    there: Counterpart, feature: _Feature, known: Mapping[str, TaskDimension]
) -> tuple[str, tuple[float, float] | None]:
    """Return our name of a feature and its range."""
    name = there.ours(feature.name)
    if feature.problem:
        raise UsageError(feature.problem)
    if not all(isinstance(end, int | float) and not math.isnan(end) for end in (feature.lower, feature.upper)):
        raise UsageError(f"expected numbers lower and upper, got {feature.lower!r} and {feature.upper!r}")
    low, high = float(feature.lower), float(feature.upper)
    if math.isfinite(low) and math.isfinite(high):
        return name, (max(low, _at(known[name].least, low)), min(high, _at(known[name].greatest, high)))
    limit = there.limits[name]
    if (low, high) in ((limit.least, limit.greatest), (-math.inf, math.inf)):
        return name, None
    raise UsageError(f"a range from {low:g} to {high:g} has an end that no teacher reaches; make both finite")


def _at(limit: float, value: float) -> float:
    """Return ``limit`` if ``value`` is it but for the digits that ConfigSpace leaves off, else ``value``."""
    return limit if math.isclose(limit, value, rel_tol=1e-12) else value


def _features(space: Any) -> list[_Feature]:
    if isinstance(space, Mapping) and isinstance(space.get("hyperparameters"), list):
        return [_from_json(entry) for entry in space["hyperparameters"]]
    inner = space if isinstance(space, Mapping) else getattr(space, "context_space", space)
    if isinstance(inner, Mapping):
        return [_from_object(str(name), one) for name, one in inner.items()]
    if isinstance(inner, Iterable) and not isinstance(inner, str):
        return [_from_object(str(getattr(one, "name", one)), one) for one in inner]
    raise UsageError(
        f"context space: expected CARL's ContextSpace or ContextSampler, its features, or the content of ConfigSpace's JSON, "
        f"got {type(space).__name__}"
    )


def _from_object(name: str, feature: Any) -> _Feature:
    lower, upper = (getattr(feature, end, None) for end in ("lower", "upper"))
    whole = "Integer" in type(feature).__name__
    distribution = (
        "categorical" if hasattr(feature, "choices") else "normal" if hasattr(feature, "sigma") else "uniform"
    )
    return _Feature(name, lower, upper, bool(getattr(feature, "log", False)), whole, _problem(distribution))


def _from_json(entry: Any) -> _Feature:
    if not isinstance(entry, Mapping):
        raise UsageError(f"context space: expected a mapping for each hyperparameter, got {entry!r:.60}")
    distribution, _, kind = str(entry.get("type")).partition("_")
    log = bool(entry.get("log", False))
    return _Feature(
        str(entry.get("name")), entry.get("lower"), entry.get("upper"), log, kind == "int", _problem(distribution)
    )


def _problem(distribution: str) -> str:
    if distribution == "uniform":
        return ""
    if distribution == "categorical":
        return "it is categorical, and a dimension of tasks is a number; take a uniform range, or list its contexts"
    return (
        f"its distribution is {distribution!r}, and tasks are drawn uniformly; take a uniform range, or sample contexts"
    )
