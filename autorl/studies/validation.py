"""From nodes to a specification: pydantic's errors and our own checks, all of them, each brought back to where it stands."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic import ValidationError

from autorl.studies.consistency import Finding, Sections, inconsistencies
from autorl.studies.convert import from_python, key_position, locate, model_fields, plain
from autorl.studies.explain import findings_of
from autorl.studies.models import (
    Budget,
    EnvironmentChoice,
    Evaluation,
    Hurdle,
    LearnerChoice,
    ScheduleEntry,
    Search,
    Section,
    Seeds,
    Specification,
)
from autorl.studies.positions import MappingNode, Node
from autorl.studies.problems import Path, Position, Problem, SpecificationError, dotted, shown

PYTHON: Final = Position("<python>")
Checks = Callable[[Sections], list[Finding]]


def specification_from(root: Node, problems: Sequence[Problem], checks: Checks) -> Specification:
    """Return the specification at ``root``.

    Args:
        root: All that was written.
        problems: Those found while reading it.
        checks: More checks, such as those of the names that it refers to.

    Raises:
        SpecificationError: All problems: of reading, of fields, between sections, and of ``checks``.
    """
    if not isinstance(root, MappingNode):
        given = plain(root)
        message = f"expected fields such as 'environment: gymnax:CartPole-v1', got {shown(given)}"
        raise SpecificationError([*problems, Problem.at(root.position, (), message, given)])
    data = plain(root, Specification)
    made: Specification | None = None
    findings: list[Finding] = []
    try:
        made = Specification.__pydantic_validator__.validate_python(data)
        sections = Sections.of(made)
    except ValidationError as error:
        findings = findings_of(Specification, error)
        sections = readable(data, findings)
        findings += inconsistencies(sections)
    findings += checks(sections)
    if findings or problems or made is None:
        # what was refused while reading (a tag, an alias) is not also to be reproached with its type
        refused = {(problem.file, problem.line, problem.column, problem.field) for problem in problems}
        found = [problem_at(root, finding) for finding in findings]
        found = [p for p in found if p.line is None or (p.file, p.line, p.column, p.field) not in refused]
        raise SpecificationError([*problems, *found])
    return made


def python_error(cls: type[Section], fields: dict[str, Any], error: ValidationError) -> SpecificationError:
    """Return the error of constructing ``cls(**fields)`` in Python."""
    problems: list[Problem] = []
    root = from_python(fields, PYTHON, problems)
    findings = findings_of(cls, error)
    if cls is Specification:
        findings += inconsistencies(readable(plain(root, cls), findings))
    return SpecificationError([*problems, *(problem_at(root, finding) for finding in findings)])


def problem_at(root: Node, finding: Finding) -> Problem:
    """Return ``finding`` with the position of what it is about, and its field as written there."""
    written, position, _ = locate(root, finding.path)
    if finding.at_key and finding.path:
        position = key_position(root, finding.path)
    return Problem(position.source, position.line, position.column, dotted(written), finding.value, finding.message)


def readable(data: Any, findings: Sequence[Finding]) -> Sections:
    """Return what can be read of ``data`` once everything that ``findings`` name is left out, for the checks that remain."""
    kept = copy.deepcopy(data)
    for finding in findings:
        _remove(kept, finding.path)
    broken: set[str] = set()

    def section(model: type[Section], key: str, value: Any) -> Any:
        try:
            return model.__pydantic_validator__.validate_python(value)
        except ValidationError:
            broken.add(key)
            return None

    def optional(model: type[Section], key: str) -> Any:
        if key in data and key not in kept:
            broken.add(key)
        return None if kept.get(key) is None else section(model, key, kept[key])

    def several(model: type[Section], key: str) -> tuple[Any, ...]:
        if key in data and key not in kept:
            broken.add(key)
        values = kept.get(key)
        listed = [] if values is None else values if isinstance(values, list) else [values]
        return tuple(made for value in listed if (made := section(model, key, value)) is not None)

    given = kept.get("search")
    if isinstance(given, dict) and "space" not in given:  # the method can be checked all the same
        kept["search"] = {**given, "space": "-"}
        broken.add("search.space")
    schedule = several(ScheduleEntry, "schedule")
    return Sections(
        environments=several(EnvironmentChoice, "environment"),
        learner=optional(LearnerChoice, "learner"),
        search=optional(Search, "search"),
        schedule=schedule if kept.get("schedule") is not None else None,
        budget=optional(Budget, "budget") or Budget(),
        evaluation=optional(Evaluation, "evaluation") or Evaluation(),
        seed=(optional(Seeds, "seeds") or Seeds()).study,
        hurdle=optional(Hurdle, "hurdle"),
        broken=frozenset(broken | _touched(findings)),
    )


def _touched(findings: Sequence[Finding]) -> set[str]:
    """Return the sections whose own fields are wrong in a way that other sections' checks depend on."""
    parts = {("budget", "trainings"), ("budget", "env_steps"), ("evaluation", "points"), ("environment", "score_range")}
    named = {tuple(part for part in finding.path if isinstance(part, str))[:2] for finding in findings}
    misspelt = [str(finding.path[0]) for finding in findings if len(finding.path) == 1]
    meant = {near for word in misspelt for near in difflib.get_close_matches(word, model_fields(Specification), n=1)}
    return meant | {section for section, field in parts if (section, field) in named}


def _remove(data: Any, path: Path) -> None:
    """Delete what stands at ``path``, if it can be deleted without moving anything else."""
    parent: Any = None
    key: str | int | None = None
    node = data
    for part in path:
        if isinstance(node, dict):
            if part in node:
                parent, key, node = node, part, node[part]
            elif not isinstance(part, int):
                return  # a field that is missing
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            parent, key, node = node, part, node[part]
    if isinstance(parent, dict):
        parent.pop(key, None)
