"""What the race of a search saw of each candidate: with the finalists' fresh seeds it chooses the winner. No jax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autorl.engine.winner import searches_graphs
from autorl.outer.budget.policies import WHOLE, make_policy
from autorl.outer.budget.protocol import BudgetPolicy
from autorl.outer.protocol import Budget
from autorl.spaces import Space
from autorl.studies.runs import runs_of
from autorl.studies.trial import Trial

Evidence = dict[int, list[float | None]]
"""Scores of whole trainings by number of the trial; None for one that failed."""


def evidence(trials: Sequence[Trial], specification: Mapping[str, Any], space: Space | None) -> Evidence:
    """Return the scores of whole trainings on further seeds in the method's search, by trial, as `pick_winner` takes them.

    Empty where no trial has raced on a further seed: without a budget policy that does so, and in random search beside it. What made a
    trial a finalist, its first training, is left out: that is the best of many, on seeds that decided. Empty also where sizes are
    compared (loss graphs).

    A training is worth the mean of its last ``evaluation.averaged`` evaluations, as on fresh seeds, whatever the policy cuts by.

    Args:
        trials: All of the study.
        specification: The study's, as plain data.
        space: What is searched; None if it is not known.
    """
    policy = None if searches_graphs(space) else _policy(specification)
    if policy is None:
        return {}
    width = int((specification.get("seeds") or {}).get("search", 1))
    evaluation, env_steps = specification["evaluation"], int(specification["budget"]["env_steps"])
    searched = [t for t in trials if (t.arm, t.phase) == ("method", "search")]
    runs = [run for t in searched for run in runs_of(t, width, int(evaluation["points"]), env_steps)]
    found = policy.raced(runs, int(evaluation.get("averaged", 1)))  # older studies had none
    # a run is the mean over the seeds of a block
    return {number: [score for score in scores for _ in range(width)] for number, scores in found.items()}


def _policy(specification: Mapping[str, Any]) -> BudgetPolicy | None:
    """Return the budget policy of a study, which counts in checkpoints; None without one."""
    chosen = (specification.get("search") or {}).get("policy")
    chosen = {"name": chosen} if isinstance(chosen, str) else chosen
    if not chosen or chosen["name"] == WHOLE:
        return None
    granted = Budget(int(specification["budget"]["trainings"]), int(specification["evaluation"]["points"]))
    return make_policy(chosen["name"], granted, 1, chosen.get("settings") or {})
