"""What trials are worth whose trainings ran on different numbers of seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from autorl.outer.budget.protocol import Run

NOISE = 1.0
"""Variance between seeds of a trial, in units of that between finalists: see `shrunk_means`. On the landscapes' tuning
seeds 0.5, 1 and 2 do equally well, and 0.004 to 0.008 (+- 0.002 to 0.003) better than a ratio estimated from the finalists did."""


def whole_scores(runs: Sequence[Run], whole: int, seeds: int, last: int = 1) -> dict[int, list[float]]:
    """Return the scores of trainings of ``whole`` steps on the first ``seeds`` seeds, by trial, in the order of the seeds.

    A trial is in if its first run has a score; a further run that has none, as it failed or still trains, counts as the worst of all.
    """
    scores = {(run.trial, run.seed): run.score(whole, last) for run in runs if run.seed < seeds}
    known = [score for score in scores.values() if score is not None]
    found: dict[int, list[float]] = {}
    for trial, seed in sorted(scores):
        score = scores[trial, seed]
        if seed == 0 and score is not None:
            found[trial] = [score]
        elif seed and trial in found:
            found[trial].append(min(known) if score is None else score)
    return found


def shrunk_means(scores: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """Return each trial's mean over n seeds, drawn towards the mean of all with weight ``n / (n + NOISE)``.

    It is the posterior mean of a normal score whose variance between seeds is `NOISE` times that between trials (Lindley and Smith,
    1972, Bayes Estimates for the Linear Model). The ratio is not estimated (empirical Bayes): a handful of finalists do not tell it,
    and often would say that they do not differ at all.
    """
    means = {trial: float(np.mean(values)) for trial, values in scores.items()}
    centre = float(np.mean(list(means.values())))
    return {t: centre + len(scores[t]) / (len(scores[t]) + NOISE) * (mean - centre) for t, mean in means.items()}
