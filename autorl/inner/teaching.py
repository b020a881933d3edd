"""Learning under a teacher: every environment of a member plays tasks of its own, and the teacher hears what became of them.

When an episode ends, its environment takes the next task of the teacher's last proposal, and a new proposal is made when that one is
used up. The teacher is told of all episodes that ended once a rollout, in the order in which they ended (by step, then by environment).
All of it is part of a learner's training state, so a segment, a frozen member or a checkpoint needs nothing of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.autoreset import batched_reset, batched_step_or_reset, reset_where
from autorl.environments.protocol import Environment, Reached, State, Step, Task
from autorl.inner.branching import update_if
from autorl.inner.course import Course, StartCourse, Visits
from autorl.inner.diary import Diary, Episodes, empty_diary, stepped, written

PROPOSED = 4
"""Tasks of a proposal, for each environment. Where more episodes begin within a rollout, there is another proposal."""
_PROPOSE = 0x50524F50
"""Folded into a step's key for a proposal; large, as the constant of resets is."""


class Desk(NamedTuple):
    """What B environments play, and what they have next.

    Attributes:
        points: float32 [B, D]; tasks of the episodes under way.
        train: bool [B]; whether to learn from them.
        success: float32 [B]; the greatest success that an episode has reported; 0 where none is reported.
        value: float32 [B]; the agent's value of an episode's first observation.
        total: float32 [B]; sum of its values so far.
        positive: float32 [B]; sum of positive advantages so far.
        absolute: float32 [B]; sum of absolute advantages so far.
        steps: int32 [B]; steps so far, of those that ended rollouts told of.
        next_points: float32 [Q, D]; the proposal.
        next_train: bool [Q].
        used: int32; how many of it are taken.
        age: int32 [B]; steps so far, also of the rollout under way; counted only where the teacher cuts episodes short.
    """

    points: Array
    train: Array
    success: Array
    value: Array
    total: Array
    positive: Array
    absolute: Array
    steps: Array
    next_points: Array
    next_train: Array
    used: Array
    age: Array


class Lessons(NamedTuple):
    """All that a training holds of its teacher.

    Attributes:
        teacher: The teacher's own state.
        desk: Of the environments.
        diary: What was played.
    """

    teacher: Any
    desk: Desk
    diary: Diary


class Played(NamedTuple):
    """What B environments played during a step, each [B] (and [T, B] of a rollout).

    Attributes:
        points: float32 [B, D]; the tasks.
        train: bool [B]; whether to learn from it.
        success: float32 [B]; the greatest success of the episode up to and with this step.
        reached: [B]; where it led, if the teacher sets where episodes start.
    """

    points: Array
    train: Array
    success: Array
    reached: Reached | None = None


class Slots(NamedTuple):
    """Tasks of B environments for a whole rollout: where an episode ends, the same task starts again.

    Attributes:
        tasks: Stacked, each leaf [B, ...].
        points: float32 [B, D]; where they lie.
        train: bool [B]; whether to learn from them.
    """

    tasks: Task
    points: Array
    train: Array


def start_lessons(
    course: Course, environment: Environment, task: Task, key: Array, count: int
) -> tuple[Lessons, Array, State]:
    """Return (lessons, observations, states) of ``count`` environments, each at the start of a task that the teacher proposes."""
    teacher_key, propose_key, reset_key = jax.random.split(key, 3)
    teacher = course.init(teacher_key)
    points, train = course.propose(teacher, propose_key, PROPOSED * count)
    none = jnp.zeros(count, jnp.float32)
    desk = Desk(
        points=points[:count],
        train=train[:count],
        **dict.fromkeys(("success", "value", "total", "positive", "absolute"), none),
        steps=jnp.zeros(count, jnp.int32),
        next_points=points,
        next_train=train,
        used=jnp.int32(count),
        age=jnp.zeros(count, jnp.int32),
    )
    teacher = _begun(course, teacher, desk.points, jnp.ones(count, jnp.bool_))
    tasks = _tasks(course, task, desk.points)
    observation, state = batched_reset(environment, jax.random.split(reset_key, count), tasks, task_axis=0)
    if isinstance(course, StartCourse):
        observation, state = course.start(teacher, desk.points, tasks, Reached(observation, state))
    return Lessons(teacher, desk, empty_diary(course.features, levels_kept(course))), observation, state


