"""Between a study and its search method: the method of an arm, trials as results, proposals as trials. Imports no jax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autorl.errors import UsageError
from autorl.keys import derive
from autorl.outer.methods import make_method
from autorl.outer.protocol import Budget, Proposal, Result, SearchMethod, Status
from autorl.spaces import Space, load_space
from autorl.studies.specification import Specification
from autorl.studies.trial import AT_HURDLE, Arm, Trial


def method_of(specification: Specification, arm: Arm) -> SearchMethod[Any]:
    """Return the search method of an arm of a study; see `Session.method`."""
    search, budget = specification.search, specification.budget
    if search is None:
        raise UsageError("this experiment has no search: it trains one configuration")
    granted = Budget(budget.trainings, budget.env_steps)
    seed = derive(specification.seeds.study, "arm", arm)
    if arm == "random":
        return make_method("random", load_space(search.space), granted, seed, {})
    return make_method(search.method, load_space(search.space), granted, seed, search.settings)


def result_of(trial: Trial, space: Space) -> Result:
    """Return a recorded trial as a search method wants to be told it."""
    proposal = Proposal(
        number=trial.number,
        candidate=space.from_json(trial.candidate),
        env_steps=trial.env_steps,
        parent=trial.parent,
        generation=trial.generation,
        origin=trial.origin,
        ancestor=trial.ancestor,
    )
    score = trial.values.get(AT_HURDLE) if trial.status is Status.PRUNED else trial.score
    return Result(proposal, trial.status, score, {k: v for k, v in trial.values.items() if k != AT_HURDLE})


def trial_of(proposal: Proposal, space: Space, arm: Arm, seeds: Sequence[int]) -> Trial:
    """Return a proposal as a running trial of the record."""
    return Trial(
        arm=arm,
        phase="search",
        number=proposal.number,
        candidate=space.to_json(proposal.candidate),
        env_steps=proposal.env_steps,
        parent=proposal.parent,
        generation=proposal.generation,
        origin=proposal.origin,
        ancestor=proposal.ancestor,
        seeds=tuple(seeds),
    )
