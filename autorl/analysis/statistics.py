"""Statistics of few, noisy trainings: interquartile mean, stratified bootstrap, probability of improvement, profiles.

Source: Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice. Letters for shapes:
S seeds, E environments, R resamples, T thresholds. Scores are float64 [S, E], higher is better, all finite (see
`fill_failures`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autorl.keys import generator

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""Reduces the last axis: [..., n] -> [...]."""
RawScores = Sequence[Sequence[float | None]]
"""[environments][seeds], as a trial stores them; None where a training failed."""

CONFIDENCE = 0.95
RESAMPLES = 2000


class Interval(NamedTuple):
    """Percentile bootstrap interval, both ends included."""

    low: float
    high: float


class Improvement(NamedTuple):
    """Probability that a training of one arm scores above one of the other, ties half, with its interval."""

    probability: float
    interval: Interval


def interquartile_means(values: Array) -> Array:
    """Return the mean of the middle half over the last axis of [..., n].

    A quarter of the values, rounded down, is cut from each end; ``scipy.stats.trim_mean(values, 0.25)`` is the same.
    """
    count = values.shape[-1]
    cut = count // 4
    middle = np.sort(values, axis=-1)[..., cut : count - cut]
    return np.asarray(middle.mean(axis=-1), np.float64)


def iqm(scores: ArrayLike) -> float:
    """Return the interquartile mean of all scores, seeds and environments flattened.

    Raises:
        ValueError: If there is no score, or one that is not finite.
    """
    return float(interquartile_means(_finite(scores).reshape(-1)))


def stratified_bootstrap_interval(
    scores: ArrayLike,
    statistic: Statistic = interquartile_means,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the percentile interval of ``statistic``, seeds resampled with replacement within each environment.

    Args:
        scores: [S, E] (or [S], one environment).
        statistic: Reduces [R, S * E] to [R].
        confidence: Coverage aimed at, between 0 and 1.
        resamples: Number of bootstrap samples.
        seed: The interval is a function of it and of the scores alone.

    Raises:
        ValueError: If a score is not finite, or ``confidence`` is not strictly between 0 and 1.
    """
    draws = statistic(_resample(_matrix(scores), resamples, seed))
    return _percentiles(draws, confidence)


def bootstrap_difference(
    x: ArrayLike,
    y: ArrayLike,
    statistic: Statistic = interquartile_means,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the interval of ``statistic(x) - statistic(y)``, both resampled independently of each other."""
    one = statistic(_resample(_matrix(x), resamples, seed))
    other = statistic(_resample(_matrix(y), resamples, seed + 1))
    return _percentiles(one - other, confidence)


def probability_of_improvement(
    x: ArrayLike,
    y: ArrayLike,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Improvement:
    """Return P(a training of ``x`` scores above one of ``y``), ties counting half, averaged over environments.

    This is the Mann-Whitney statistic divided by the number of pairs.

    Raises:
        ValueError: If the two have different numbers of environments.
    """
    one, other = _matrix(x), _matrix(y)
    if one.shape[1] != other.shape[1]:
        raise ValueError(f"expected as many environments in both, got {one.shape[1]} and {other.shape[1]}")
    draws = np.mean(
        [
            _wins(
                _resample(one[:, [e]], resamples, seed + 2 * e), _resample(other[:, [e]], resamples, seed + 2 * e + 1)
            )
            for e in range(one.shape[1])
        ],
        axis=0,
    )
    point = np.mean([_wins(one[None, :, e], other[None, :, e])[0] for e in range(one.shape[1])])
    return Improvement(float(point), _percentiles(draws, confidence))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Array:
    """Return, for each threshold, the share of trainings that score above it: [T], averaged over environments."""
    above = _matrix(scores)[None, :, :] > np.asarray(thresholds, np.float64)[:, None, None]
    return np.asarray(above.mean(axis=(1, 2)), np.float64)


def profile_interval(
    scores: ArrayLike, thresholds: ArrayLike, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Array, Array]:
    """Return the lower and the upper end, [T] each, of the pointwise percentile interval of `performance_profile`.

    Seeds are resampled with replacement within each environment.
    """
    drawn = _resample(_matrix(scores), resamples, seed)
    levels = np.asarray(thresholds, np.float64)
    shares = np.stack([(drawn > level).mean(axis=1) for level in levels])
    tail = 50 * (1 - confidence)
    low, high = np.percentile(shares, [tail, 100 - tail], axis=1)
    return np.asarray(low, np.float64), np.asarray(high, np.float64)


def fill_failures(
    arms: Mapping[str, RawScores], floors: Sequence[float | None] | None = None
) -> dict[str, Array] | None:
    """Return [S, E] scores of each arm, a failed training counting as the worst finite score of all arms there.

    The worst is taken in each environment by itself, over every arm given, so that an arm never gains by failing and
    all arms share one yardstick. Print the number of failures beside anything computed from the result.

    Args:
        arms: Scores as they are kept.
        floors: For each environment a score that a failure does not exceed, if one is known; else None.

    Returns:
        None when an environment has no finite score in any arm, and no floor: then nothing can be compared.
    """
    tables = {name: _table(raw) for name, raw in arms.items()}
    widths = {table.shape[1] for table in tables.values()}
    if not tables or len(widths) != 1 or widths == {0}:
        return None
    everything = np.concatenate(list(tables.values()))
    limits = [np.inf if floor is None else floor for floor in floors or [None] * everything.shape[1]]
    worst = np.minimum(np.min(np.where(np.isfinite(everything), everything, np.inf), axis=0), limits)
    if not np.isfinite(worst).all():
        return None
    return {name: np.where(np.isfinite(table), table, worst) for name, table in tables.items()}


def _table(raw: RawScores) -> Array:
    """[environments][seeds] with None -> [S, E] with nan."""
    rows: Any = [[np.nan if score is None else float(score) for score in row] for row in raw]
    return np.asarray(rows, np.float64).reshape(len(rows), -1).T


def _matrix(scores: ArrayLike) -> Array:
    values = _finite(scores)
    if values.ndim not in (1, 2):
        raise ValueError(f"expected scores [seeds, environments], got shape {values.shape}")
    return values.reshape(values.shape[0], -1)


def _finite(scores: ArrayLike) -> Array:
    values = np.asarray(scores, np.float64)
    if values.size == 0:
        raise ValueError("expected at least one score, got none")
    if not np.isfinite(values).all():
        raise ValueError("expected finite scores; failed trainings are to be filled first (fill_failures)")
    return values


def _resample(scores: Array, resamples: int, seed: int) -> Array:
    """[S, E] -> [R, S * E]; the seeds of each environment are drawn on their own."""
    seeds, environments = scores.shape
    picks = generator(seed).integers(0, seeds, size=(resamples, seeds, environments))
    drawn = scores[picks, np.arange(environments)]
    return drawn.reshape(resamples, seeds * environments)


def _wins(x: Array, y: Array) -> Array:
    """Share of pairs won over the last axis: [R, n], [R, m] -> [R]."""
    difference = np.sign(x[:, :, None] - y[:, None, :])
    return np.asarray((difference.mean(axis=(1, 2)) + 1) / 2, np.float64)


def _percentiles(draws: Array, confidence: float) -> Interval:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, got {confidence!r}")
    tail = 50 * (1 - confidence)
    low, high = np.percentile(draws, [tail, 100 - tail])
    return Interval(float(low), float(high))
