"""What a comparison refers to: objectives, environments, learner and space exist, and fit together.

Imports the learner that is named (and with it jax) and the environments, when it is called and not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autorl.errors import UsageError
from autorl.spaces.plain_values import leaves
from autorl.studies.comparison_consistency import ComparisonSections
from autorl.studies.consistency import Finding
from autorl.studies.problems import Path
from autorl.studies.references import environments_of, ignored_tasks, learner_of, unfit_objective, wrong_hyperparameters
from autorl.studies.space_references import space_at, unfit_dimensions

if TYPE_CHECKING:
    from autorl.studies.comparison_models import Tuning

_SPACE: Path = ("tuning", "space")


def unknown_in_comparison(sections: ComparisonSections) -> list[Finding]:
    """Return every problem with the names in ``sections`` and with what depends on them."""
    environments, found = environments_of(sections.environments)
    learner, more = learner_of(sections.learner, environments)
    found += more
    if sections.intact("objectives"):
        found += _objectives(sections, learner)
    if sections.learner is not None and learner is not None:
        given = sections.learner.hyperparameters
        found += ignored_tasks(learner, sections.environments)
        found += wrong_hyperparameters(learner, given, sections.environments)
    if sections.tuning is not None:
        found += _space(sections, sections.tuning, learner)
    if learner is not None and not found and sections.intact("learner", "environment", "env_steps"):
        found += _too_short(sections, learner)
    return found


def _objectives(s: ComparisonSections, learner: Any) -> Iterator[Finding]:
    from autorl.objectives.loader import load_objective

    algorithm, seen = s.learner.algorithm if s.learner is not None else "", set[str]()
    for i, name in enumerate(s.objectives):
        try:
            objective = load_objective(name)
        except UsageError as error:
            yield Finding(("objectives", i), str(error), name)
            continue
        if learner is not None:
            yield from unfit_objective(("objectives", i), name, algorithm, learner)
        if objective.name in seen and name not in s.objectives[:i]:
            message = f"expected different names, but {objective.name!r} is the name of another one. Rename its file"
            yield Finding(("objectives", i), message, name)
        seen.add(objective.name)


def _space(s: ComparisonSections, tuning: Tuning, learner: Any) -> list[Finding]:
    space, found = space_at(_SPACE, tuning.space)
    if space is None or learner is None or s.learner is None:
        return found
    parts = list(leaves(space))
    inline = not isinstance(tuning.space, str) and len(parts) == 1
    for part in parts:
        if hasattr(part, "objective"):
            message = "its candidates are loss graphs; a comparison tunes hyperparameters, and names its objectives"
            found.append(Finding(_SPACE, message, part.name))
        else:
            found += unfit_dimensions(_SPACE, part, s.learner.algorithm, learner.Hyperparameters, inline=inline)
    if not found and not space.unit_dimension:
        found.append(Finding(_SPACE, "all its dimensions are fixed, so there is nothing to tune", space.name))
    return found


def _too_short(s: ComparisonSections, learner: Any) -> Iterator[Finding]:
    """Yield the environments whose training is too short for the given hyperparameters: it could train nothing."""
    assert s.learner is not None
    for i, choice in enumerate(s.environments):
        steps = choice.env_steps or s.env_steps
        path: Path = ("environment", i, "env_steps") if choice.env_steps else ("env_steps",)
        try:
            if steps is not None:
                learner.prepare({**s.learner.hyperparameters, **choice.hyperparameters}, steps, {})
        except UsageError as error:
            yield Finding(path, str(error), steps)
