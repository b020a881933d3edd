"""Arms: tasks as arms of a bandit, played again for as long as their own return rises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, choose, learned_from, one_by_one
from autorl.curricula.tasks import same_task
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError

WINDOW = 32
"""Returns of an arm that are kept: the most that a slope is estimated from."""
TRIAL, RISING = 3.0, 6.0
"""How many standard errors of a slope the usual slope must be before a task on trial, or one that rose, is judged."""
LONGEST_TRIAL = 16
"""Visits after which every trial ends: progress too slow to show in so many is not looked for."""
HOPE = 0.6
"""Standard errors by which a slope may fall short of half the usual one before its trial is over."""


@hyperparameters
class ArmsParameters:
    """Of arms, with defaults that master the toy grid."""

    enough: Array = traced(2, "Rising tasks at which the search for others falls to exploration.", low=1, high=1000)
    exploration: Array = traced(0.05, "Least share of proposals that try tasks.", low=0.0, high=1.0)
    trials: Array = traced(8, "Tasks on trial at once, at the most (and not fewer than a batch).", low=1, high=1000)
    uniform: Array = traced(0.4, "Share of new tasks that are drawn uniformly.", low=0.0, high=1.0)
    again: Array = traced(
        0.1, "Share of new tasks that proved to rise before; the rest are near those.", low=0.0, high=1.0
    )
    capacity: int = static(
        256, "Room for arms, several times a batch; the oldest on trial makes room for a new one.", low=2, high=100_000
    )
    parents: int = static(25, "Tasks that proved to rise lately, from which others are made.", low=1, high=100_000)


class ArmsState(NamedTuple):
    """A arms, what rose before them, and what is known of noise and pace.

    Attributes:
        born: int32 [A], episode in which the arm was first played; 0 for a free place.
        points: float32 [A, D], tasks in [0, 1]^D.
        recent: float32 [A, WINDOW], returns of each, newest last.
        visits: int32 [A].
        slopes: float32 [A], estimated rise of the return a visit.
        errors: float32 [A], standard error of that.
        rising: bool [A]; the others are on trial.
        proven: bool [A], those that rose for as long as it takes to tell that they are not flat.
        parents: float32 [P, D], tasks that were proven, newest last.
        ancestors: int32, how many were proven so far.
        squares: Discounted sum of estimates of the variance of a return about its trend.
        weight: Discounted number of those.
        pace: Rise a visit of tasks that rise, 0 before any did.
        episodes: int32, episodes so far.
    """

    born: Array
    points: Array
    recent: Array
    visits: Array
    slopes: Array
    errors: Array
    rising: Array
    proven: Array
    parents: Array
    ancestors: Array
    squares: Array
    weight: Array
    pace: Array
    episodes: Array


@dataclass(frozen=True)
class Arms(Teacher[ArmsState]):
    """Signed progress of a task against itself.

    A task is compared with its own earlier returns only, never with a neighbour's, so dimensions that do not matter cost nothing. A
    new task is on trial until its slope over a few visits tells it from a flat one; then it is played, by Thompson sampling (1933)
    on the slopes of those that rise, until it is flat. How many visits that takes follows the noise of returns (their second
    differences, pooled) and the slope of tasks that rise: two without noise. While fewer than ``enough`` tasks rise, others are
    sought: uniformly, near tasks that proved to rise (0.03 to 0.3 sides of the box away), and those tasks themselves again. Nothing depends
    on the scale of returns. Measured by ``benchmarks/teachers.py --only arms``.
    """

    name: ClassVar[str] = "arms"
    reference: ClassVar[str] = (
        "AutoRL, 2026; Thompson, 1933, On the Likelihood That One Unknown Probability Exceeds Another"
    )
    Parameters: ClassVar[type[Any]] = ArmsParameters

    def _check(self, params: ArmsParameters) -> None:
        if float(params.uniform) + float(params.again) > 1.0:
            raise UsageError(f"again: expected at most 1 - uniform = {1 - float(params.uniform):g}, got {params.again}")

    def _init(self, params: ArmsParameters, seed: Array) -> ArmsState:
        d, arms = self.space.dimensions, params.capacity
        none, number, zero = jnp.zeros(arms), jnp.zeros(arms, jnp.int32), jnp.float32(0.0)
        points, recent = jnp.zeros((arms, d)), jnp.zeros((arms, WINDOW))
        parents = jnp.zeros((params.parents, d))
        return ArmsState(
            number,
            points,
            recent,
            number,
            none,
            none,
            none > 0,
            none > 0,
            parents,
            jnp.int32(0),
            zero,
            zero,
            zero,
            jnp.int32(0),
        )

    def _propose(self, params: ArmsParameters, state: ArmsState, key: Array, n: int) -> Proposal:
        keys = jax.random.split(key, 5)
        trial = (state.born > 0) & ~state.rising
        rising, waiting = state.rising.sum(), trial.sum()
        share = jnp.maximum(params.exploration, 1 - rising / params.enough)
        room = jnp.maximum(params.trials, n) - waiting
        draws = jax.random.uniform(keys[0], (2, n))
        searching = draws[0] < share
        wanted = searching & (draws[1] < 0.5)
        fresh = jnp.where(waiting == 0, searching, wanted & (jnp.cumsum(wanted) - wanted < room))
        # every arm keeps some width, so that a batch is spread over arms that are as good
        widths = jnp.maximum(state.errors, 0.3 * state.pace)
        drawn = state.slopes + widths * jax.random.normal(keys[1], (n, params.capacity))
        best = jnp.argmax(jnp.where(state.rising, drawn, -jnp.inf), axis=1)
        tried = choose(keys[2], trial.astype(jnp.float32), n)
        known = state.points[jnp.where(searching, tried, best)]
        return learned_from(jnp.where(fresh[:, None], self._new(params, state, keys[3:], n), known))

    def _new(self, params: ArmsParameters, state: ArmsState, keys: Array, n: int) -> Array:
        d = self.space.dimensions
        uniform = self.space.draw(keys[0], n)
        draws = jax.random.uniform(keys[1], (3, n))
        count = jnp.minimum(state.ancestors, params.parents)
        chosen = jnp.minimum((draws[0] * count).astype(jnp.int32), count - 1)
        parent = state.parents[params.parents - 1 - jnp.maximum(chosen, 0)]
        scale = 10 ** (draws[1] - 1.5)
        near = jnp.clip(parent + scale[:, None] * jax.random.normal(jax.random.fold_in(keys[1], 1), (n, d)), 0.0, 1.0)
        kind = draws[2][:, None]
        old = jnp.where(kind < params.uniform + params.again, parent, near)
        return jnp.where((kind < params.uniform) | (count == 0), uniform, old)

    def _update(
        self, params: ArmsParameters, state: ArmsState, points: Array, channels: Channels, valid: Array
    ) -> ArmsState:
        def step(before: ArmsState, point: Array, own: Channels) -> ArmsState:
            before = before._replace(episodes=before.episodes + 1)
            same = same_task(point[None], before.points)[0] & (before.born > 0)
            arm, value = jnp.argmax(same), own["returns"]
            return jax.lax.cond(same.any(), lambda: _visited(before, arm, value), lambda: _added(before, point, value))

        return one_by_one(step, state, points, channels, valid)


def _added(state: ArmsState, point: Array, value: Array) -> ArmsState:
    """Return the state with a new arm, in a free place or in that of the oldest on trial (of all, if none is)."""
    age = jnp.where(state.rising, state.born + state.episodes, state.born)
    place = jnp.argmin(age)
    # only a caller that plays tasks of its own fills every place
    pace = _slowed(state, state.rising.at[place].set(False), state.born[place] > 0)
    return state._replace(
        born=state.born.at[place].set(state.episodes),
        points=state.points.at[place].set(point),
        recent=state.recent.at[place].set(jnp.zeros(WINDOW).at[-1].set(value)),
        visits=state.visits.at[place].set(1),
        slopes=state.slopes.at[place].set(0.0),
        errors=state.errors.at[place].set(jnp.inf),
        rising=state.rising.at[place].set(False),
        proven=state.proven.at[place].set(False),
        pace=pace,
    )


def _visited(state: ArmsState, arm: Array, value: Array) -> ArmsState:
    """Return the state after one more return of ``arm``, which rises, stays on trial or is dropped by it."""
    row = jnp.roll(state.recent[arm], -1).at[-1].set(value)
    visits = state.visits[arm] + 1
    # a straight line has second differences of 0; noise of variance v gives them one of 6 v
    bend, bent = row[-1] - 2 * row[-2] + row[-3], visits >= 3
    squares = jnp.where(bent, 0.998 * state.squares + bend * bend / 6, state.squares)
    weight = jnp.where(bent, 0.998 * state.weight + 1, state.weight)
    noise = jnp.where(weight > 0, jnp.sqrt(squares / jnp.maximum(weight, 1e-6)), 0.0)
    rising = state.rising[arm]
    pace = jnp.maximum(state.pace, TRIAL * noise * (12 / LONGEST_TRIAL**3) ** 0.5)
    needed = _needed(noise, pace, jnp.where(rising, RISING, TRIAL))
    slope, error = _slope(row, jnp.minimum(visits, needed), noise)
    kept, rose = _verdict(rising, slope, error, visits, needed, pace, known=(weight >= 20) | (visits >= 4))
    rate = jnp.where(visits < needed, 0.0, jnp.where(state.pace > 0, 0.03, 1.0))
    quicker = state.pace + jnp.where(rose, rate, 0.0) * (jnp.maximum(slope, 0.0) - state.pace)
    flags = state.rising.at[arm].set(rose)
    # noise makes flat tasks rise for a while: they must not draw the search to their neighbourhood
    proven = rose & (state.proven[arm] | (visits >= _needed(noise, pace, jnp.float32(RISING))))
    ancestor = proven & ~state.proven[arm]
    return state._replace(
        born=state.born.at[arm].set(jnp.where(kept, state.born[arm], 0)),
        recent=state.recent.at[arm].set(row),
        visits=state.visits.at[arm].set(visits),
        slopes=state.slopes.at[arm].set(slope),
        errors=state.errors.at[arm].set(error),
        rising=flags,
        proven=state.proven.at[arm].set(proven),
        parents=jnp.where(ancestor, jnp.roll(state.parents, -1, axis=0).at[-1].set(state.points[arm]), state.parents),
        ancestors=state.ancestors + ancestor,
        squares=squares,
        weight=weight,
        pace=jnp.where(kept, quicker, _slowed(state, flags, ~kept)),
    )


def _verdict(
    rising: Array, slope: Array, error: Array, visits: Array, needed: Array, pace: Array, known: Array
) -> tuple[Array, Array]:
    """Return whether the arm is kept, and whether it rises. Until noise is ``known``, nothing changes."""
    clear = (slope > 0) & (slope > 3 * error) & (slope > pace / 3)
    ended = visits >= needed
    rises = jnp.where(rising, ~ended | (slope >= pace / 4), clear | (ended & (slope > pace / 2)))
    hopeless = jnp.where(rising, ~rises, ~rises & (ended | (slope + HOPE * error < pace / 2)))
    return ~known | ~hopeless, jnp.where(known, rises, rising)


def _slowed(state: ArmsState, rising: Array, dropped: Array) -> Array:
    """Return the pace after an arm is ``dropped``: where nothing rises any more, slower progress becomes worth having."""
    return jnp.where(dropped & ~rising.any(), 0.99 * state.pace, state.pace)


def _needed(noise: Array, pace: Array, precision: Array) -> Array:
    """Return the visits from which a slope's standard error is the usual slope over ``precision``."""
    ratio = jnp.where(noise > 0, precision * noise / jnp.maximum(pace, 1e-30), 0.0)
    return jnp.clip(jnp.ceil(jnp.cbrt(12 * ratio**2)), 2, WINDOW).astype(jnp.int32)


def _slope(row: Array, used: Array, noise: Array) -> tuple[Array, Array]:
    """Return the least-squares slope of the last ``used`` (at least 2) of ``row`` (of equal ones exactly 0) and its standard error."""
    w = used.astype(jnp.float32)
    times = jnp.asarray(np.arange(1 - WINDOW, 1), jnp.float32) + (w - 1) / 2
    weights = jnp.where(jnp.arange(WINDOW) >= WINDOW - used, times, 0.0)
    total = w * (w * w - 1) / 12
    return jnp.sum(weights * (row - row[-1])) / total, noise / jnp.sqrt(total)