def taught_step(
    course: Course, environment: Environment, keys: Array, states: State, actions: Array, task: Task, lessons: Lessons
) -> tuple[Step, Array, State, Lessons, Played]:
    """Advance B environments, each in its task; where an episode ended, start the next task.

    Returns:
        As `autorl.environments.autoreset.batched_step_or_reset`; then the lessons, and what was played in this step.
    """
    desk = lessons.desk
    tasks = _tasks(course, task, desk.points)
    steps: Step = jax.vmap(environment.step)(keys, states, actions, tasks)
    reported = steps.info.get("success")
    success = desk.success if reported is None else jnp.maximum(desk.success, reported.astype(jnp.float32))
    steps, age = _cut(course, steps, desk)
    done = steps.terminated | steps.truncated

    def handed_out() -> Desk:
        return _handed_out(course, lessons.teacher, desk, done, jax.random.fold_in(keys[0], _PROPOSE))

    after = lax.cond(jnp.any(done), handed_out, lambda: desk)
    observations, next_states = reset_where(
        environment, keys, done, steps, lambda: (_tasks(course, task, after.points), 0)
    )
    played = Played(desk.points, desk.train, success)
    if isinstance(course, StartCourse):
        reset = Reached(observations, next_states)
        observations, next_states = _started(course, lessons.teacher, after.points, task, done, reset)
        played = played._replace(reached=Reached(steps.observation, steps.state))
    after = after._replace(success=jnp.where(done, 0.0, success), age=jnp.where(done, 0, age))
    teacher = _begun(course, lessons.teacher, after.points, done)
    return steps, observations, next_states, lessons._replace(teacher=teacher, desk=after), played


def _cut(course: Course, steps: Step, desk: Desk) -> tuple[Step, Array]:
    """Return the steps, truncated where the teacher cuts the episode short, and the ages of the episodes after them."""
    limits = course.limits(desk.points) if isinstance(course, StartCourse) else None
    if limits is None:
        return steps, desk.age
    age = desk.age + 1
    return steps._replace(truncated=steps.truncated | ((age >= limits) & ~steps.terminated)), age


def _started(course: StartCourse, teacher: Any, points: Array, task: Task, done: Array, reset: Reached) -> Reached:
    """Return where B environments go on from: those that are ``done`` [B] where the teacher sets it, the others as they are."""

    def start() -> Reached:
        new = course.start(teacher, points, _tasks(course, task, points), reset)
        return jax.tree.map(lambda a, b: jax.vmap(jnp.where)(done, a, b), new, reset)

    return lax.cond(jnp.any(done), start, lambda: reset)


def _begun(course: Course, teacher: Any, points: Array, which: Array) -> Any:
    """Return the teacher after it heard which of B episodes at ``points`` [B, D] began, if it listens."""
    if not getattr(course, "hears_starts", False):
        return teacher
    return update_if(jnp.any(which), lambda now: course.begun(now, points, which), teacher)  # type: ignore[attr-defined]


def levels_kept(course: Course) -> int:
    """Return the numbers of a level, of which the diary keeps some; 0 where tasks are no levels, or the course does not say so."""
    return course.dimensions if getattr(course, "of_levels", False) else 0


def slotted_step(
    slots: Slots, environment: Environment, keys: Array, states: State, actions: Array
) -> tuple[Step, Array, State, None, Played]:
    """Advance B environments, each in its own task; the success played is that of this step alone. See `taught_step`."""
    step, observations, after = batched_step_or_reset(environment, keys, states, actions, slots.tasks, task_axis=0)
    reported = step.info.get("success")
    success = jnp.zeros_like(step.reward) if reported is None else reported.astype(jnp.float32)
    return step, observations, after, None, Played(slots.points, slots.train, success)


def _tasks(course: Course, default: Task, points: Array) -> Task:
    return jax.vmap(course.task, (None, 0))(default, points)


def _handed_out(course: Course, teacher: Any, desk: Desk, done: Array, key: Array) -> Desk:
    """Return the desk with new tasks for the environments that are ``done`` [B]."""
    size, due = len(desk.next_points), jnp.sum(done, dtype=jnp.int32)
    points, train, used = lax.cond(
        desk.used + due > size,
        lambda: (*course.propose(teacher, key, size), jnp.int32(0)),
        lambda: (desk.next_points, desk.next_train, desk.used),
    )
    place = jnp.clip(used + jnp.cumsum(done) - 1, 0, size - 1)
    return desk._replace(
        points=jnp.where(done[:, None], points[place], desk.points),
        train=jnp.where(done, train[place], desk.train),
        next_points=points,
        next_train=train,
        used=used + due,
    )


def told(
    course: Course,
    lessons: Lessons,
    played: Played,
    done: Array,
    returns: Array,
    values: Array,
    advantage: Array,
    part: Array,
) -> Lessons:
    """Return the lessons after a rollout of T steps of B environments: the teacher has heard of the episodes that ended.

    Args:
        course: The teacher.
        lessons: As the rollout left them.
        played: [T, B].
        done: bool [T, B]; whether an episode ended with this step.
        returns: float32 [T, B]; undiscounted, of the episode up to and with this step.
        values: float32 [T, B]; the agent's, of the observations acted on.
        advantage: float32 [T, B]; generalised advantages.
        part: float32 scalar; the part of the training done.
    """
    desk, ends = _summed(lessons.desk, done, values, advantage)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (played, done, returns, ends))
    tasks, ended, totals, (value, mean, positive, absolute, steps) = flat
    episodes = {
        "returns": totals,
        "successes": tasks.success,
        "values": value,
        "mean_values": mean,
        "positive_value_losses": positive,
        "absolute_value_losses": absolute,
    }
    teacher, news = _watched(course, lessons.teacher, tasks, totals, steps, ended)
    teacher = _heard(course, teacher, tasks.points, episodes, ended, len(desk.next_points))
    # what is left of the proposal was made before the teacher heard this
    desk = desk._replace(used=jnp.where(news, len(desk.next_points), desk.used))
    told_of = Episodes(course.described(tasks.points), totals, tasks.success, ended, tasks.train, tasks.points)
    return Lessons(teacher, desk, written(stepped(lessons.diary, tasks.train, part), told_of, part))


