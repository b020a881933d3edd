"""Arms: tasks as arms of a bandit, played again for as long as their own return rises."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autorl.curricula.protocol import Floats, Teacher

WINDOW = 32
"""Returns of an arm that are kept: the most that a slope is estimated from."""
CAPACITY = 1024
"""Live arms, at the most: the oldest on trial is dropped for a new one."""
PARENTS = 100
"""Tasks that rose lately, from which others are made."""
TRIAL, RISING = 3.0, 6.0
"""How many standard errors of a slope the usual slope must be before a task on trial, or one that rose, is judged."""
LONGEST_TRIAL = 16
"""Visits after which every trial ends: progress too slow to show in so many is not looked for."""
HOPE = 0.6
"""Standard errors by which a slope may fall short of half the usual one before its trial is over."""
SAME = 1e-9
"""Points of [0, 1]^D that differ by less in every coordinate are one task: scaling to the box and back rounds."""


@dataclass(frozen=True)
class ArmsState:
    """A live arms, what rose before them, and what is known of noise and pace.

    Attributes:
        points: float64 [A, D], tasks in [0, 1]^D.
        recent: float64 [A, WINDOW], returns of each, newest last; 0 where there were fewer.
        visits: int64 [A].
        slopes: float64 [A], estimated rise of the return a visit.
        errors: float64 [A], standard error of that.
        rising: bool [A]; the others are on trial.
        parents: float64 [P, D], tasks that rose, newest last.
        squares: Discounted sum of estimates of the variance of a return about its trend.
        weight: Discounted number of those.
        pace: Rise a visit of tasks that rise, 0 before any did.
    """

    points: Floats
    recent: Floats
    visits: NDArray[np.int64]
    slopes: Floats
    errors: Floats
    rising: NDArray[np.bool_]
    parents: Floats
    squares: float
    weight: float
    pace: float


@dataclass(frozen=True)
class Arms(Teacher[ArmsState]):
    """Signed progress of a task against itself.

    A task is compared with its own earlier returns only, never with a neighbour's, so dimensions that do not matter cost nothing. A
    new task is on trial until its slope over a few visits tells it from a flat one; then it is played, by Thompson sampling (1933)
    on the slopes of those that rise, until it is flat. How many visits that takes follows the noise of returns (their second
    differences, pooled) and the slope of tasks that rise: two without noise. While fewer than ``enough`` tasks rise, others are
    sought: uniformly, near tasks that rose (0.03 to 0.3 sides of the box away), and those tasks themselves again. Nothing depends
    on the scale of returns. Measured by ``benchmarks/teachers.py --only arms``.

    Attributes:
        enough: Rising tasks at which the search for others falls to ``exploration``.
        exploration: Least share of proposals that try tasks.
        trials: Tasks on trial at once, at the most (and not fewer than a batch).
        uniform: Share of new tasks that are drawn uniformly.
        again: Share of new tasks that rose before; the rest are near those.
    """

    enough: int = 2
    exploration: float = 0.05
    trials: int = 8
    uniform: float = 0.4
    again: float = 0.1

    name: ClassVar[str] = "arms"
    reference: ClassVar[str] = (
        "AutoRL, 2026; Thompson, 1933, On the Likelihood That One Unknown Probability Exceeds Another"
    )
    state_type: ClassVar[type[ArmsState]] = ArmsState

    def __post_init__(self) -> None:
        self._require(enough=(self.enough, 1, 1000), trials=(self.trials, 1, 1000))
        self._require(exploration=(self.exploration, 0, 1), uniform=(self.uniform, 0, 1))
        self._require(again=(self.again, 0, 1 - self.uniform))

    def init(self, key: int) -> ArmsState:
        """Return the state before the first episode."""
        none = np.zeros(0)
        points = np.zeros((0, self.space.dimensions))
        recent = np.zeros((0, WINDOW))
        return ArmsState(
            points, recent, none.astype(np.int64), none, none, none.astype(np.bool_), points, 0.0, 0.0, 0.0
        )

    def _propose(self, state: ArmsState, rng: np.random.Generator, n: int) -> Floats:
        rising, trial = np.flatnonzero(state.rising), np.flatnonzero(~state.rising)
        share = max(self.exploration, 1 - len(rising) / self.enough)
        # every arm keeps some width, so that a batch is spread over arms that are as good
        widths = np.maximum(state.errors[rising], 0.3 * state.pace)
        room = max(self.trials, n) - len(trial)
        tasks = np.empty((n, self.space.dimensions))
        for i in range(n):
            searching = rng.random() < share
            fresh = searching and (len(trial) == 0 or (room > 0 and rng.random() < 0.5))
            if fresh:
                tasks[i], room = self._new(state, rng), room - 1
            else:
                drawn = state.slopes[rising] + widths * rng.standard_normal(len(rising))
                tasks[i] = state.points[rng.choice(trial) if searching else rising[int(drawn.argmax())]]
        return tasks

    def _new(self, state: ArmsState, rng: np.random.Generator) -> Floats:
        kind, uniform = rng.random(), rng.random(self.space.dimensions)
        if kind < self.uniform or not len(state.parents):
            return uniform
        parent = state.parents[rng.integers(len(state.parents))]
        if kind < self.uniform + self.again:
            return parent
        scale = 10 ** rng.uniform(-1.5, -0.5)
        return np.clip(parent + scale * rng.standard_normal(len(parent)), 0, 1)

    def _learn(self, state: ArmsState, points: Floats, feedback: dict[str, Floats]) -> ArmsState:
        for point, value in zip(points, feedback["returns"], strict=True):
            same = np.flatnonzero((np.abs(state.points - point) < SAME).all(axis=1))
            known = len(same) > 0
            state = self._visit(state, int(same[0]), float(value)) if known else self._add(state, point, float(value))
        return state

    def _add(self, state: ArmsState, point: Floats, value: float) -> ArmsState:
        recent = np.zeros((1, WINDOW))
        recent[0, -1] = value
        grown = replace(
            state,
            points=np.concatenate([state.points, point[None]]),
            recent=np.concatenate([state.recent, recent]),
            visits=np.append(state.visits, 1),
            slopes=np.append(state.slopes, 0.0),
            errors=np.append(state.errors, np.inf),
            rising=np.append(state.rising, False),
        )
        # only a caller that plays tasks of its own brings so many
        return self._drop(grown, int(grown.rising.argmin())) if len(grown.visits) > CAPACITY else grown

    def _visit(self, state: ArmsState, arm: int, value: float) -> ArmsState:
        row = np.append(state.recent[arm, 1:], value)
        visits, squares, weight = int(state.visits[arm]) + 1, state.squares, state.weight
        if visits >= 3:
            # a straight line has second differences of 0; noise of variance v gives them one of 6 v
            bend = float(row[-1] - 2 * row[-2] + row[-3])
            squares, weight = 0.998 * squares + bend * bend / 6, 0.998 * weight + 1
        noise = math.sqrt(squares / weight) if weight else 0.0
        rising = bool(state.rising[arm])
        pace = max(state.pace, TRIAL * noise * math.sqrt(12 / LONGEST_TRIAL**3))
        needed = _needed(noise, pace, RISING if rising else TRIAL)
        slope, error = _slope(row[-min(visits, needed) :], noise)
        verdict: bool | None = True
        if weight < 20 and visits < 4:
            verdict = rising  # too little is known of noise
        elif not rising:
            verdict = _trial(slope, error, visits, needed, pace)
        elif visits >= needed and slope < pace / 4:
            verdict = None
        state = replace(state, squares=squares, weight=weight)
        if verdict is None:
            return self._drop(state, arm)
        if verdict:
            rate = 0.0 if visits < needed else 0.03 if state.pace else 1.0
            state = replace(state, pace=state.pace + rate * (max(slope, 0.0) - state.pace))
            if not rising:
                state = replace(state, parents=np.concatenate([state.parents, state.points[arm][None]])[-PARENTS:])
        return replace(
            state,
            recent=_with(state.recent, arm, row),
            visits=_with(state.visits, arm, visits),
            slopes=_with(state.slopes, arm, slope),
            errors=_with(state.errors, arm, error),
            rising=_with(state.rising, arm, verdict),
        )

    def _drop(self, state: ArmsState, arm: int) -> ArmsState:
        kept = np.arange(len(state.visits)) != arm
        # where nothing rises, slower progress becomes worth having
        pace = state.pace if state.rising[kept].any() else 0.99 * state.pace
        names = ("points", "recent", "visits", "slopes", "errors", "rising")
        return replace(state, pace=pace, **{name: getattr(state, name)[kept] for name in names})


def _trial(slope: float, error: float, visits: int, needed: int, pace: float) -> bool | None:
    """Return True for a task that rises, None for one that does not, False while that is open."""
    if slope > 0 and slope > 3 * error and slope > pace / 3:
        return True
    if visits >= needed:
        return True if slope > pace / 2 else None
    return None if slope + HOPE * error < pace / 2 else False


def _needed(noise: float, pace: float, precision: float) -> int:
    """Return the visits from which a slope's standard error is the usual slope over ``precision``."""
    if noise == 0:
        return 2
    return min(max(math.ceil((12 * (precision * noise / pace) ** 2) ** (1 / 3)), 2), WINDOW)


def _slope(returns: Floats, noise: float) -> tuple[float, float]:
    """Return the least-squares slope of ``returns`` [w], w at least 2 (of equal ones it is exactly 0), and its standard error."""
    w = len(returns)
    times = np.arange(w) - (w - 1) / 2
    total = w * (w * w - 1) / 12
    return float(times @ (returns - returns[-1])) / total, noise / math.sqrt(total)


def _with(array: NDArray[Any], index: int, value: float | Floats) -> NDArray[Any]:
    changed = array.copy()
    changed[index] = value
    return changed
