"""The teacher that an experiment names, the tasks it speaks of, and the parameters of teachers that it searches over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from autorl.errors import UsageError, suggestion
from autorl.spaces.plain_values import NO_TEACHER, TEACHER, leaves, of_teacher, teacher_entries, with_teacher
from autorl.studies.classroom import Classroom
from autorl.studies.consistency import Finding, Sections
from autorl.studies.first_judgement import judged_before_training
from autorl.studies.guide_references import PINNED, UNPINNED
from autorl.studies.problems import Path

if TYPE_CHECKING:
    from autorl.environments.task_points import TaskPoints
    from autorl.spaces import Space
    from autorl.studies.models import ComparedTeacher, EnvironmentChoice

_TRIED = 32
_APART = ("baselines", "evaluation")
"""Sections whose mistakes keep nobody from looking at the teachers: all are said at once."""
_PINNED = PINNED.format(instead="teacher.parameters.guide")


def teacher_problems(s: Sections, space: Space | None, learner: Any) -> list[Finding]:
    """Return every problem with tasks, with the teacher, with the teachers that ``space`` proposes and those it is compared with."""
    found, places = _tasks(s)
    if learner is None or not s.intact("teacher", "environment"):
        return found
    names, baselines = _teachers(s, space), _baselines(s)
    found += [*_arms(baselines), *_twins(s, space, baselines)]
    if not names and all(one.name == NO_TEACHER for _, one in baselines):
        return found + _strangers(s, space)
    if space is not None and TEACHER in getattr(space, "dimensions", {}) and s.teacher is not None:
        message = f"fixed here, but searched by {space.name!r}. Remove it here, or from the space"
        found.append(Finding((TEACHER, "name"), message, s.teacher.name))
    found += [*_places(s, names, baselines), *_unpinned(s, space)]
    if any(one.path[0] not in _APART for one in found):
        return found
    wrong = {one.path[:3] for one in found}
    if getattr(learner, "tells", None) is None:
        message = f"{_algorithm(s)} cannot learn under a teacher yet; ppo, paired_ppo, dqn and sac can"
        return [*found, Finding(("learner", "algorithm"), message, _algorithm(s))]
    rooms = [_classroom(s, learner, *place) for place in places]
    if names:
        each = [finding for room in rooms for finding in _lessons(s, space, room)]
        found += each[:1] if all(one == each[0] for one in each) else each
    found = found or _strangers(s, space)
    tested = [room for room in rooms if room.choice.role == "held_out"]
    for room in tested or [room for room in rooms if room.choice.role == "train"]:
        found += _compared(s, room, wrong)
    return found


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
            found += [*_exam(s, path, given, points), *_success(s, environment)]
    return found, places


def _success(s: Sections, environment: Any) -> Iterator[Finding]:
    """Yield that agents are scored by a success that nobody reports."""
    from autorl.environments.check import reports_success

    if s.intact("evaluation") and s.evaluation.measure == "success" and not reports_success(environment):
        message = f"expected return, as {environment.name!r} reports no success"
        remedy = "Leave it out, and say with score_range which returns count as 0 and 1"
        yield Finding.refused(("evaluation", "measure"), message, s.evaluation.measure, remedy)


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
    elif s.intact("evaluation") and s.evaluation.tasks == "cvar" and episodes < 2 * count:
        message = f"expected at least {2 * count}, two attempts at each of the {count} tasks: one chooses the worst, one scores them"
        yield Finding.refused(("evaluation", "episodes"), message, episodes, f"Write episodes: {2 * count}")


def _teachers(s: Sections, space: Space | None) -> list[str]:
    """Return the teachers that trainings may have."""
    dimensions: list[Mapping[str, Any]] = [getattr(part, "dimensions", {}) for part in leaves(space)]
    searched = [own[TEACHER] for own in dimensions if TEACHER in own]
    named = [str(choice) for dimension in searched for choice in getattr(dimension, "choices", ())]
    own = [] if s.teacher is None else [s.teacher.name]
    return [*own, *named]


def _baselines(s: Sections) -> list[tuple[Path, ComparedTeacher]]:
    """Return the teachers that the study's is compared with, each with its place."""
    named = () if s.baselines is None else s.baselines.teachers
    return [(("baselines", "teachers", i), one) for i, one in enumerate(named)]


