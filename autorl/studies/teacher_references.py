"""The teacher that an experiment names, the tasks it speaks of, and the parameters of teachers that it searches over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from autorl.errors import UsageError, suggestion
from autorl.spaces.plain_values import TEACHER, leaves, of_teacher, with_teacher
from autorl.studies.consistency import Finding, Sections
from autorl.studies.first_judgement import judged_before_training
from autorl.studies.problems import Path

if TYPE_CHECKING:
    from autorl.environments.task_points import TaskPoints
    from autorl.spaces import Space
    from autorl.studies.models import EnvironmentChoice

_TRIED = 32
_UNPINNED = "{name}: expected a study with the digest of its policy, so that a resume follows no other one"
_PINNED = "Write study:PATH#DIGEST, as the study.yaml of a study that it guides has it; or name it in teacher.parameters.guide"


def teacher_problems(s: Sections, space: Space | None, learner: Any) -> list[Finding]:
    """Return every problem with tasks, with the teacher, and with the teachers that ``space`` proposes."""
    found, places = _tasks(s)
    names = _teachers(s, space)
    if learner is None or not s.intact("teacher", "environment"):
        return found
    if not names:
        return found + _strangers(s, space)
    if space is not None and TEACHER in getattr(space, "dimensions", {}) and s.teacher is not None:
        message = f"fixed here, but searched by {space.name!r}. Remove it here, or from the space"
        found.append(Finding((TEACHER, "name"), message, s.teacher.name))
    found += [*_places(s, names), *_unpinned(s, space)]
    if found:
        return found
    for environment, choice, points in places:
        found += _lessons(s, space, learner, environment, choice, points)
    return found[:1] if len(found) > 1 and all(one == found[0] for one in found) else found


def _tasks(s: Sections) -> tuple[list[Finding], list[tuple[Any, EnvironmentChoice, TaskPoints | None]]]:
    """Return the problems of the sections ``tasks``; and of each environment: itself, its section, its points if it has any."""
    if not s.environments:
        return [], []  # an objective function of the user's own: without it, no jax
    from autorl.environments.registry import make_environment
    from autorl.environments.task_points import task_points
    from autorl.environments.tasks import make_task

    found: list[Finding] = []
    places: list[tuple[Any, EnvironmentChoice, TaskPoints | None]] = []
    for i, choice in enumerate(s.environments):
        path: Path = ("environment", i, "tasks")
        try:
            environment = make_environment(choice.id)
        except UsageError:
            continue  # said elsewhere
        given = choice.tasks
        points = None
        try:
            points = task_points(environment, None if given is None else given.vary)
            places.append((environment, choice, points))
        except UsageError as error:
            places.append((environment, choice, None))
            needs = given is not None and (given.vary is not None or given.held_out or given.grid)
            if needs:
                found.append(Finding(path, str(error)))
        if given is None:
            continue
        for k, one in enumerate(given.named):
            try:
                make_task(environment, {**choice.task, **({"level": one} if isinstance(one, str) else one)})
            except UsageError as error:
                found.append(Finding((*path, "named", k), str(error), one))
        if points is not None and not found:
            found += _exam(s, path, given, points)
    return found, places


def _exam(s: Sections, path: Path, given: Any, points: TaskPoints) -> Iterator[Finding]:
    """Yield that evaluations do not play each task equally often."""
    if given.grid and given.grid**points.dimensions > 100_000:
        message = (
            f"expected at most 100000 tasks, and {points.dimensions} dimensions make {given.grid**points.dimensions}"
        )
        yield Finding((*path, "grid"), f"{message}. Take fewer values, or held_out", given.grid)
        return
    if given.grid and not hasattr(points, "box"):
        yield Finding((*path, "grid"), "levels have no grid. Draw some (held_out), or name them (named)", given.grid)
        return
    count = len(given.named) or given.held_out or (given.grid**points.dimensions if given.grid else 1)
    episodes = s.evaluation.episodes
    if s.intact("evaluation") and episodes % count:
        message = f"expected a multiple of the {count} tasks that agents are scored on"
        remedy = f"Write episodes: {count}, or a multiple of it"
        yield Finding.refused(("evaluation", "episodes"), message, episodes, remedy)


def _teachers(s: Sections, space: Space | None) -> list[str]:
    """Return the teachers that trainings may have."""
    dimensions: list[Mapping[str, Any]] = [getattr(part, "dimensions", {}) for part in leaves(space)]
    searched = [own[TEACHER] for own in dimensions if TEACHER in own]
    named = [str(choice) for dimension in searched for choice in getattr(dimension, "choices", ())]
    own = [] if s.teacher is None else [s.teacher.name]
    return [*own, *named]


def _places(s: Sections, names: Sequence[str]) -> Iterator[Finding]:
    """Yield the teachers that do not exist, and the environments without a task space."""
    from autorl.curricula.teachers import ALL_TEACHERS, STARTERS
    from autorl.environments.registry import make_environment
    from autorl.environments.task_points import task_points
    from autorl.errors import UnknownNameError

    for name in names:
        if name not in ALL_TEACHERS:
            path: Path = (TEACHER, "name") if s.teacher is not None and s.teacher.name == name else ("search", "space")
            yield Finding(path, str(UnknownNameError("teacher", name, ALL_TEACHERS)), name)
    if all(name in STARTERS for name in names):
        return  # what they set is where episodes start, which is possible everywhere
    for i, choice in enumerate(s.environments):
        try:
            task_points(make_environment(choice.id))
        except UsageError as error:
            message = f"{error}. A teacher sets tasks: take an environment that has some, or remove the teacher"
            yield Finding(("environment", i, "id"), message, choice.id)


def _lessons(
    s: Sections,
    space: Space | None,
    learner: Any,
    environment: Any,
    choice: EnvironmentChoice,
    points: TaskPoints | None,
) -> list[Finding]:
    """Return why teachers, of the study or of a sample of its space, cannot teach the learner in ``environment``."""
    from autorl.curricula.courses import agent_steps, any_course, parameters_of_steps
    from autorl.environments.tasks import make_task
    from autorl.studies.kept_policy import guide_of

    default = make_task(environment, choice.task)
    algorithm = s.learner.algorithm if s.learner is not None else "the learner"
    tells = getattr(learner, "tells", None)
    if tells is None:
        return [
            Finding(
                ("learner", "algorithm"),
                f"{algorithm} cannot learn under a teacher yet; ppo, paired_ppo, dqn and sac can",
                algorithm,
            )
        ]
    fixed = None
    if s.teacher is not None:
        fixed = {"name": s.teacher.name, "parameters": dict(s.teacher.parameters)}
        wrong = _parameters(s.teacher.name, s.teacher.parameters, environment, points)
        if wrong:
            return wrong
    for values in _tried(s, space):
        teacher = with_teacher(values, fixed).get(TEACHER)
        path: Path = ("search", "space") if values else (TEACHER, "name")
        shown = space.name if values and space is not None else s.teacher.name if s.teacher is not None else None
        assert teacher is not None  # every choice of a searched teacher names one
        try:
            course = any_course(teacher, environment, points, choice.score_range, default, guide_of)
            if s.intact("budget") and "env_steps" in s.budget.model_fields_set:
                agent_steps(course, choice.env_steps or s.budget.env_steps)
                steps, fewer = course.env_steps_before, parameters_of_steps(course)
                early = list(judged_before_training(s, space, choice, teacher["name"], steps, fewer))
                if early:
                    return early
        except UsageError as error:
            return [Finding(path, str(error), shown)]
        missing = sorted(
            course.teacher.needs(course.parameters) - tells - {"control_returns"}
        )  # those the course knows
        if missing:
            message = f"teacher {teacher['name']!r} needs {', '.join(missing)}, which {algorithm} cannot tell it"
            message += "; paired_ppo, two agents in lockstep, can" if missing == ["antagonist_returns"] else ""
            message += f". With their own parameters, these fit: {', '.join(_fitting(environment, points, tells))}"
            return [Finding(path, message, shown)]
    return _strangers(s, space)


def _tried(s: Sections, space: Space | None) -> list[Mapping[str, Any]]:
    """Return values of trainings that may have different teachers: of a sample of the space, and of a schedule."""
    from autorl.spaces.plain_values import plain_values

    tried: list[Mapping[str, Any]] = [{}]
    if space is not None and any(
        hasattr(part, "scored") or any(map(of_teacher, getattr(part, "dimensions", {}))) for part in leaves(space)
    ):
        tried = [plain_values(space, space.to_json(space.sample(key))) for key in range(_TRIED)]
    return tried + [
        {**entry.hyperparameters} for entry in s.schedule or () if any(map(of_teacher, entry.hyperparameters))
    ]


def _fitting(environment: Any, points: TaskPoints | None, told: Set[str]) -> Iterator[str]:
    """Yield the teachers that need nothing but what is ``told``."""
    from autorl.curricula.courses import any_teacher
    from autorl.curricula.teachers import ALL_TEACHERS

    for name in ALL_TEACHERS:
        try:
            teacher = any_teacher(name, environment, points)
            if teacher.needs(teacher.parameters()) <= told | {"control_returns"}:
                yield name
        except UsageError:  # it needs parameters that have no default, or other tasks
            continue


def _parameters(name: str, parameters: Mapping[str, Any], environment: Any, points: TaskPoints | None) -> list[Finding]:
    """Return the parameters of the study's teacher that are unknown or out of range, or do not fit together."""
    from autorl.curricula.courses import any_teacher

    teacher = any_teacher(name, environment, points)
    known = teacher.Parameters.__dataclass_fields__
    found = []
    for key, value in parameters.items():
        if key not in known:
            message = f"teacher {name!r} has no parameter {key!r}.{suggestion(key, known)}"
            found.append(Finding((TEACHER, "parameters", key), message, value))
            continue
        from autorl.declarations import problems

        found += [
            Finding((TEACHER, "parameters", key), text, value) for _, text in problems(teacher.Parameters, {key: value})
        ]
    if found:
        return found
    try:
        teacher.parameters(parameters)
    except UsageError as error:
        return [Finding((TEACHER, "parameters"), str(error), dict(parameters))]
    return []


