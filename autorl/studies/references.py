"""What a specification refers to: environments, learner, space and method exist, and fit together.

Imports the learner that is named (and with it jax), the environments and the search method, when it is called and not before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autorl.errors import UnknownNameError, UsageError, suggestion
from autorl.spaces.plain_values import of_teacher
from autorl.studies.consistency import Finding, Sections
from autorl.studies.explain import remedy
from autorl.studies.guide_references import imitated
from autorl.studies.policy_references import chosen, policy_at, starts_at
from autorl.studies.prior_references import prior_at
from autorl.studies.problems import Path, shown
from autorl.studies.role_references import unvalidated, validated_apart
from autorl.studies.space_references import space_at, unfit_dimensions
from autorl.studies.teacher_references import shaping, teacher_problems

if TYPE_CHECKING:
    from autorl.outer.budget.protocol import BudgetPolicy
    from autorl.outer.priors import Prior
    from autorl.spaces import Candidate, Space
    from autorl.studies.models import EnvironmentSettings, LearnerSettings, ScheduleEntry

_TRIED = 8


def unknown_references(sections: Sections) -> list[Finding]:
    """Return every problem with the names in ``sections`` and with what depends on them."""
    environments, found = environments_of(sections.environments)
    learner, more = learner_of(sections.learner, environments)
    found += more
    if learner is not None:
        found += ignored_tasks(learner, sections.environments)
        found += _hyperparameters(sections, learner)
        found += _objective(sections, learner)
    space = None
    if sections.search is not None:
        if sections.intact("search.space"):
            space, more = space_at(("search", "space"), sections.search.space)
            found += more
        if space is not None:
            found += _dimensions(sections, space, learner)
        found += _method(sections, space, learner)
    if not found:
        found += teacher_problems(sections, space, learner)
        found += [] if learner is None else imitated(sections, space, learner, environments)
    if learner is not None and not found and sections.intact("search", "search.space", "schedule", "learner"):
        found += _too_short(sections, space, learner)
    return found


def environments_of(choices: Sequence[EnvironmentSettings]) -> tuple[list[Any], list[Finding]]:
    """Return the environments that exist and the problems of the others."""
    from autorl.environments.registry import make_environment

    made, found = [], []
    for i, choice in enumerate(choices):
        try:
            environment = make_environment(choice.id)
        except UsageError as error:
            found.append(Finding(("environment", i, "id"), str(error), choice.id))
            continue
        made.append(environment)
        found += _task(environment, choice.task, ("environment", i, "task"))
    return made, found


def _task(environment: Any, task: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    """Yield the problems of a task: of each entry, or else of all of them together."""
    from autorl.environments.tasks import make_task

    single = False
    for key, value in task.items():
        try:
            make_task(environment, {key: value})
        except UsageError as error:
            single = True
            yield Finding((*path, key), str(error), value)
    if task and not single:
        try:
            make_task(environment, task)
        except UsageError as error:
            yield Finding(path, str(error), dict(task))


def learner_of(choice: LearnerSettings | None, environments: list[Any]) -> tuple[Any, list[Finding]]:
    """Return the learner's class if it exists, and whether it can act in all of ``environments``."""
    from autorl.inner.algorithms import ALGORITHMS

    if choice is None:
        return None, []
    path: Path = ("learner", "algorithm")
    try:
        learner = ALGORITHMS.load(choice.algorithm)
    except UsageError as error:
        return None, [Finding(path, str(error), choice.algorithm)]
    found = []
    for environment in environments:
        try:
            learner(environment)
        except UsageError as error:
            found.append(Finding(path, str(error), choice.algorithm))
    return learner, found


def ignored_tasks(learner: Any, choices: Sequence[EnvironmentSettings]) -> list[Finding]:
    """Return the tasks that would change nothing, since the learner draws its own."""
    if not getattr(learner, "draws_tasks", False):
        return []
    message = "the learner draws its own tasks, and would ignore this one. Remove it, or take another learner"
    return [Finding(("environment", i, "task"), message, dict(c.task)) for i, c in enumerate(choices) if c.task]


