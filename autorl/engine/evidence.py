"""What the search of a study saw of each candidate trained whole: beside the finalists' fresh seeds it chooses the winner. No jax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autorl.outer.budget.policies import WHOLE, make_policy
from autorl.outer.budget.protocol import BudgetPolicy
from autorl.outer.protocol import Budget, Status
from autorl.studies.runs import runs_of
from autorl.studies.trial import Arm, Trial


def evidence(trials: Sequence[Trial], specification: Mapping[str, Any], arm: Arm) -> dict[int, list[float]]:
    """Return the scores of whole trainings in the search of an arm, by trial.

    Empty for a study without a budget policy: there the search has one score of each candidate, by which finalists were chosen, and
    fresh seeds alone choose among these. Under a policy candidates race on further seeds, which would be lost; of the random search
    beside it the scores count as well, so that both arms are judged alike.

    Args:
        trials: All of the study.
        specification: The study's, as plain data.
        arm: The arm.
    """
    policy, searched = _policy(specification), [t for t in trials if (t.arm, t.phase) == (arm, "search")]
    if policy is None:
        return {}
    if arm != "method":
        return {t.number: [t.score] for t in searched if t.status is Status.COMPLETED and t.score is not None}
    width, points = int(specification["seeds"]["search"]), int(specification["evaluation"]["points"])
    runs = [run for t in searched for run in runs_of(t, width, points, int(specification["budget"]["env_steps"]))]
    found = policy.trained_whole(runs, int(specification["evaluation"].get("averaged", 1)))  # older studies had none
    # a run is the mean over the seeds of a block
    return {number: [score for score in scores for _ in range(width)] for number, scores in found.items()}


def _policy(specification: Mapping[str, Any]) -> BudgetPolicy | None:
    """Return the budget policy of a study, which counts in checkpoints; None without one."""
    chosen = (specification.get("search") or {}).get("policy")
    if not chosen or chosen["name"] == WHOLE:  # that of a resolved specification has a name and settings
        return None
    granted = Budget(int(specification["budget"]["trainings"]), int(specification["evaluation"]["points"]))
    return make_policy(chosen["name"], granted, 1, chosen["settings"])
