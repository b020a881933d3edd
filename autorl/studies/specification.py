"""A specification from a file, from a mapping, with overrides: one way in, and the same checks for all of them.

load("quickstart", ["search.method=tpe"])       a name in the catalogue, or the path of a file
from_mapping({"environment": "gymnax:CartPole-v1", ...})
Specification(environment="gymnax:CartPole-v1", ...)      then `validate_references`
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from autorl.studies.convert import from_python, key_position
from autorl.studies.experiment_files import COMPARED, is_comparison_node, named, read_file, read_text
from autorl.studies.models import (
    Baselines,
    Budget,
    EnvironmentChoice,
    Evaluation,
    Expected,
    LearnerChoice,
    ScheduleEntry,
    Search,
    Seeds,
    Specification,
    TeacherChoice,
)
from autorl.studies.overrides import Overrides, apply
from autorl.studies.positions import Node
from autorl.studies.problems import Problem, SpecificationError
from autorl.studies.schema import json_schema
from autorl.studies.validation import PYTHON, STUDY, experiment_from
from autorl.studies.writing import to_mapping, to_yaml

__all__ = [
    "Baselines",
    "Budget",
    "EnvironmentChoice",
    "Evaluation",
    "Expected",
    "LearnerChoice",
    "Problem",
    "ScheduleEntry",
    "Search",
    "Seeds",
    "Specification",
    "SpecificationError",
    "TeacherChoice",
    "from_mapping",
    "json_schema",
    "load",
    "parse",
    "to_mapping",
    "to_yaml",
    "validate_references",
]


def load(name: str | os.PathLike[str], overrides: Overrides = (), *, references: bool = True) -> Specification:
    """Return the experiment of that name in the catalogue, or in the ``.yaml`` file of that path.

    Args:
        name: ``quickstart``, or a path.
        overrides: ``["search.method=tpe", ...]`` or ``{"search.method": "tpe", ...}``.
        references: Also check the names that it refers to (environments, learner, space, method) and what depends on them.
            This imports the learner and its libraries; without it, nothing heavy is imported.

    Raises:
        UsageError: No such experiment or file.
        SpecificationError: All problems of the file and of the overrides.
    """
    root, problems, display = read_file(name)
    if is_comparison_node(root):
        message = (
            "makes this a comparison, which is no study. In Python: autorl.run_comparison; to train it: autorl run"
        )
        raise SpecificationError([Problem.at(key_position(root, (COMPARED,)), (COMPARED,), message)])
    return _finish(named(root, display), problems, overrides, references)


def parse(
    text: str, filename: str = "experiment.yaml", overrides: Overrides = (), *, references: bool = True
) -> Specification:
    """Return the experiment written in ``text``; ``filename`` is for messages, and its stem the name if there is no other.

    Raises:
        SpecificationError: All problems of the text and of the overrides.
    """
    root, problems = read_text(text, filename)
    return _finish(named(root, filename), problems, overrides, references)


def from_mapping(
    fields: Mapping[str, Any] | Specification, overrides: Overrides = (), *, references: bool = True
) -> Specification:
    """Return the experiment in ``fields``, a mapping as a file would have it, or an experiment to be changed by ``overrides``.

    Raises:
        SpecificationError: All problems.
    """
    problems: list[Problem] = []
    return _finish(from_python(fields, PYTHON, problems), problems, overrides, references)


def validate_references(specification: Specification) -> None:
    """Check the names that ``specification`` refers to, and what depends on them (`autorl.studies.references`).

    Raises:
        SpecificationError: All problems.
    """
    from_mapping(specification)


def _finish(root: Node, problems: list[Problem], overrides: Overrides, references: bool) -> Specification:
    root, more = apply(root, Specification, overrides)
    if references:
        from autorl.studies.references import unknown_references

        return experiment_from(STUDY, root, [*problems, *more], unknown_references)
    return experiment_from(STUDY, root, [*problems, *more], lambda sections: [])
