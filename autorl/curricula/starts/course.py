"""From a starter in a candidate to what learners run: points that say how an episode starts, and what the steps after it told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.curricula.starts.archive import Archive
from autorl.curricula.starts.guide import Guide, Guides, guided, guides_of_modules
from autorl.curricula.starts.protocol import Episodes, GuidedStarter, Starter, Starts
from autorl.curricula.teachers import STARTERS
from autorl.environments.features import Feature
from autorl.environments.protocol import Environment, Reached, ResumableEnvironment, Task
from autorl.environments.task_points import BoxPoints, TaskPoints
from autorl.errors import UsageError

_HEAD = 6
"""Numbers of a point before its task's: whether it is from the archive, where there, length and score up to there; the starter's round,
and the block of episodes that it is judged in."""


class Seen(Protocol):
    """Steps that were watched: `autorl.inner.course.Visits`."""

    points: Array
    reached: Reached
    returns: Array
    steps: Array
    done: Array


@dataclass(frozen=True)
class StartsCourse:
    """A starter in an environment (`autorl.inner.course.StartCourse`). A restored state keeps its clock, so its time limit too.

    Where a state that was drawn is none of the episode's task (`autorl.environments.protocol.ResumableEnvironment`), that starts afresh.

    Attributes:
        parameters: The starter's, a pytree.
        low: float32 scalar; the return that counts as 0.
        width: float32 scalar; from there to the return that counts as 1.
        teacher: The starter.
        points: What the points of tasks mean; None where none varies.
        environment: Where.
        guide: What a guided starter starts from.
        default: The task of which those of the points differ.
    """

    parameters: Any
    low: Any
    width: Any
    guide: Guide | None
    default: Any
    teacher: Starter[Any]
    points: TaskPoints | None
    environment: Environment

    @property
    def dimensions(self) -> int:
        """How an episode starts, and its task."""
        return _HEAD + self.teacher.dimensions

    @property
    def env_steps_before(self) -> int:
        """Env steps taken for it before the training: those of the guide. States are restored without any."""
        return 0 if self.guide is None else int(np.sum(self.guide.alive))

    @property
    def described_as(self) -> tuple[Feature, ...]:
        """The features."""
        own = (
            Feature("from the archive", 0.0, 1.0, whole=True),
            Feature("steps before the start", 0.0, float(self.environment.max_episode_steps), whole=True),
        )
        return own if self.points is None else (*own, *self.points.features)

    @property
    def features(self) -> int:
        """Those of a start, and those of its task."""
        return len(self.described_as)

    def init(self, key: Array) -> Any:
        """Return the starter's first state."""
        seed = jax.random.key_data(key)
        if isinstance(self.teacher, GuidedStarter):
            assert self.guide is not None
            return self.teacher.begin(self.parameters, self.guide, (self.guide.returns - self.low) / self.width, seed)
        observation, state = jax.eval_shape(self.environment.reset, jax.random.key(0), self.environment.default_task())
        one = Reached(observation, state)
        return self.teacher.init(self.parameters, lambda room: Archive.empty(room, one), seed)

    def propose(self, state: Any, key: Array, n: int) -> tuple[Array, Array]:
        """Return n points and whether to learn from each, which is always so."""
        starts = self.teacher.propose(self.parameters, state, key, n)
        at = state.archive.at(starts.places)
        tasks = jax.vmap(lambda point: self._task(self.default, point))(starts.tasks)
        restored = starts.restored & at.filled & self._resumed(at.reached, tasks)[1]
        numbers = (restored, starts.places, jnp.where(restored, at.lengths, 0), jnp.where(restored, at.scores, 0.0))
        rounds = jnp.broadcast_to(self.teacher.round(state), (n,))
        head = jnp.stack([x.astype(jnp.float32) for x in (*numbers, rounds, starts.blocks)], axis=1)
        return jnp.concatenate([head, starts.tasks], axis=1), jnp.ones(n, jnp.bool_)

    @property
    def hears_starts(self) -> bool:
        """Whether `begun` is to be called."""
        return self.teacher.hears_starts

    def begun(self, state: Any, points: Array, which: Array) -> Any:
        """Return the state after episodes at those of ``points`` [n, D] began that ``which`` [n] says."""
        return self.teacher.begun(self.parameters, state, _starts(points), which)

    def start(self, state: Any, points: Array, tasks: Task, reset: Reached) -> Reached:
        """Return where the episodes at ``points`` [B, D] start."""
        starts = _starts(points)
        kept: Reached = state.archive.at(starts.places).reached
        kept, _ = self._resumed(kept, tasks)
        chosen: Reached = jax.tree.map(lambda a, b: jax.vmap(jnp.where)(starts.restored, a, b), kept, reset)
        return chosen

    def limits(self, points: Array) -> Array | None:
        """Return after how many steps from their start episodes at ``points`` [B, D] are truncated, int32 [B]; None: none is."""
        limit = self.teacher.limit(self.parameters)
        return None if limit is None else jnp.where(_starts(points).restored, limit, jnp.iinfo(jnp.int32).max)

    def _resumed(self, kept: Reached, tasks: Task) -> tuple[Reached, Array]:
        """Return what n places [n, ...] are in as many ``tasks`` [n, ...], and whether they can be gone on from, bool [n]."""
        if isinstance(self.environment, ResumableEnvironment):
            return jax.vmap(self.environment.resumed)(kept, tasks)
        return kept, jnp.ones(len(kept.observation), jnp.bool_)

    def watch(self, state: Any, visits: Seen) -> Any:
        """Return the state after N steps."""
        lengths, scores = _before(visits.points)
        # an episode that paid no number tells nothing
        alive = ~visits.done & jnp.isfinite(visits.returns) & self._of_now(state, visits.points)
        scores = jnp.where(alive, scores + visits.returns, 0.0)
        return self.teacher.watch(
            self.parameters, state, Archive(visits.reached, lengths + visits.steps, scores, alive)
        )

    def update(self, state: Any, points: Array, episodes: Mapping[str, Array]) -> Any:
        """Return the state after n episodes."""
        lengths, before = _before(points)
        scores = (before + episodes["returns"] - self.low) / self.width
        starts, ended = _starts(points), episodes.get("ended")
        ended = jnp.ones(len(points), jnp.bool_) if ended is None else ended
        valid = ended & jnp.isfinite(scores) & self._of_now(state, points)
        told = Episodes(starts.restored, lengths, jnp.where(valid, scores, 0.0), valid, starts.blocks, ended)
        return self.teacher.update(self.parameters, state, told)

    def _of_now(self, state: Any, points: Array) -> Array:
        """Return whether the episodes at ``points`` [n, D] were proposed in the starter's round of now, bool [n]."""
        return jnp.round(points[:, 4]).astype(jnp.int32) == self.teacher.round(state)

    def task(self, default: Task, point: Array) -> Task:
        """Return ``default`` with what the starter sets."""
        return self._task(default, point[_HEAD:])

    def _task(self, default: Task, numbers: Array) -> Task:
        return default if self.points is None else self.points.task(default, numbers)

    def described(self, points: Array) -> Array:
        """Return the features of ``points`` [n, D]."""
        own = jnp.stack([points[:, 0], points[:, 2] / self.environment.max_episode_steps], axis=1)
        if self.points is None:
            return own
        return jnp.concatenate([own, jax.vmap(self.points.described)(points[:, _HEAD:])], axis=1)


