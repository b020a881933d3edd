"""What a training came to once its last segment is trained: its status, its score, what its agent acts by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from autorl.engine.lanes import Agent, Job, Outcome, final_score, lane
from autorl.inner.acting import ActingLearner
from autorl.outer.protocol import Status

Tree = Any


def conclude(outcome: Outcome, job: Job, *, steps: int, before: int, diverged: bool) -> None:
    """Give an outcome its status, message and score.

    Args:
        outcome: Its evaluations are made.
        job: What was trained.
        steps: Env steps that it reached, the teacher's before the training included.
        before: Those that its teacher took before the agent's first.
        diverged: Whether it was frozen.
    """
    final = final_score(outcome.returns, job.averaged)
    if diverged or final is None:
        outcome.status = Status.DIVERGED
        outcome.message = f"non-finite loss, parameter or return by env step {steps}"
    elif 0 < before >= job.plan[-1].until:
        outcome.status = Status.INVALID
        outcome.message = (
            f"this part of the training ends after {job.plan[-1].until} env steps, and its teacher took "
            f"{before} before the agent's first, so that nothing was trained; let the first cut, hurdle or interval "
            "be later, raise budget.env_steps, or lower what the teacher takes before the training"
        )
    elif steps <= before and not job.goes_on:
        outcome.status = Status.INVALID
        outcome.message = (
            f"one iteration takes more env steps than the {job.plan[-1].until - before} granted; "
            "lower n_envs or n_steps, or raise budget.env_steps"
        )
    else:
        outcome.status, outcome.score = Status.COMPLETED, final


def agents(learner: Any, states: Tree, lanes: Sequence[int], hps: Sequence[Any]) -> list[Agent] | None:
    """Return what the agents in ``lanes`` act by, trained with ``hps``; None if the learner does not say so."""
    if not isinstance(learner, ActingLearner):
        return None
    parts = jax.tree.map(np.asarray, learner.acting(states))
    values = [{name: _plain(getattr(hp, name)) for name in learner.acts_by} for hp in hps]
    return [Agent(lane(parts, w), own) for w, own in zip(lanes, values, strict=True)]


def part_of(states: Tree, kind: type) -> Any:
    """Return the part of the trained states that is of ``kind``, as host arrays; None if there is none."""
    parts = jax.tree.leaves(states, is_leaf=lambda x: isinstance(x, kind))
    part = next((x for x in parts if isinstance(x, kind)), None)
    return None if part is None else jax.tree.map(np.asarray, part)


def by_task(values: np.ndarray, count: int) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Return the means of ``values`` [episodes] in each of ``count`` tasks: over all attempts, and over each half of them if there are two.

    Episode i is an attempt at task i modulo ``count``. Of an odd number of attempts the first half is the smaller one.
    """
    attempts = values.astype(np.float64).reshape(-1, count)
    halves = np.split(attempts, [len(attempts) // 2]) if len(attempts) > 1 else []
    return _means(attempts), tuple(map(_means, halves))


def _means(attempts: np.ndarray) -> tuple[float, ...]:
    """Return the mean of each column of ``attempts`` [A, N]."""
    return tuple(float(x) for x in attempts.mean(axis=0))


def _plain(value: Any) -> Any:
    """Return a scalar of a hyperparameter as plain data."""
    return value if isinstance(value, str) else np.asarray(value).item()
