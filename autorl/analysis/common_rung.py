"""Scores of trials that a budget policy cut at different places, at one place that enough of them reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autorl.analysis.scores import finished, plural, policy_name
from autorl.outer.protocol import Status
from autorl.studies.trial import Trial

FEWEST_TRIALS = 10


@dataclass(frozen=True)
class Compared:
    """Trials whose scores can stand in one figure.

    Attributes:
        trials: All of them; those that reached the place completed, with their score there. Those cut before have none.
        score: What the score is called.
        caption: Where they were compared, in words; empty where every training is a whole one.
    """

    trials: tuple[Trial, ...]
    score: str = "score"
    caption: str = ""


def at_common_rung(trials: Sequence[Trial], specification: Mapping[str, Any]) -> Compared:
    """Return the trials with their scores at the highest checkpoint that at least `FEWEST_TRIALS` of them reached, or all if fewer.

    A score there is what it is at the end: the mean of the last ``evaluation.averaged`` checkpoints, over environments and seeds; here
    over the first seeds alone, which every trial had. A failed trial has no score. Where no training was cut nothing changes.

    Args:
        trials: Search trials of the study's own method.
        specification: The study's, resolved.
    """
    width = int((specification.get("seeds") or {}).get("search") or 1)
    tables = {t.number: _table(t, width) for t in trials if finished(t) and t.status in ("completed", "pruned")}
    lengths = sorted((table.shape[1] for table in tables.values() if table.size), reverse=True)
    if policy_name(specification) is None or not lengths or lengths[0] == lengths[-1]:
        return Compared(tuple(trials))  # nobody was cut
    place = lengths[min(FEWEST_TRIALS, len(lengths)) - 1]
    evaluation = specification.get("evaluation") or {}
    averaged = min(place, int(evaluation.get("averaged") or 1))
    scores = {n: float(t[:, place - averaged : place].mean()) for n, t in tables.items() if t.shape[1] >= place}
    made = [
        replace(t, status=Status.COMPLETED, score=scores[t.number])
        if t.number in scores
        else replace(t, score=None)
        for t in trials
    ]  # fmt: skip
    share = f"{place / int(evaluation.get('points') or lengths[0]):.0%}".replace("%", " %")
    mean = f"the mean of the last {averaged} checkpoints up to there" if averaged > 1 else "that checkpoint alone"
    caption = (
        f"The policy cut trials at different places, so scores are compared at {share} of the steps, which {len(scores)} of "
        f"{plural(sum(finished(t) for t in trials), 'trial')} reached: {mean}, on the first {plural(width, 'seed').removeprefix('1 ')}."
    )
    return Compared(tuple(made), f"score at {share}", caption)


def _table(trial: Trial, width: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return what a trial scored on its first ``width`` seeds [curves, checkpoints], as far as all of them have a score."""
    rows = [curve.scores for curve in trial.curves if curve.seed < width]
    columns = list(zip(*rows, strict=False))
    known = next((i for i, column in enumerate(columns) if None in column), len(columns))
    return np.asarray(columns[:known], np.float64).reshape(known, len(rows)).T