def told_at_once(
    course: Course, lessons: Lessons, played: Played, done: Array, returns: Array, values: Array, part: Array
) -> Lessons:
    """Return the lessons after one step of B environments: the teacher has heard of the episodes that it ended, but of no value losses.

    Arguments are as those of `told`, for one step: [B]. Where the teacher needs no mean of them, ``values`` need only be right where an
    episode began.
    """
    desk, size = lessons.desk, len(lessons.desk.next_points)
    first, total = jnp.where(desk.steps == 0, values, desk.value), desk.total + values
    lost = jnp.full_like(returns, jnp.nan)
    episodes = {
        "returns": returns,
        "successes": played.success,
        "values": first,
        "mean_values": total / (desk.steps + 1),
        "positive_value_losses": lost,
        "absolute_value_losses": lost,
    }

    def hear(before: tuple[Any, Diary]) -> tuple[Any, Diary]:
        teacher = _heard(course, before[0], played.points, episodes, done, size)
        described = course.described(played.points)
        told_of = Episodes(described, returns, played.success, done, played.train, played.points)
        return teacher, written(before[1], told_of, part)

    teacher, news = _watched(course, lessons.teacher, played, returns, desk.steps + 1, done)
    diary = stepped(lessons.diary, played.train, part)
    teacher, diary = update_if(jnp.any(done), hear, (teacher, diary))
    total, steps = jnp.where(done, 0.0, total), jnp.where(done, 0, desk.steps + 1)
    desk = desk._replace(value=first, total=total, steps=steps, used=jnp.where(news, size, desk.used))
    return Lessons(teacher, desk, diary)


def _summed(desk: Desk, done: Array, values: Array, advantage: Array) -> tuple[Desk, tuple[Array, ...]]:
    """Return the desk after a rollout, and of each step's episode so far, [T, B] each: first and mean value, mean positive and absolute
    advantage, steps.
    """

    def step(now: Desk, row: tuple[Array, Array, Array]) -> tuple[Desk, tuple[Array, ...]]:
        ends, value, gain = row
        steps = now.steps + 1
        first = jnp.where(now.steps == 0, value, now.value)
        positive, absolute = now.positive + jnp.maximum(gain, 0.0), now.absolute + jnp.abs(gain)
        total = now.total + value
        after = now._replace(
            value=first,
            total=jnp.where(ends, 0.0, total),
            positive=jnp.where(ends, 0.0, positive),
            absolute=jnp.where(ends, 0.0, absolute),
            steps=jnp.where(ends, 0, steps),
        )
        return after, (first, total / steps, positive / steps, absolute / steps, steps)

    return lax.scan(step, desk, (done, values, advantage))


def _watched(
    course: Course, teacher: Any, played: Played, returns: Array, steps: Array, done: Array
) -> tuple[Any, Array]:
    """Return the teacher after it saw N steps, and whether its next proposal is a new one, as after any episode's end."""
    if not isinstance(course, StartCourse):
        return teacher, jnp.any(done)
    assert played.reached is not None
    return course.watch(teacher, Visits(played.points, played.reached, returns, steps, done)), jnp.bool_(True)


def _heard(course: Course, teacher: Any, points: Array, episodes: Mapping[str, Array], ended: Array, size: int) -> Any:
    """Return the teacher after the ``ended`` of N steps [N], told of at most ``size`` at once, which are few of a rollout's."""
    count = jnp.sum(ended, dtype=jnp.int32)
    order = jnp.argsort(~ended, stable=True)

    def more(carry: tuple[Array, Any]) -> Array:
        return carry[0] < count

    def hear(carry: tuple[Array, Any]) -> tuple[Array, Any]:
        start, state = carry
        number = start + jnp.arange(size)
        rows = order[jnp.minimum(number, len(order) - 1)]
        own = {name: jnp.where(number < count, channel[rows], jnp.nan) for name, channel in episodes.items()}
        # the rest of the rows are steps of episodes that go on, which is not the same as episodes that ended without a return
        told_of = {**own, "ended": number < count, "more": start + size < count}
        return start + size, course.update(state, points[rows], told_of)

    return lax.while_loop(more, hear, (jnp.int32(0), teacher))[1]