def wrong_hyperparameters(
    learner: Any, fixed: Mapping[str, Any], choices: Sequence[EnvironmentSettings]
) -> list[Finding]:
    """Return the problems of the hyperparameters that hold everywhere, and of those of each environment."""
    places: list[tuple[Path, Mapping[str, Any]]] = [(("learner", "hyperparameters"), fixed)]
    places += [(("environment", i, "hyperparameters"), choice.hyperparameters) for i, choice in enumerate(choices)]
    return _wrong_values(learner, places)


def _wrong_values(learner: Any, places: Sequence[tuple[Path, Mapping[str, Any]]]) -> list[Finding]:
    from autorl.inner.protocol import problems

    return [
        Finding((*path, name), _sentence(message.removeprefix(f"{name}: "), values[name]), values[name])
        for path, values in places
        for name, message in problems(learner.Hyperparameters, values)
    ]


def _hyperparameters(s: Sections, learner: Any) -> list[Finding]:
    """Return the problems of the fixed hyperparameters and of a schedule's, and whether a training fits into the budget."""
    fixed = s.learner.hyperparameters if s.learner is not None else {}
    found = wrong_hyperparameters(learner, fixed, s.environments)
    stages = [(("schedule", i, "hyperparameters"), _own(entry)) for i, entry in enumerate(s.schedule or ())]
    return [*found, *_wrong_values(learner, stages)] or _changing(s, learner)


def _own(entry: ScheduleEntry) -> dict[str, Any]:
    """Return the learner's own hyperparameters of an entry; a schedule may also change the teacher's parameters."""
    return {name: value for name, value in entry.hyperparameters.items() if not of_teacher(name)}


def _too_short(s: Sections, space: Space | None, learner: Any) -> Iterator[Finding]:
    """Yield that the budget is too short for the learner: that it could train nothing in it, whatever the search proposes."""
    if not s.intact("budget") or "env_steps" not in s.budget.model_fields_set:
        return
    fixed = dict(s.learner.hyperparameters) if s.learner is not None else {}
    if space is None:
        tried = [{**fixed, **_own(entry)} for entry in s.schedule or ()] or [fixed]
        bounds: dict[str, float] = {}
    else:
        tried = [{**fixed, **_searched(space, key)} for key in range(_TRIED)]
        bounds = dict(space.upper_bounds())
    errors = []
    for values in tried:
        try:
            learner.prepare(values, s.budget.env_steps, bounds)
            return
        except UsageError as error:
            errors.append(str(error))
    yield Finding(("budget", "env_steps"), errors[0], s.budget.env_steps)


def _searched(space: Space, key: int) -> dict[str, Any]:
    """Return the hyperparameters of a sample, without programs, which take seconds to draw, and teacher: those have no length."""
    from autorl.spaces.plain_values import OBJECTIVE, leaves, plain_values

    parts = [part for part in leaves(space) if "graph" not in part.features()]
    values = [plain_values(part, part.to_json(part.sample(key))) for part in parts]
    return {name: value for own in values for name, value in own.items() if name != OBJECTIVE and not of_teacher(name)}


def _objective(s: Sections, learner: Any) -> list[Finding]:
    """Return that the learned objective does not exist, or that the learner does not fill in its registers."""
    if s.learner is None or s.learner.objective is None:
        return []
    return unfit_objective(("learner", "objective"), s.learner.objective, s.learner.algorithm, learner)


def unfit_objective(path: Path, given: str | Mapping[str, Any], algorithm: str, learner: Any) -> list[Finding]:
    """Return why a learner cannot minimise the learned objective ``given`` at ``path``, if so: no such one, other registers, no slope."""
    from autorl.objectives.graphs.files import graph_from_json
    from autorl.objectives.graphs.graph import differentiable
    from autorl.objectives.loader import load_objective

    try:
        graph = load_objective(given).graph if isinstance(given, str) else graph_from_json(given)
    except UsageError as error:
        return [Finding(path, str(error), given)]
    families, message = _families(learner), ""
    if graph.family not in families:
        message = f"reads the registers {graph.family!r}, but {algorithm} fills in {', '.join(families) or 'none'}"
    elif not differentiable(graph):
        message = "its loss reads nothing that the network puts out, so that an agent learns nothing by it"
    return [Finding(path, message, given)] if message else []


def _sentence(message: str, value: Any) -> str:
    """Return ``message`` with a remedy where the mistake is a usual one."""
    more = remedy(message, value)
    return f"{message}. {more}" if more else message


