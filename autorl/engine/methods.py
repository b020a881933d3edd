"""Between a study and its search method: the method of an arm, trials as results, proposals as trials. Imports no jax."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from autorl.errors import UsageError
from autorl.keys import derive
from autorl.outer.budget.joined import most_trials
from autorl.outer.budget.policies import WHOLE, make_policy
from autorl.outer.budget.protocol import BudgetPolicy
from autorl.outer.full_trainings import FullTrainings
from autorl.outer.methods import make_method, method_settings
from autorl.outer.prior_files import load_prior
from autorl.outer.priors import Prior
from autorl.outer.protocol import Budget, Proposal, Result, SearchMethod, Status
from autorl.spaces import Space, load_space
from autorl.spaces.nearest import nearest_candidate
from autorl.spaces.plain_values import TEACHER, leaves, of_teacher
from autorl.studies.prior_references import NONE
from autorl.studies.specification import Search, Specification
from autorl.studies.trial import AT_HURDLE, Arm, Trial


def method_of(specification: Specification, arm: Arm) -> SearchMethod[Any]:
    """Return the search method of an arm of a study; see `Session.method`."""
    search, budget = specification.search, specification.budget
    if search is None:
        raise UsageError("this experiment has no search: it trains one configuration")
    space, seed = load_space(search.space), derive(specification.seeds.study, "arm", arm)
    granted = Budget(budget.trainings, budget.env_steps)
    if arm == "random":
        return make_method("random", space, granted, seed, {})
    taken = search.warm_start and search.warm_start.taken
    seed = taken.seed if taken and taken.seed is not None else seed
    policy = policy_of(specification)
    if policy is not None:
        granted = Budget(most_trials(policy, budget.trainings, specification.evaluation.points), budget.env_steps)
    starts = [space.from_json(start) for start in starts_of(specification, space)]
    made = make_method(search.method, space, granted, seed, _settings(search), starts, prior_in(specification))
    return made.after(taken.trials) if taken and isinstance(made, FullTrainings) else made


def _settings(search: Search) -> dict[str, Any]:
    """Return the settings of a search's method; it is asked for as many trials at once as ``search.batch`` says, if it can be."""
    settings, defaults = dict(search.settings), method_settings(search.method)
    if search.batch is not None and "batch" in defaults:
        settings["batch"] = max(search.batch, settings.get("batch", defaults["batch"]))
    return settings


def prior_in(specification: Specification) -> Prior | None:
    """Return the prior of a study whose specification is self-contained; None if it has none."""
    reference = specification.search.prior if specification.search is not None else None
    return None if reference is None or reference == NONE else load_prior(reference)


def starts_of(specification: Specification, space: Space) -> list[dict[str, Any]]:
    """Return the configurations that a search begins with, that of the learner written out."""
    search = specification.search
    given = search.start if search is not None else ()
    return [default_candidate(specification, space) if isinstance(start, str) else start for start in given]


def learner_defaults(algorithm: str) -> dict[str, Any]:
    """Return the default hyperparameters of a learner."""
    from autorl.inner.algorithms import ALGORITHMS  # imports jax; asked for by studies that train agents alone

    return {field.name: field.default for field in dataclasses.fields(ALGORITHMS.load(algorithm).Hyperparameters)}


def default_candidate(specification: Specification, space: Space) -> dict[str, Any]:
    """Return the learner's default configuration, as near as ``space`` has it, as `Space.to_json` writes it."""
    assert specification.learner is not None
    fixed = {**learner_defaults(specification.learner.algorithm), **specification.learner.hyperparameters}
    return space.to_json(nearest_candidate(space, {**fixed, **_default_teaching(specification, space)}))


def _default_teaching(specification: Specification, space: Space) -> dict[str, Any]:
    """Return the study's own teacher, and its and other teachers' own parameters, for the dimensions of ``space`` that are of teachers."""
    from autorl.curricula.teachers import ALL_TEACHERS

    own = specification.teacher
    found: dict[str, Any] = {} if own is None else {TEACHER: own.name}
    dimensions = [name for part in leaves(space) for name in getattr(part, "dimensions", {}) if of_teacher(name)]
    for name in dimensions:
        part = name.split(".")
        if len(part) > 2:
            given = own.parameters if own is not None and own.name == part[1] else {}
            value = given.get(part[2], ALL_TEACHERS.load(part[1]).Parameters.__dataclass_fields__[part[2]].default)
            for index in part[3:]:
                value = value[int(index)] if isinstance(value, list | tuple) else value
            found[name] = value
    return found


def is_random_search(specification: Specification) -> bool:
    """Return whether a study's method is the baseline itself: whole trainings of candidates that are drawn uniformly."""
    search = specification.search
    drawn = search is not None and search.method == "random" and prior_in(specification) is None
    return drawn and policy_of(specification) is None


def policy_of(specification: Specification) -> BudgetPolicy | None:
    """Return the budget policy of a study, which counts in checkpoints; None where every training is a whole one."""
    search, points = specification.search, specification.evaluation.points
    if search is None or search.policy is None or search.policy.name == WHOLE:
        return None
    granted = Budget(specification.budget.trainings, points)
    return make_policy(search.policy.name, granted, 1, search.policy.settings)


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
