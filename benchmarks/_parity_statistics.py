"""How alike two landscapes are, and how alike noise allows them to be.

Letters for shapes: C configurations, S seeds. Scores are float64 [C, S]; nan stands for a training that failed, and a
configuration whose trainings all failed is left out.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import rankdata

Scores = NDArray[np.float64]
SPLITS = 20
"""Halvings of the seeds that a reliability is averaged over, at most."""
RESAMPLES = 1000


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the rank correlation of two vectors [C]; 0 where one of them is constant."""
    ranks = [rankdata(x) for x in (a, b)]
    if any(np.ptp(r) == 0 for r in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def analysis_of_variance(scores: Scores) -> float:
    """Return the reliability of the means over seeds: (MSB - MSW) / MSB, the intraclass correlation ICC(1, S).

    One-way analysis of variance (Shrout and Fleiss, 1979); where trainings failed, S is the average number of the others
    that the unbalanced design has.
    """
    counts = np.sum(~np.isnan(scores), axis=1)
    kept, counts = scores[counts > 0], counts[counts > 0].astype(float)
    means, total = np.nanmean(kept, axis=1), counts.sum()
    grand = (means * counts).sum() / total
    between = (counts * (means - grand) ** 2).sum() / (len(kept) - 1)
    within = np.nansum((kept - means[:, None]) ** 2) / max(total - len(kept), 1.0)
    return float(np.clip((between - within) / between, 0.0, 1.0)) if between > 0 else 0.0


def halvings(seeds: int) -> list[tuple[int, ...]]:
    """Return up to `SPLITS` sets of half of the seeds (rounded down), spread over all there are."""
    every = list(combinations(range(seeds), seeds // 2))
    return [every[i] for i in np.unique(np.linspace(0, len(every) - 1, SPLITS).astype(int))]


def split_half(scores: Scores) -> float:
    """Return the reliability of the ranks of the means over seeds.

    The Spearman correlation between the means over two halves of the seeds, averaged over many halvings, stepped up to all
    seeds (Spearman, 1910; Brown, 1910), also where the halves are not of the same size.
    """
    seeds = scores.shape[1]
    halves = halvings(seeds)
    others = [tuple(s for s in range(seeds) if s not in half) for half in halves]
    sides = [np.stack([_means(scores[:, list(part)]) for part in parts]) for parts in (halves, others)]
    correlation = float(np.mean(_correlations(sides[0], sides[1])))
    if correlation <= 0.0:
        return 0.0
    small, large = seeds // 2, seeds - seeds // 2
    if correlation >= 1.0 - 1e-12:
        return 1.0

    def excess(single: float) -> float:
        return (stepped_up(single, small) * stepped_up(single, large)) ** 0.5 - correlation

    return stepped_up(float(brentq(excess, 0.0, 1.0)), seeds)


def _correlations(a: Scores, b: Scores) -> NDArray[np.float64]:
    """Return the rank correlation of each pair of rows of ``a`` and ``b`` [H, C], over what both know."""
    known = ~np.isnan(a) & ~np.isnan(b)
    if not known.all():
        return np.array([spearman(x[k], y[k]) for x, y, k in zip(a, b, known, strict=True)])
    ranks = [rankdata(x, axis=1) - (x.shape[1] + 1) / 2 for x in (a, b)]
    spread = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    return np.where(spread > 0, (ranks[0] * ranks[1]).sum(axis=1) / np.where(spread > 0, spread, 1.0), 0.0)


def stepped_up(single: float, seeds: int) -> float:
    """Return the reliability of the mean of ``seeds`` scores, each of reliability ``single``."""
    return seeds * single / (1.0 + (seeds - 1) * single)


def _means(scores: Scores) -> NDArray[np.float64]:
    known = np.sum(~np.isnan(scores), axis=1)
    return np.where(known > 0, np.nansum(scores, axis=1) / np.maximum(known, 1), np.nan)


def agreement(ours: Scores, published: Scores) -> dict[str, float]:
    """Return the rank correlation of the means, and the two ceilings that noise sets to it.

    Keys: ``spearman``; ``ceiling`` (square root of the product of both sides' reliabilities of ranks, `split_half`) and
    ``share`` of it reached; ``ceiling_anova`` and ``share_anova``, the same with `analysis_of_variance`; the reliabilities.
    """
    a, b = _means(ours), _means(published)
    known = ~np.isnan(a) & ~np.isnan(b)
    ours, published = ours[known], published[known]
    found = {"configurations": float(known.sum()), "spearman": spearman(a[known], b[known])}
    for name, reliability in (("", split_half), ("_anova", analysis_of_variance)):
        sides = [reliability(ours), reliability(published)]
        ceiling = float(np.sqrt(sides[0] * sides[1]))
        found |= {f"reliability_ours{name}": sides[0], f"reliability_published{name}": sides[1]}
        found |= {f"ceiling{name}": ceiling, f"share{name}": found["spearman"] / ceiling if ceiling > 0 else 0.0}
    return found


def self_agreement(published: Scores, seeds: int) -> tuple[float, float, float]:
    """Return how the published ranks agree with themselves: mean, and the range of 95 %, of the correlation between the means over
    ``seeds`` of the seeds and over all others, for every such choice.

    No estimate of a ceiling, which needs a model of the noise, but what a landscape of ``seeds`` seeds of the same code would show.
    """
    count = published.shape[1]
    chosen = list(combinations(range(count), seeds))
    rest = [tuple(s for s in range(count) if s not in own) for own in chosen]
    sides = [np.stack([_means(published[:, list(part)]) for part in parts]) for parts in (chosen, rest)]
    found = _correlations(sides[0], sides[1])
    low, high = np.percentile(found, (2.5, 97.5))
    return float(found.mean()), float(low), float(high)


def gate_of_published(published: Scores, seeds: int, gate: float) -> dict[str, float]:
    """Return how ``seeds`` of the published seeds would fare at the gate if the other published ones were what they are held to.

    The very same code would show this: where it rarely passes, the gate asks for more than so many seeds of these configurations show.
    Keys: ``passed``, the part of all such choices that pass the whole gate (the spread of levels is that of the other seeds, which are
    fewer, so a little narrower); ``by_ranks`` and ``by_variances``, the parts whose share reaches ``gate`` by either estimate of
    reliability; ``share`` and ``share_anova``, their means; ``share_low`` and ``share_high``, the range of 95 % of the former;
    ``choices``, how many there are.
    """
    count = published.shape[1]
    rows = []
    for own in combinations(range(count), seeds):
        mine, rest = published[:, list(own)], published[:, [s for s in range(count) if s not in own]]
        one = agreement(mine, rest)
        rows.append([one["share"], one["share_anova"], all(x["within"] for x in level(mine, rest).values())])
    shares, within = np.array(rows)[:, :2], np.array(rows)[:, 2].astype(bool)
    low, high = np.percentile(shares[:, 0], (2.5, 97.5))
    by_ranks, by_variances = np.mean(shares >= gate, axis=0)
    return {
        "passed": float(np.mean((shares.min(axis=1) >= gate) & within)),
        "by_ranks": float(by_ranks),
        "by_variances": float(by_variances),
        "share": float(shares[:, 0].mean()),
        "share_low": float(low),
        "share_high": float(high),
        "share_anova": float(shares[:, 1].mean()),
        "choices": float(len(rows)),
    }


def intervals(ours: Scores, published: Scores, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return 95 % percentile bootstrap intervals of `agreement`, over configurations."""
    random = np.random.default_rng(seed)
    drawn = [random.integers(0, len(ours), len(ours)) for _ in range(RESAMPLES)]
    found = [agreement(ours[rows], published[rows]) for rows in drawn]
    bounds = {key: np.percentile([f[key] for f in found], (2.5, 97.5)) for key in ("spearman", "share", "share_anova")}
    return {key: (float(low), float(high)) for key, (low, high) in bounds.items()}


def disagreement(ours: Scores, published: Scores) -> dict[str, float]:
    """Return by how much true means differ, in units of the return: what noise between seeds does not explain.

    Keys: ``bias``, the mean difference (ours less published); ``spread``, the root of the mean squared difference after the
    squared standard errors of both means are taken off (0 where noise explains all of it); ``noise``, the root of those.
    """
    known = (np.sum(~np.isnan(ours), axis=1) > 1) & (np.sum(~np.isnan(published), axis=1) > 1)
    gap = _means(ours[known]) - _means(published[known])
    counts = [np.sum(~np.isnan(x[known]), axis=1) for x in (ours, published)]
    squared = [np.nanvar(x[known], axis=1, ddof=1) / n for x, n in zip((ours, published), counts, strict=True)]
    noise = float(np.mean(squared[0] + squared[1]))
    spread = max(float(np.mean(gap**2)) - noise, 0.0) ** 0.5
    return {"bias": float(gap.mean()), "spread": spread, "noise": noise**0.5}


def top_mean(scores: NDArray[np.float64]) -> float:
    """Return the mean of the best tenth (at least one) of the scores [C] that are known."""
    known = np.sort(scores[~np.isnan(scores)])
    return float(known[-max(1, round(len(known) / 10)) :].mean())


def median(scores: NDArray[np.float64]) -> float:
    """Return the median of the scores [C] that are known."""
    return float(np.nanmedian(scores))


def level(ours: Scores, published: Scores) -> dict[str, dict[str, float | bool]]:
    """Return median and mean of the best tenth over configurations, seed by seed: ours on average, and the published spread.

    A seed's best tenth is chosen by that seed's own scores, on both sides, so both are equally flattered by chance.
    """
    found: dict[str, dict[str, float | bool]] = {}
    for name, statistic in (("median", median), ("top_tenth", top_mean)):
        mine = [statistic(ours[:, s]) for s in range(ours.shape[1])]
        theirs = [statistic(published[:, s]) for s in range(published.shape[1])]
        value, low, high = float(np.mean(mine)), min(theirs), max(theirs)
        found[name] = {
            "ours": value,
            "ours_low": min(mine),
            "ours_high": max(mine),
            "published": float(np.mean(theirs)),
            "low": low,
            "high": high,
            "within": low <= value <= high,
        }
    return found


def level_of_means(ours: Scores, published: Scores) -> dict[str, dict[str, float | bool]]:
    """Return median and mean of the best tenth of the means over seeds: ours, and the spread over published seeds.

    The spread is that over all subsets of the published seeds that are as many as ours. Single seeds saturate where the best
    return is bounded; means over seeds do not.
    """
    subsets = list(combinations(range(published.shape[1]), min(ours.shape[1], published.shape[1])))
    means = [_means(published[:, list(subset)]) for subset in subsets]
    found: dict[str, dict[str, float | bool]] = {}
    for name, statistic in (("median_of_means", median), ("top_tenth_of_means", top_mean)):
        value, theirs = statistic(_means(ours)), [statistic(x) for x in means]
        low, high = min(theirs), max(theirs)
        whole = statistic(_means(published))
        found[name] = {"ours": value, "published": whole, "low": low, "high": high, "within": low <= value <= high}
    return found
