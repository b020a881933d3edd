"""From nodes to an experiment: pydantic's errors and our own checks, all of them, each brought back to where it stands."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from autorl.studies.comparison_consistency import ComparisonSections, contradictions
from autorl.studies.comparison_models import Comparison, Tuning
from autorl.studies.consistency import Finding, Sections, inconsistencies
from autorl.studies.convert import from_python, key_position, locate, model_fields, plain
from autorl.studies.explain import findings_of
from autorl.studies.models import (
    Baselines,
    Budget,
    EnvironmentChoice,
    EnvironmentSettings,
    Evaluation,
    Hurdle,
    LearnerChoice,
    LearnerSettings,
    ScheduleEntry,
    Search,
    Section,
    Seeds,
    Specification,
    TeacherChoice,
)
from autorl.studies.positions import MappingNode, Node
from autorl.studies.problems import Path, Position, Problem, SpecificationError, dotted, shown

PYTHON: Final = Position("<python>")
M = TypeVar("M", bound=Section)
S = TypeVar("S")


@dataclass(frozen=True)
class Form(Generic[M, S]):
    """A kind of experiment.

    Attributes:
        model: What it is read as.
        sections: The sections of a whole one.
        readable: The sections that can be read of a broken one (its data), once all that the findings name is left out.
        inconsistencies: The contradictions between sections.
    """

    model: type[M]
    sections: Callable[[M], S]
    readable: Callable[[Any, Sequence[Finding]], S]
    inconsistencies: Callable[[S], list[Finding]]


def experiment_from(
    form: Form[M, S], root: Node, problems: Sequence[Problem], checks: Callable[[S], list[Finding]]
) -> M:
    """Return the experiment at ``root``.

    Args:
        form: Its kind.
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
    data = plain(root, form.model)
    made: M | None = None
    findings: list[Finding] = []
    try:
        made = form.model.__pydantic_validator__.validate_python(data)
        sections = form.sections(made)
    except ValidationError as error:
        findings = findings_of(form.model, error)
        sections = form.readable(data, findings)
        findings += form.inconsistencies(sections)
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
    forms: dict[type[Section], Form[Any, Any]] = {Specification: STUDY, Comparison: COMPARISON}
    form = forms.get(cls)
    if form is not None:
        findings += form.inconsistencies(form.readable(plain(root, cls), findings))
    return SpecificationError([*problems, *(problem_at(root, finding) for finding in findings)])


def problem_at(root: Node, finding: Finding) -> Problem:
    """Return ``finding`` with the position of what it is about, and its field as written there."""
    written, position, _ = locate(root, finding.path)
    if finding.at_key and finding.path:
        position = key_position(root, finding.path)
    return Problem(position.source, position.line, position.column, dotted(written), finding.value, finding.message)


@dataclass
class _Kept:
    """What is left of the data of a broken experiment once everything that its findings name is left out.

    Attributes:
        data: As it was written.
        kept: What is left.
        broken: The sections that could not be read.
    """

    data: Any
    kept: Any
    broken: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, data: Any, findings: Sequence[Finding]) -> _Kept:
        kept = copy.deepcopy(data)
        for finding in findings:
            _remove(kept, finding.path)
        return cls(data, kept)

    def section(self, model: type[M], key: str, value: Any) -> M | None:
        """Return the section ``value`` of the experiment's ``key``, if it can be read."""
        try:
            return model.__pydantic_validator__.validate_python(value)
        except ValidationError:
            self.broken.add(key)
            return None

    def optional(self, model: type[M], key: str) -> M | None:
        """Return the section at ``key``, if it is there and can be read."""
        if key in self.data and key not in self.kept:
            self.broken.add(key)
        return None if self.kept.get(key) is None else self.section(model, key, self.kept[key])

    def several(self, model: type[M], key: str) -> tuple[M, ...]:
        """Return the sections of the list (or the single section) at ``key`` up to the first that cannot be read.

        Those after it would be found at the wrong place.
        """
        if key in self.data and key not in self.kept:
            self.broken.add(key)
        values = self.kept.get(key)
        listed = [] if values is None else values if isinstance(values, list) else [values]
        made: list[M] = []
        for value in listed:
            section = self.section(model, key, value)
            if section is None:
                break
            made.append(section)
        return tuple(made)

    def value(self, model: type[Section], key: str) -> Any:
        """Return the value of the field ``key`` that is no section, if it is there and can be read."""
        if key not in self.data:
            return None
        annotation = model_fields(model)[key][1].rebuild_annotation()
        try:
            return TypeAdapter(annotation).validate_python(self.kept[key], strict=True)
        except (KeyError, ValidationError):
            self.broken.add(key)
            return None

    def stand_in(self, key: str, name: str, value: Any) -> None:
        """Let the section at ``key`` be read though its field ``name`` is missing or wrong; ``key.name`` is broken then."""
        given = self.kept.get(key)
        if isinstance(given, dict) and name not in given:
            self.kept[key] = {**given, name: value}
            self.broken.add(f"{key}.{name}")


def _readable_study(data: Any, findings: Sequence[Finding]) -> Sections:
    of = _Kept.of(data, findings)
    of.stand_in("search", "space", "-")  # the method can be checked all the same
    schedule = of.several(ScheduleEntry, "schedule")
    return Sections(
        environments=of.several(EnvironmentChoice, "environment"),
        learner=of.optional(LearnerChoice, "learner"),
        search=of.optional(Search, "search"),
        schedule=schedule if of.kept.get("schedule") is not None else None,
        budget=of.optional(Budget, "budget") or Budget(),
        evaluation=of.optional(Evaluation, "evaluation") or Evaluation(),
        seed=(of.optional(Seeds, "seeds") or Seeds()).study,
        hurdle=of.optional(Hurdle, "hurdle"),
        teacher=of.optional(TeacherChoice, "teacher"),
        baselines=of.optional(Baselines, "baselines"),
        broken=frozenset(of.broken | _touched(Specification, findings)),
    )


def _readable_comparison(data: Any, findings: Sequence[Finding]) -> ComparisonSections:
    of = _Kept.of(data, findings)
    of.stand_in("tuning", "configurations", 2)  # the space can be checked all the same
    return ComparisonSections(
        objectives=of.value(Comparison, "objectives") or (),
        environments=of.several(EnvironmentSettings, "environment"),
        learner=of.optional(LearnerSettings, "learner"),
        env_steps=of.value(Comparison, "env_steps"),
        evaluation=of.optional(Evaluation, "evaluation") or Evaluation(),
        tuning=of.optional(Tuning, "tuning"),
        broken=frozenset(of.broken | _touched(Comparison, findings)),
    )


STUDY: Final = Form(Specification, Sections.of, _readable_study, inconsistencies)
COMPARISON: Final = Form(Comparison, ComparisonSections.of, _readable_comparison, contradictions)


def _touched(model: type[Section], findings: Sequence[Finding]) -> set[str]:
    """Return the sections whose own fields are wrong in a way that other sections' checks depend on."""
    parts = {("budget", "trainings"), ("budget", "env_steps"), ("evaluation", "points"), ("environment", "score_range")}
    named = {tuple(part for part in finding.path if isinstance(part, str))[:2] for finding in findings}
    misspelt = [str(finding.path[0]) for finding in findings if len(finding.path) == 1]
    meant = {near for word in misspelt for near in difflib.get_close_matches(word, model_fields(model), n=1)}
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