def _arms(baselines: Sequence[tuple[Path, ComparedTeacher]]) -> Iterator[Finding]:
    """Yield the teachers that are named twice, as there is one arm of a name, and parameters of no teacher."""
    seen: set[str] = set()
    for path, one in baselines:
        if one.name in seen:
            message = f"teacher {one.name!r} is there already, and an arm is known by its name"
            yield Finding((*path, "name"), f"{message}. Remove one, or make a study of its own", one.name)
        if one.name == NO_TEACHER and one.parameters:
            yield Finding.refused((*path, "parameters"), "expected no parameters of no teacher", dict(one.parameters))
        seen.add(one.name)


def _twins(s: Sections, space: Space | None, baselines: Sequence[tuple[Path, ComparedTeacher]]) -> Iterator[Finding]:
    """Yield the teacher that is the study's own once more, where no search makes a difference."""
    searched = [name for part in leaves(space) for name in getattr(part, "searched", ())]
    if s.teacher is None or any(map(of_teacher, searched)) or any(hasattr(part, "scored") for part in leaves(space)):
        return
    own = dict(s.teacher.parameters)
    for path, one in baselines:
        if one.name == s.teacher.name and {**own, **one.parameters} == own:
            message = f"teacher {one.name!r} with the same parameters is the study's own"
            yield Finding((*path, "name"), f"{message}. Remove it here, or give it other parameters", one.name)


def _places(s: Sections, names: Sequence[str], baselines: Sequence[tuple[Path, ComparedTeacher]]) -> Iterator[Finding]:
    """Yield the teachers that do not exist, and the environments without a task space."""
    from autorl.curricula.teachers import ALL_TEACHERS, STARTERS
    from autorl.environments.registry import make_environment
    from autorl.environments.task_points import task_points
    from autorl.errors import UnknownNameError

    own = None if s.teacher is None else s.teacher.name
    named: list[tuple[Path, str]] = [
        ((TEACHER, "name") if name == own else ("search", "space"), name) for name in names
    ]
    named += [((*path, "name"), one.name) for path, one in baselines if one.name != NO_TEACHER]
    for path, name in named:
        if name not in ALL_TEACHERS:
            known = [*ALL_TEACHERS, NO_TEACHER] if path[0] == "baselines" else ALL_TEACHERS
            yield Finding(path, str(UnknownNameError("teacher", name, known)), name)
    if all(name in STARTERS for _, name in named):
        return  # what they set is where episodes start, which is possible everywhere
    for i, choice in enumerate(s.environments):
        try:
            task_points(make_environment(choice.id))
        except UsageError as error:
            message = f"{error}. A teacher sets tasks: take an environment that has some, or remove the teacher"
            yield Finding(("environment", i, "id"), message, choice.id)


def _classroom(
    s: Sections, learner: Any, environment: Any, choice: EnvironmentChoice, points: TaskPoints | None
) -> Classroom:
    known = s.intact("budget") and "env_steps" in s.budget.model_fields_set
    steps = (choice.env_steps or s.budget.env_steps) if known else None
    return Classroom(environment, choice, points, learner.tells, _algorithm(s), steps)


def _algorithm(s: Sections) -> str:
    return s.learner.algorithm if s.learner is not None else "the learner"