def _strangers(s: Sections, space: Space | None) -> list[Finding]:
    """Return that a space has dimensions of a teacher that is never chosen."""
    names = _teachers(s, space)
    for part in leaves(space):
        scored = getattr(part, "teacher", None)  # of level scores
        scores = [] if scored is None else [f"{TEACHER}.{scored}.score"]
        for name in (*getattr(part, "dimensions", {}), *scores):
            if name != TEACHER and of_teacher(name) and name.split(".")[1] not in names:
                there = f"there is {', '.join(names)}" if names else "there is none. Add 'teacher'"
                message = f"dimension {name!r} is of a teacher that is never chosen; {there}"
                return [Finding(("search", "space"), message, part.name)]
    return []


def _unpinned(s: Sections, space: Space | None) -> Iterator[Finding]:
    """Yield the guides of spaces and schedules that name a study without saying which of its policies: a resume might follow another."""
    from autorl.studies.pinned_guide import unpinned

    for part in leaves(space):
        for name, dimension in getattr(part, "dimensions", {}).items():
            if of_teacher(name) and name.endswith(".guide"):
                for choice in filter(unpinned, getattr(dimension, "choices", ())):
                    yield Finding.refused(("search", "space"), _UNPINNED.format(name=name), choice, _PINNED)
    for i, entry in enumerate(s.schedule or ()):
        for name, value in entry.hyperparameters.items():
            if of_teacher(name) and name.endswith(".guide") and unpinned(value):
                path: Path = ("schedule", i, "hyperparameters", name)
                yield Finding.refused(path, _UNPINNED.format(name=name), value, _PINNED)


def shaping(space: Space) -> list[str]:
    """Return the dimensions of ``space`` that shape a teacher, and cannot change while an agent learns."""
    from autorl.curricula.teachers import ALL_TEACHERS
    from autorl.declarations import is_traced

    found = []
    for name in filter(of_teacher, getattr(space, "searched", ())):
        part = name.split(".")
        if name == TEACHER or (
            part[1] in ALL_TEACHERS and not is_traced(ALL_TEACHERS.load(part[1]).Parameters, part[2])
        ):
            found.append(name)
    return found
