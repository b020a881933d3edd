"""A study's winner as a plain experiment: configuration or schedule, ready to be trained and tested anywhere."""

from __future__ import annotations

from collections.abc import Sequence

from autorl.errors import StudyError, UsageError
from autorl.outer.lineage import schedule
from autorl.studies.specification import Specification, from_mapping, to_mapping, to_yaml
from autorl.studies.trial import Stage, Trial


def experiment_of(specification: Specification, best: Trial | None, trials: Sequence[Trial]) -> str:
    """Return the YAML of an experiment that trains ``best`` on the study's test seeds.

    Args:
        specification: The study's.
        best: The winner: a finalist, or the best search trial of a study that is not finished.
        trials: The search trials of the study's own method, for the lineage behind a search trial.

    Raises:
        StudyError: No trial has completed yet.
        UsageError: A study of the user's own objective, which no experiment can train.
    """
    if best is None:
        raise StudyError("nothing to export yet: no trial has completed. Go on with: autorl resume")
    learner = specification.learner
    if learner is None:
        raise UsageError(
            f"the objective of study {specification.name!r} is your own, so there is no experiment that trains its best "
            "candidate; in Python, study.best has it"
        )
    fixed = dict(learner.hyperparameters)
    stages = best.schedule
    if best.phase == "search" and best.parent is not None:
        plan = tuple(Stage(until, candidate) for until, candidate in schedule(trials, best.number))
        stages = plan if len(plan) > 1 else None
    number = best.number if best.source is None else best.source
    plain = to_mapping(specification)
    plain |= {
        "name": f"{specification.name}-best"[:64],
        "description": f"Best of study {specification.name!r} (trial {number}).",
        "search": None,
        "expected": None,
        "budget": {
            "trainings": 1,
            "env_steps": specification.budget.env_steps if stages is None else stages[-1].until,
        },
        "schedule": None
        if stages is None
        else [{"until": s.until, "hyperparameters": dict(s.candidate)} for s in stages],
    }
    plain["learner"] = {
        "algorithm": learner.algorithm,
        "hyperparameters": fixed if stages is not None else {**fixed, **best.candidate},
    }
    return to_yaml(from_mapping(plain))