def _lessons(s: Sections, space: Space | None, classroom: Classroom) -> list[Finding]:
    """Return why teachers, of the study or of a sample of its space, cannot teach in ``classroom``."""
    from autorl.curricula.courses import parameters_of_steps

    fixed = None
    if s.teacher is not None:
        fixed = {"name": s.teacher.name, "parameters": dict(s.teacher.parameters)}
        wrong = _parameters((TEACHER, "parameters"), s.teacher.name, s.teacher.parameters, classroom)
        if wrong:
            return wrong
    for values in _tried(s, space):
        teacher = with_teacher(values, fixed).get(TEACHER)
        path: Path = ("search", "space") if values else (TEACHER, "name")
        shown = space.name if values and space is not None else s.teacher.name if s.teacher is not None else None
        assert teacher is not None  # every choice of a searched teacher names one
        try:
            course = classroom.course(teacher)
        except UsageError as error:
            return [Finding(path, str(error), shown)]
        if classroom.env_steps is not None:
            steps, fewer = course.env_steps_before, parameters_of_steps(course)
            early = list(judged_before_training(s, space, classroom.choice, teacher["name"], steps, fewer))
            if early:
                return early
        unmet = classroom.unmet(course, teacher["name"])
        if unmet is not None:
            return [Finding(path, unmet, shown)]
    return []


def _compared(s: Sections, classroom: Classroom, mistaken: Set[Path]) -> Iterator[Finding]:
    """Yield why teachers that the study's is compared with cannot teach in ``classroom``: such an arm would end the study.

    Those at the ``mistaken`` places are known already, and are left out.
    """
    own = None if s.teacher is None else {"name": s.teacher.name, "parameters": dict(s.teacher.parameters)}
    for path, one in _baselines(s):
        if one.name == NO_TEACHER or path in mistaken:
            continue
        teacher = with_teacher(teacher_entries(one.name, one.parameters), own)[TEACHER]
        if one.parameters:
            wrong = _parameters((*path, "parameters"), one.name, teacher["parameters"], classroom)
            yield from wrong
            if wrong:
                continue
        try:
            course = classroom.course(teacher)
            unmet = classroom.unmet(course, one.name)
        except UsageError as error:
            unmet = str(error)
        if unmet is not None:
            yield Finding((*path, "name"), unmet, one.name)


def _tried(s: Sections, space: Space | None) -> list[Mapping[str, Any]]:
    """Return values of trainings that may have different teachers: of a sample of the space, and of a schedule."""
    from autorl.spaces.plain_values import plain_values

    tried: list[Mapping[str, Any]] = [{}]
    if space is not None and any(
        hasattr(part, "scored") or any(map(of_teacher, getattr(part, "dimensions", {}))) for part in leaves(space)
    ):
        drawn = [plain_values(space, space.to_json(space.sample(key))) for key in range(_TRIED)]
        # the teacher as it stands here is a baseline, which is trained after the search
        default = s.teacher is not None and (s.baselines is None or s.baselines.default)
        tried = [*drawn, *tried] if default else [*drawn]
    return tried + [
        {**entry.hyperparameters} for entry in s.schedule or () if any(map(of_teacher, entry.hyperparameters))
    ]


def _parameters(path: Path, name: str, parameters: Mapping[str, Any], classroom: Classroom) -> list[Finding]:
    """Return the parameters at ``path`` of a teacher that are unknown or out of range, or do not fit together."""
    from autorl.curricula.courses import any_teacher

    teacher = any_teacher(name, classroom.environment, classroom.points)
    known = teacher.Parameters.__dataclass_fields__
    found = []
    for key, value in parameters.items():
        if key not in known:
            message = f"teacher {name!r} has no parameter {key!r}.{suggestion(key, known)}"
            found.append(Finding((*path, key), message, value))
            continue
        from autorl.declarations import problems

        found += [Finding((*path, key), text, value) for _, text in problems(teacher.Parameters, {key: value})]
    if found:
        return found
    try:
        teacher.parameters(parameters)
    except UsageError as error:
        return [Finding(path, str(error), dict(parameters))]
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
                    yield Finding.refused(("search", "space"), UNPINNED.format(name=name), choice, _PINNED)
    for i, entry in enumerate(s.schedule or ()):
        for name, value in entry.hyperparameters.items():
            if of_teacher(name) and name.endswith(".guide") and unpinned(value):
                path: Path = ("schedule", i, "hyperparameters", name)
                yield Finding.refused(path, UNPINNED.format(name=name), value, _PINNED)


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