def _changing(s: Sections, learner: Any) -> list[Finding]:
    """Return the entries of a schedule that change what cannot change while an agent learns."""
    from autorl.inner.protocol import is_traced

    fixed = s.learner.hyperparameters if s.learner is not None else {}
    entries = [{**fixed, **_own(entry)} for entry in s.schedule or ()]
    found = []
    for i, entry in enumerate(entries[1:], start=1):
        for name in sorted({*entry, *entries[0]}):
            default = learner.Hyperparameters.__dataclass_fields__[name].default
            now, first = entry.get(name, default), entries[0].get(name, default)
            if not is_traced(learner.Hyperparameters, name) and now != first:
                message = f"{name} shapes the program and cannot change while an agent learns: {shown(now)} here, {shown(first)} at first"
                found.append(Finding(("schedule", i, "hyperparameters", name), message, now))
    return found


def _dimensions(s: Sections, space: Space, learner: Any) -> Iterator[Finding]:
    """Yield the dimensions that the learner does not have, that leave its ranges, or that are fixed as well."""
    from autorl.spaces.plain_values import leaves

    parts = list(leaves(space))
    graphs = [part for part in parts if hasattr(part, "objective")]
    for part in parts:
        # a teacher's scores are looked at with the teachers
        if part not in graphs and not hasattr(part, "scored"):
            yield from _hyperparameter_space(s, part, learner, single=len(parts) == 1)
    if learner is not None:
        yield from _graph_spaces(s, graphs, learner)


def _families(learner: Any) -> tuple[str, ...]:
    """Return the register families that a learner fills in for objectives."""
    fields = learner.Hyperparameters.__dataclass_fields__.values()
    found: tuple[str, ...] = next((f.metadata["families"] for f in fields if "families" in f.metadata), ())
    return found


def _graph_spaces(s: Sections, graphs: list[Any], learner: Any) -> Iterator[Finding]:
    """Yield the loss graphs that the learner cannot run, and an objective that is fixed as well as searched."""
    families = _families(learner)
    for part in graphs:
        if part.family not in families:
            able = ", ".join(families) or "none"
            name = s.learner.algorithm if s.learner is not None else "the learner"
            message = f"its loss graphs read the registers {part.family!r}, but {name} fills in {able}"
            yield Finding(("search", "space"), message, part.name)
    if graphs and s.learner is not None and s.learner.objective is not None:
        message = f"fixed here, but searched by {graphs[0].name!r}. Remove it here, or from the space"
        yield Finding(("learner", "objective"), message, s.learner.objective)


def _hyperparameter_space(s: Sections, space: Space, learner: Any, single: bool) -> Iterator[Finding]:
    """Yield what is wrong with a space of hyperparameters, or with a part of a product that should be one."""
    inline = s.search is not None and not isinstance(s.search.space, str) and single
    dimensions: Mapping[str, Any] = getattr(space, "dimensions", {})
    fixed: list[tuple[Path, Mapping[str, Any]]] = []
    if s.learner is not None:
        fixed.append((("learner", "hyperparameters"), s.learner.hyperparameters))
    # in an environment, too: what is searched holds in all of them
    fixed += [(("environment", i, "hyperparameters"), own.hyperparameters) for i, own in enumerate(s.environments)]
    for path, values in fixed:
        for name in (name for name in dimensions if name in values):
            value = values[name]
            message = f"fixed here at {shown(value)}, but searched by {space.name!r}. Remove it here, or from the space"
            yield Finding((*path, name), message, value)
    if learner is not None and s.learner is not None:
        where: Path = ("search", "space")
        yield from unfit_dimensions(where, space, s.learner.algorithm, learner.Hyperparameters, inline=inline)


def _method(s: Sections, space: Space | None, learner: Any) -> Iterator[Finding]:
    """Yield the problems of the search method, of its budget policy and of what it begins with."""
    policy, found = policy_at(s)
    yield from found
    starts: list[Candidate] = []
    if space is not None:
        starts, found = starts_at(s, space)
        yield from found
    prior, found = prior_at(s)
    yield from found
    yield from _method_under(policy, starts, prior, s, space, learner)


