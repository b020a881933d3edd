"""The best of a study as one whole configuration, defaults included: other libraries have defaults of their own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autorl.errors import StudyError, UsageError
from autorl.interop.export import best_schedule, teacher_of, winner_values
from autorl.spaces.plain_values import with_teacher
from autorl.studies.specification import EnvironmentChoice, Specification
from autorl.studies.trial import Trial


@dataclass(frozen=True)
class Configuration:
    """One training in one environment.

    Attributes:
        title: Where it comes from, in words.
        algorithm: Name of the learner.
        environment: Our id of the environment.
        task: Parameters of the task that differ from the environment's own.
        bounds: Of continuous actions; None where actions are discrete.
        action_size: Number of dimensions of continuous actions; 0 where actions are discrete.
        env_steps: Environment steps of the training.
        values: Every hyperparameter of the learner, as plain values.
    """

    title: str
    algorithm: str
    environment: str
    task: Mapping[str, Any]
    bounds: tuple[float, float] | None
    action_size: int
    env_steps: int
    values: Mapping[str, Any]


def configurations(
    specification: Specification, best: Trial | None, trials: Sequence[Trial]
) -> tuple[Configuration, ...]:
    """Return the configuration of ``best`` in each environment of the test.

    Args:
        specification: The study's.
        best: The winner: a finalist, or the best search trial of a study that is not finished.
        trials: The search trials of the study's own method, for the lineage behind a search trial.

    Raises:
        StudyError: No trial has completed yet.
        UsageError: A study of the user's own objective, or a winner that is a schedule: no other library replays one.
    """
    if best is None:
        raise StudyError("nothing to export yet: no trial has completed. Go on with: autorl resume")
    if specification.learner is None:
        raise UsageError(
            f"the objective of study {specification.name!r} is your own, so there is no learner to write its best candidate "
            "for; in Python, study.best has it"
        )
    stages = best_schedule(best, trials)
    if stages is not None:
        raise UsageError(
            f"the best of study {specification.name!r} is a schedule of {len(stages)} stages, which no other library replays; "
            "'autorl export' without --to writes it as an experiment"
        )
    held_out = tuple(e for e in specification.environments if e.role == "held_out")
    tested = held_out or tuple(e for e in specification.environments if e.role == "train")
    number = best.number if best.source is None else best.source
    title = f"Best of study {specification.name!r} (trial {number})"
    return tuple(_configuration(specification, best, environment, title) for environment in tested)


def _configuration(
    specification: Specification, best: Trial, environment: EnvironmentChoice, title: str
) -> Configuration:
    from autorl.environments.protocol import Box
    from autorl.environments.registry import make_environment
    from autorl.inner.algorithms import ALGORITHMS

    learner = specification.learner
    assert learner is not None
    declared = ALGORITHMS.load(learner.algorithm).Hyperparameters
    given = with_teacher(
        {
            "objective": learner.objective,
            **learner.hyperparameters,
            **winner_values(specification, best.candidate),
            **environment.hyperparameters,
        },
        teacher_of(specification),
    )
    space = make_environment(environment.id).action_space
    return Configuration(
        title=title,
        algorithm=learner.algorithm,
        environment=environment.id,
        task=dict(environment.task),
        bounds=(space.low, space.high) if isinstance(space, Box) else None,
        action_size=math.prod(space.shape) if isinstance(space, Box) else 0,
        env_steps=environment.env_steps or specification.budget.env_steps,
        values=every_value(declared, given),
    )


def every_value(declared: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plain value for every field of the hyperparameters ``declared``: what is ``given``, else the default."""
    fields = dataclasses.fields(declared)
    return {f.name: _plain(given.get(f.name, f.default), f.default) for f in fields}


def _plain(value: Any, default: Any) -> Any:
    """Return ``value`` with the type of ``default``: a space may say 128.0 where a whole number is meant, and 1 for 1.0."""
    if isinstance(default, bool | str) or default is None:
        return value
    return int(value) if isinstance(default, int) else float(value)
