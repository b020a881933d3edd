"""Where the trials of a search are judged first: an agent must have trained by then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autorl.errors import UsageError
from autorl.studies.consistency import Finding, Sections
from autorl.studies.policy_references import policy_at, whole_because
from autorl.studies.problems import Path

if TYPE_CHECKING:
    from autorl.spaces import Space
    from autorl.studies.models import EnvironmentChoice


def judged_before_training(
    s: Sections, space: Space | None, choice: EnvironmentChoice, teacher: str, steps: int, fewer: str
) -> Iterator[Finding]:
    """Yield that a search judges its trials in an environment where they have trained nothing.

    Args:
        s: The sections.
        space: Of the search.
        choice: The environment.
        teacher: Whose steps they are.
        steps: Env steps taken for the teacher before the training.
        fewer: The teacher's parameters on which they depend.
    """
    if not steps or choice.role != "train":
        return
    for path, value, place, later in _places(s, space, choice):
        if place <= steps:
            message = (
                f"{value!r} judges trials first after {place} env steps in {choice.id!r}, and teacher {teacher!r} takes {steps} before "
                f"the agent's first, so that nothing is trained by then. Remedy: {later}, a larger budget.env_steps, or fewer {fewer} "
                "of the teacher"
            )
            yield Finding(path, message, value)


def _places(s: Sections, space: Space | None, choice: EnvironmentChoice) -> Iterator[tuple[Path, Any, int, str]]:
    """Yield each place that judges a trial before its training is over: path and value of the field, env steps, how to put it off."""
    if s.search is None or not s.intact("search", "search.space", "budget", "evaluation", "hurdle"):
        return
    whole = choice.env_steps or s.budget.env_steps
    if s.hurdle is not None and s.hurdle.env_steps is not None:
        train = [other for other in s.environments if other.role == "train"]
        if any(other is choice for other in train[: s.hurdle.environments]):
            yield ("hurdle", "env_steps"), s.hurdle.env_steps, min(s.hurdle.env_steps, whole), "a later hurdle"
    policy, _ = policy_at(s)
    if policy is not None and s.search.policy is not None:
        place = whole * policy.rungs[0] // s.evaluation.points
        yield ("search", "policy", "name"), s.search.policy.name, place, "a later first cut, search.policy: whole"
    cut = _cut_by_auto(s, space)
    if cut is not None:
        yield ("search", "method"), s.search.method, whole * cut // s.evaluation.points, "search.policy: whole"
    interval = _interval(s, space)
    if interval is not None:
        settings = s.search.settings
        path: Path = ("search", "settings", "intervals") if "intervals" in settings else ("search", "method")
        yield path, settings.get("intervals", s.search.method), interval, "fewer intervals"


def _cut_by_auto(s: Sections, space: Space | None) -> int | None:
    """Return the checkpoint at which the policy that ``auto`` will choose cuts first; None where it will choose none."""
    from autorl.outer.auto import choose
    from autorl.outer.budget.policies import make_policy
    from autorl.outer.protocol import Budget

    search, points = s.search, s.evaluation.points
    if search is None or space is None or search.method != "auto" or search.policy is not None or whole_because(s):
        return None
    try:
        made = choose(space, s.budget.trainings, points, given=search.settings)
        if made.policy is None:
            return None
        return make_policy(made.policy, Budget(s.budget.trainings, points), 1, made.policy_settings).rungs[0]
    except UsageError:
        return None  # said elsewhere


def _interval(s: Sections, space: Space | None) -> int | None:
    """Return the env steps of a member of a population up to its first selection; None where there is no population."""
    from autorl.outer.methods import METHODS, make_method
    from autorl.outer.population_based import PopulationBasedTraining
    from autorl.outer.protocol import Budget

    if s.search is None or space is None or s.search.method not in METHODS:
        return None
    if not METHODS.load(s.search.method).continues:
        return None
    try:
        granted = Budget(s.budget.trainings, s.budget.env_steps)
        method = make_method(s.search.method, space, granted, s.seed, s.search.settings)
    except UsageError:
        return None  # said elsewhere
    return method.env_steps(0, 0) if isinstance(method, PopulationBasedTraining) else None