def _method_under(
    policy: BudgetPolicy | None,
    starts: Sequence[Candidate],
    prior: Prior | None,
    s: Sections,
    space: Space | None,
    learner: Any,
) -> Iterator[Finding]:
    """Yield the problems of the search method: its name, its settings, and what it can search."""
    from autorl.outer.budget.joined import most_trials
    from autorl.outer.budget.policies import make_policy
    from autorl.outer.methods import METHODS, make_method
    from autorl.outer.protocol import Budget

    if s.search is None:
        return
    name, settings = s.search.method, s.search.settings
    if name != "auto" and name not in METHODS:
        yield Finding(("search", "method"), str(UnknownNameError("search method", name, [*METHODS, "auto"])), name)
        return
    unknown = [] if name == "auto" else _unknown_settings(name, settings, space)
    if unknown:
        yield from unknown
        return
    if space is None or not s.intact("budget"):
        return
    try:
        if name == "auto":
            made = chosen(s, space, policy, prior=prior is not None)
            name, settings = made.method, made.settings
            if made.policy is not None and policy is None:
                granted = Budget(s.budget.trainings, s.evaluation.points)
                policy = make_policy(made.policy, granted, 1, made.policy_settings)
        trials = s.budget.trainings if policy is None else most_trials(policy, s.budget.trainings, s.evaluation.points)
        method = make_method(name, space, Budget(trials, s.budget.env_steps), s.seed, settings, starts, prior)
    except UsageError as error:
        yield _refused(error, name, settings)
        return
    yield from unvalidated(s)
    if method.continues and s.hurdle is not None:
        message = f"{method.name!r} stops no trial on its way; remove the hurdle, or choose another search method"
        yield Finding(("hurdle",), message, at_key=True)
    if method.continues and policy is not None:
        message = f"{method.name!r} decides itself who trains on; remove the policy, or choose another search method"
        yield Finding(("search", "policy"), message, at_key=True)
    if method.continues:
        yield from validated_apart(s, method.name)
    if learner is not None and method.continues:
        yield from _continuing(method.name, space, learner)
        members = getattr(method, "population_size", s.budget.trainings)
        if members != s.budget.trainings:
            message = (
                f"expected {s.budget.trainings}, one member for each training of budget.trainings, so that every member, finalist and "
                f"baseline trains budget.env_steps; got {members}. Leave it out, or change budget.trainings"
            )
            yield Finding(("search", "settings", "population_size"), message, members)


def _unknown_settings(name: str, settings: Mapping[str, Any], space: Space | None) -> list[Finding]:
    """Return a finding for each setting that a method does not know; none where it cannot search the space: that comes first."""
    from autorl.outer.methods import METHODS, method_settings

    if space is not None and not space.features() <= METHODS.load(name).searches:
        return []
    known, place = method_settings(name), ("search", "settings")
    wrong = f"unknown setting of search method {name!r}, its value is"
    return [
        Finding((*place, key), f"{wrong} {shown(settings[key])}.{suggestion(key, known)}", settings[key])
        for key in settings
        if key not in known
    ]


def _refused(error: UsageError, name: str, settings: Mapping[str, Any]) -> Finding:
    """Return the finding that a method cannot be made, at the setting that its message names, or at the prior."""
    from autorl.outer.methods import PriorError

    if isinstance(error, PriorError):
        return Finding(("search", "prior"), str(error))
    named = [key for key in settings if f"'{key}'" in str(error)]
    if len(named) == 1:
        return Finding(("search", "settings", named[0]), str(error), settings[named[0]])
    return Finding(("search", "method"), str(error), name)


def _continuing(name: str, space: Space, learner: Any) -> Iterator[Finding]:
    """Yield why a method that changes trained agents cannot search ``space``: it shapes the program."""
    from autorl.inner.protocol import is_traced
    from autorl.outer.methods import METHODS

    searched = getattr(space, "searched", ())
    known = learner.Hyperparameters.__dataclass_fields__
    static = [key for key in searched if key in known and not is_traced(learner.Hyperparameters, key)] + shaping(space)
    if static:
        fitting = [
            other
            for other in METHODS
            if not METHODS.load(other).continues and space.features() <= METHODS.load(other).searches
        ]
        message = (
            f"{name!r} changes the hyperparameters of trained agents, but {', '.join(static)} of space {space.name!r} shape the "
            f"program and cannot change while an agent learns. Take a space without them, or one of {', '.join(fitting)}"
        )
        yield Finding(("search", "method"), message, name)
