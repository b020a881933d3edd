"""The budget policy of a search and the configurations that it begins with: they exist, and fit the rest of the experiment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from autorl.errors import UnknownNameError, UsageError, suggestion
from autorl.studies.consistency import Finding, Sections
from autorl.studies.problems import Path, shown

if TYPE_CHECKING:
    from autorl.outer.auto import Choice
    from autorl.outer.budget.protocol import BudgetPolicy
    from autorl.spaces import Candidate, Space
    from autorl.studies.specification import Specification

_PATH: Path = ("search", "policy")
DEFAULT = "default"
"""The learner's own configuration, in ``search.start``."""


def policy_at(s: Sections) -> tuple[BudgetPolicy | None, list[Finding]]:
    """Return the policy that a search names, if it can be had, and its problems."""
    from autorl.outer.budget.policies import POLICIES, WHOLE, make_policy, policy_settings
    from autorl.outer.protocol import Budget

    choice = s.search.policy if s.search is not None else None
    if choice is None or choice.name == WHOLE:
        return None, []
    if choice.name not in POLICIES:
        message = str(UnknownNameError("budget policy", choice.name, [*POLICIES, WHOLE]))
        return None, [Finding((*_PATH, "name"), message, choice.name)]
    known, found = policy_settings(choice.name), list(_misplaced(s))
    for key in (key for key in choice.settings if key not in known):
        value = choice.settings[key]
        message = (
            f"unknown setting of budget policy {choice.name!r}, its value is {shown(value)}.{suggestion(key, known)}"
        )
        found.append(Finding((*_PATH, "settings", key), message, value))
    if found or not s.intact("budget", "evaluation"):
        return None, found
    try:
        made = make_policy(choice.name, Budget(s.budget.trainings, s.evaluation.points), 1, choice.settings)
        if len(made.rungs) > 1 or made.name == "wilcoxon":  # which stops seeds, not trainings
            return made, []
        message = (
            f"budget policy {choice.name!r} has nowhere to cut: there is no evaluation before the end where it could"
        )
        return None, [
            Finding.refused(
                ("evaluation", "points"), message, s.evaluation.points, "Make it larger, or the policy whole"
            )
        ]
    except UsageError as error:
        named = [key for key in choice.settings if f"{key}:" in str(error)]
        if named:
            return None, [Finding((*_PATH, "settings", named[0]), str(error), choice.settings[named[0]])]
        return None, [Finding(("evaluation", "points"), str(error), s.evaluation.points)]


def whole_because(s: Sections | Specification) -> str:
    """Return why an experiment keeps ``auto`` from cutting trainings; nothing if it does not."""
    from autorl.outer.budget.policies import WHOLE

    search = s.search
    if search is not None and search.policy is not None and search.policy.name == WHOLE:
        return "search.policy says so"
    if s.learner is None:
        return "their scores are told"
    if search is not None and search.warm_start is not None and search.warm_start.same_metric:
        return "it is told trials of another tool, which were"
    if s.hurdle is not None:
        return "the experiment has a hurdle"
    if any(choice.role == "validation" for choice in s.environments):
        return "every one of them is validated"
    return ""


def chosen(s: Sections | Specification, space: Space, policy: BudgetPolicy | None, *, prior: bool) -> Choice:
    """Return what ``auto`` stands for in an experiment.

    Args:
        s: The experiment.
        space: What it searches.
        policy: The budget policy that it names, if any.
        prior: Whether a prior is there to draw candidates.

    Raises:
        UsageError: Its budget is none that can be cut.
    """
    from autorl.outer.auto import choose
    from autorl.studies.prior_references import NONE

    search = s.search
    assert search is not None
    return choose(
        space,
        s.budget.trainings,
        s.evaluation.points,
        whole=whole_because(s),
        policy=policy,
        given=search.settings,
        candidates=bool(search.start) or search.prior not in (None, NONE) or search.warm_start is not None,
        prior=prior,
    )


def _misplaced(s: Sections) -> Iterator[Finding]:
    """Yield what else in the experiment a policy cannot go with."""
    if s.learner is None and s.intact("learner"):
        message = "it cuts trainings short, and this experiment trains nothing. Remove it, or add 'learner'"
        yield Finding(_PATH, message, at_key=True)
    if s.hurdle is not None:
        message = "a budget policy stops trials as well. Remove the hurdle, or search.policy"
        yield Finding(("hurdle",), message, at_key=True)
    for i, choice in enumerate(s.environments):
        if choice.role == "validation":
            message = "expected train or held_out: under a budget policy few trials get as far as validation"
            yield Finding.refused(
                ("environment", i, "role"), message, choice.role, "Change it, or remove search.policy"
            )


def starts_at(s: Sections, space: Space) -> tuple[list[Candidate], list[Finding]]:
    """Return the candidates that a search begins with, the learner's own left out, and the problems of the others."""
    found: list[Finding] = []
    made: list[Candidate] = []
    for i, given in enumerate(s.search.start if s.search is not None else ()):
        path: Path = ("search", "start", i)
        if isinstance(given, str):
            if given != DEFAULT:
                message = "expected default, or a mapping of hyperparameters"
                found.append(Finding.refused(path, message, given))
            elif s.learner is None and s.intact("learner"):
                found.append(
                    Finding(path, "there is no learner that has a default. Write the configuration out", given)
                )
            continue
        try:
            made.append(space.from_json(given))
        except UsageError as error:
            found.append(Finding(path, str(error), given))
    return made, found
