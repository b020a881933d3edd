"""Learning a prior: one additive model for each task, by ridge regression on the ranks of its configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autorl.errors import UsageError
from autorl.outer.priors import Prior, PriorTask, Ruler, features
from autorl.spaces import Bool, Candidate, Categorical, Fixed, Float, HyperparameterSpace, Int, Value
from autorl.spaces.dimensions import Scale

RIDGE = 10.0
"""Weight of the penalty, in configurations: few of them say little."""
FEWEST = 8
"""Configurations of a task from which anything is learned."""


@dataclass(frozen=True)
class Tried:
    """What was tried in one task.

    Attributes:
        name: Of the task.
        environments: Names of its environments.
        space: What was searched.
        candidates: Configurations.
        merits: One for each, higher is better; only their order counts.
    """

    name: str
    environments: tuple[str, ...]
    space: HyperparameterSpace
    candidates: Sequence[Candidate]
    merits: Sequence[float]


def normal_scores(merits: Sequence[float]) -> NDArray[np.float64]:
    """Return the normal quantiles of the ranks, float64 [C]; equal merits share a rank."""
    from scipy.stats import norm, rankdata  # half a second: not before a prior is fitted

    made: NDArray[np.float64] = norm.ppf((rankdata(merits) - 0.5) / len(merits))
    return made


def fit_prior(name: str, learner: str | None, source: str, tasks: Sequence[Tried]) -> Prior:
    """Return the prior learned from ``tasks``.

    Its noise is the root mean square of what a task's utilities differ from the mean of the other tasks' models: it is learned by leaving
    one task out. From a single task nobody knows how alike others are: then it is 1, the spread of the utilities themselves.

    Raises:
        UsageError: No task, two of one name, one with fewer than `FEWEST` configurations, or no dimension that is searched.
    """
    names = [task.name for task in tasks]
    twice = sorted({n for n in names if names.count(n) > 1})
    if not tasks or twice:
        raise UsageError(f"prior {name!r}: expected tasks of different names, got {', '.join(twice) or 'none'}.")
    for task in tasks:
        if len(task.candidates) < FEWEST:
            message = f"it has {len(task.candidates)} finished configurations, at least {FEWEST} are needed"
            raise UsageError(f"prior {name!r}: task {task.name!r}: {message}. Remedy: leave it out.")
    rulers = rulers_of([task.space for task in tasks])
    if not rulers:
        raise UsageError(f"prior {name!r}: the spaces of its tasks search nothing that it could learn.")
    designs = [np.stack([features(rulers, task.space, c) for c in task.candidates]) for task in tasks]
    utilities = [normal_scores(task.merits) for task in tasks]
    weights = [_ridge(x, y) for x, y in zip(designs, utilities, strict=True)]
    noise = _noise(designs, utilities, weights)
    made = tuple(
        PriorTask(task.name, task.environments, _split(rulers, w)) for task, w in zip(tasks, weights, strict=True)
    )
    return Prior(name, learner, source, round(noise, 3), rulers, made)


def _ridge(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    made: NDArray[np.float64] = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (y - y.mean()))
    return made


def _noise(
    designs: Sequence[NDArray[np.float64]],
    utilities: Sequence[NDArray[np.float64]],
    weights: Sequence[NDArray[np.float64]],
) -> float:
    if len(designs) < 2:
        return 1.0
    squares = []
    for i, (x, y) in enumerate(zip(designs, utilities, strict=True)):
        others = np.mean([w for j, w in enumerate(weights) if j != i], axis=0)
        squares.append(float(np.mean((y - x @ others) ** 2)))
    return float(np.sqrt(np.mean(squares)))


def _split(rulers: Mapping[str, Ruler], weights: NDArray[np.float64]) -> dict[str, tuple[float, ...]]:
    """Return the effects of each hyperparameter, to three decimals: what is beyond them is noise."""
    made, start = {}, 0
    for name, ruler in rulers.items():
        made[name] = tuple(round(float(w), 3) for w in weights[start : start + ruler.size])
        start += ruler.size
    return made


def rulers_of(spaces: Sequence[HyperparameterSpace]) -> dict[str, Ruler]:
    """Return a ruler for each dimension that any of ``spaces`` searches.

    Numbers are placed by their value where all spaces give them one range, and by their position in the range of their space where
    these differ (a batch of 512 is small for one task and large for another).
    """
    found: dict[str, list[Bool | Categorical | Float | Int]] = {}
    for space in spaces:
        for name in space.searched:
            dimension = space.dimensions[name]
            assert not isinstance(dimension, Fixed)
            found.setdefault(name, []).append(dimension)
    return {name: _ruler(dimensions) for name, dimensions in found.items()}


def _ruler(dimensions: Sequence[Bool | Categorical | Float | Int]) -> Ruler:
    choices: list[Value] = []
    spans: set[tuple[float, float, Scale]] = set()
    for dimension in dimensions:
        if isinstance(dimension, Bool):
            choices += [value for value in (False, True) if value not in choices]
        elif isinstance(dimension, Categorical):
            if dimension.feature == "nominal":
                choices += [value for value in dimension.choices if value not in choices]
        else:
            scale: Scale = dimension.scale if isinstance(dimension, Float) else "log" if dimension.log else "linear"
            spans.add((float(dimension.low), float(dimension.high), scale))
    if choices:
        return Ruler(tuple(choices))
    if len(spans) == 1 and not any(isinstance(d, Categorical) for d in dimensions):
        ((low, high, scale),) = spans
        return Ruler(span=(low, high), scale=scale)
    return Ruler()
