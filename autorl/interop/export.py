"""A study's winner as text: an experiment to be trained and tested anywhere, or arguments of another library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autorl.errors import StudyError, UsageError
from autorl.outer.lineage import schedule
from autorl.registry import Registry
from autorl.spaces import load_space
from autorl.spaces.plain_values import OBJECTIVE, TEACHER, plain_values, with_teacher
from autorl.studies.seeds import first_test_seed
from autorl.studies.specification import Specification, from_mapping, to_mapping, to_yaml
from autorl.studies.trial import Stage, Trial

EXPORTS: Registry[Callable[[Specification, Trial | None, Sequence[Trial]], str]] = Registry(
    "form of export",
    {
        "experiment": "autorl.interop.export:experiment_of",
        "sb3": "autorl.interop.frameworks.sb3:program",
        "rl-zoo": "autorl.interop.frameworks.rl_zoo:hyperparameter_file",
        "cleanrl": "autorl.interop.frameworks.cleanrl:command_lines",
        "objective": "autorl.interop.learned_objective:graph_file",
    },
)
"""Name -> function of (specification, best trial, search trials of the method)."""


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
    stages = best_schedule(best, trials)
    number = best.number if best.source is None else best.source
    plain = to_mapping(specification)
    plain["seeds"] |= {"test_start": first_test_seed(plain)}
    plain |= {
        "name": f"{specification.name}-best"[:64],
        "description": f"Best of study {specification.name!r} (trial {number}).",
        "environment": tested_in(plain["environment"]),
        "search": None,
        "hurdle": None,
        "expected": None,
        "budget": {
            "trainings": 1,
            "env_steps": specification.budget.env_steps if stages is None else stages[-1].until,
        },
        "schedule": None
        if stages is None
        else [{"until": s.until, "hyperparameters": dict(s.candidate)} for s in stages],
    }
    searched = {} if stages is not None else winner_values(specification, best.candidate)
    found = with_teacher(searched, teacher_of(specification))
    plain["teacher"] = found.pop(TEACHER, None)
    plain.pop("log", None)
    plain["learner"] = {
        "algorithm": learner.algorithm,
        "objective": found.pop(OBJECTIVE, learner.objective),
        "hyperparameters": {**fixed, **found},
    }
    return to_yaml(from_mapping(plain))


def teacher_of(specification: Specification) -> dict[str, Any] | None:
    """Return the study's own teacher as candidates have it, ``{"name": ..., "parameters": {...}}``; None if it has none."""
    teacher = specification.teacher
    return None if teacher is None else {"name": teacher.name, "parameters": dict(teacher.parameters)}


def best_schedule(best: Trial, trials: Sequence[Trial]) -> tuple[Stage, ...] | None:
    """Return the stages that ``best`` has been through; None if it is one configuration throughout."""
    if best.phase == "search" and best.parent is not None:
        plan = tuple(Stage(until, candidate) for until, candidate in schedule(trials, best.number))
        return plan if len(plan) > 1 else None
    return best.schedule


def tested_in(environments: Any) -> Any:
    """Return the environments of the test, each now one to train in: the held-out ones, if there are any."""
    listed = environments if isinstance(environments, list) else [environments]
    roles = [e.get("role", "train") if isinstance(e, Mapping) else "train" for e in listed]
    wanted = "held_out" if "held_out" in roles else "train"
    kept = [e for e, role in zip(listed, roles, strict=True) if role == wanted]
    return [{k: v for k, v in e.items() if k != "role"} if isinstance(e, Mapping) else e for e in kept]


def winner_values(specification: Specification, candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Return a candidate as hyperparameters, a loss graph under ``objective``; a finalist of no search is that already."""
    if specification.search is None or not candidate:
        return dict(candidate)
    return plain_values(load_space(specification.search.space), candidate)
