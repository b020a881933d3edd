"""The trainings of a trial as a budget policy sees them: read from the record, by whoever trains and by whoever tells of it. Pure.

A policy counts in checkpoints, the equally spaced evaluations of a training, so that environments may differ in length. One training of
a trial, for a policy, is that on all environments and search seeds together; its further seeds are as many fresh ones (a *block*).
"""

from __future__ import annotations

from autorl.outer.budget.protocol import Run
from autorl.studies.trial import Trial


def runs_of(trial: Trial, width: int, points: int, env_steps: int) -> list[Run]:
    """Return the trainings of a trial, ended where they failed; none before the first order is carried out.

    Args:
        trial: Of a search under a policy.
        width: Seeds of a block.
        points: Checkpoints of a whole training.
        env_steps: Environment steps of a whole training.
    """
    if not trial.scores:
        return []
    made = []
    for k in range(len(trial.seeds) // width):
        own = range(k * width, (k + 1) * width)
        failed = any(row[s] is None for row in trial.scores for s in own)
        columns = zip(*(curve.scores for curve in trial.curves if curve.seed in own), strict=False)
        scores = tuple(
            (i, sum(known) / len(known))
            for i, column in enumerate(columns, 1)
            if len(known := [score for score in column if score is not None]) == len(column)
        )
        reached = checkpoint(trial.env_steps, points, env_steps) if k == 0 else points
        made.append(Run(trial.number, reached, scores, k, failed))
    return made


def checkpoint(reached: int, points: int, env_steps: int) -> int:
    """Return the checkpoint that stands at ``reached`` of ``env_steps``."""
    return -(-reached * points // env_steps)