jax.tree_util.register_dataclass(
    StartsCourse,
    data_fields=["parameters", "low", "width", "guide", "default"],
    meta_fields=["teacher", "points", "environment"],
)


def _starts(points: Array) -> Starts:
    places, blocks = (jnp.round(points[:, i]).astype(jnp.int32) for i in (1, 5))
    return Starts(points[:, 0] > 0.5, places, points[:, _HEAD:], blocks)


def _before(points: Array) -> tuple[Array, Array]:
    """Return length int32 [n] and return float32 [n] up to the start of the episodes at ``points`` [n, D]."""
    return jnp.round(points[:, 2]).astype(jnp.int32), points[:, 3]


def make_starts_course(
    choice: Mapping[str, Any],
    environment: Environment,
    points: TaskPoints | None,
    score_range: tuple[float, float] | None,
    default: Task | None = None,
    guides: Guides = guides_of_modules,
) -> StartsCourse:
    """Return the course of the starter that ``choice`` (``{name, parameters}``) names, in ``environment``.

    Args:
        choice: As in a trial's plan.
        environment: Where.
        points: How its tasks are written; None where they do not vary.
        score_range: Returns that count as 0 and 1; themselves without one.
        default: The task that a guide acts in; the environment's own if None.
        guides: Finds the guide that the parameters name.

    Raises:
        UsageError: No such starter, wrong parameters, a guide that cannot act there, or tasks that the starter cannot vary.
    """
    starter = starter_for(choice["name"], environment, points)
    if starter.sets_tasks and points is not None and not isinstance(points, BoxPoints):
        raise UsageError(
            f"teacher {starter.name!r}: it goes from one task to another by their numbers, and a state of one is gone on from in the next; "
            f"the tasks of {environment.name!r} are levels. Remedy: a teacher of levels, such as plr, or an environment of numbered tasks."
        )
    low, high = score_range or (0.0, 1.0)
    parameters = starter.parameters(choice.get("parameters") or {})
    varied = points if starter.sets_tasks else None
    guide, task = None, environment.default_task() if default is None else default
    if isinstance(starter, GuidedStarter):
        guide = guided(environment, guides(parameters.guide, environment), parameters.trajectories, task)
    scale = np.float32(low), np.float32(high - low)
    return StartsCourse(parameters, *scale, guide, task, starter, varied, environment)


def starter_for(name: str, environment: Environment, points: TaskPoints | None) -> Starter[Any]:
    """Return the starter called ``name`` in ``environment``; raise `UnknownNameError` if there is none."""
    kind = STARTERS.load(name)
    dimensions = points.dimensions if kind.sets_tasks and points is not None else 0
    return kind(dimensions, int(np.prod(environment.observation_shape)))
