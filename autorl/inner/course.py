"""What learners ask of a teacher: tasks to play and, of some, where episodes start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jax import Array

from autorl.environments.protocol import Reached, Task


@runtime_checkable
class Course(Protocol):
    """A teacher with its parameters, in the task space of an environment: a pytree, its parameters leaves. Tasks are points of [0, 1]^D."""

    @property
    def dimensions(self) -> int:
        """Numbers of a task, D."""

    @property
    def features(self) -> int:
        """Numbers that the diary keeps of a task, F."""

    def init(self, key: Array) -> Any:
        """Return the teacher's first state."""

    def propose(self, state: Any, key: Array, n: int) -> tuple[Array, Array]:
        """Return n points, float32 [n, D], and whether to learn from each, bool [n]."""

    def update(self, state: Any, points: Array, episodes: Mapping[str, Array]) -> Any:
        """Return the state after n episodes; those with a return that is not finite say nothing.

        ``episodes``, each float32 [n]: returns, successes, values, mean_values, positive_value_losses, absolute_value_losses, and
        antagonist_returns where there is a second agent. ``ended``, bool [n], says in which rows an episode ended; what does not end says
        nothing either. ``more``, bool, whether more of the same rollout follow in another update; not there: no.
        """

    def task(self, default: Task, point: Array) -> Task:
        """Return ``default`` with what the teacher sets, at ``point`` [D]."""

    def described(self, points: Array) -> Array:
        """Return points [n, D] as the diary describes them, float32 [n, F] within [0, 1]."""


def steps_before(course: Any) -> int:
    """Return the env steps that were taken for ``course`` before the training: of a guide, of a control policy; 0 without a teacher.

    They are part of the training's budget, as is every step of the environment that learning from it takes. A course that has any says
    so in ``env_steps_before``.
    """
    return int(getattr(course, "env_steps_before", 0))


class Visits(NamedTuple):
    """N steps, in the order in which they were taken.

    Attributes:
        points: float32 [N, D]; what the teacher had proposed for their episodes.
        reached: [N, ...]; where they led, before any reset.
        returns: float32 [N]; undiscounted, of the episode up to and with the step, from where it started.
        steps: int32 [N]; of the episode so far, from where it started.
        done: bool [N]; whether the episode ended there.
    """

    points: Array
    reached: Reached
    returns: Array
    steps: Array
    done: Array


@runtime_checkable
class StartCourse(Course, Protocol):
    """A course that also sets where episodes start: environment states are data, so any state that was visited can be gone on from."""

    def start(self, state: Any, points: Array, tasks: Task, reset: Reached) -> Reached:
        """Return where B episodes at ``points`` [B, D] start, of ``tasks`` [B, ...]; ``reset`` is where they would without a teacher."""

    def limits(self, points: Array) -> Array | None:
        """Return after how many steps from their start episodes at ``points`` [B, D] are truncated, int32 [B]; None: none is.

        Time limits of the environment hold as well.
        """

    def watch(self, state: Any, visits: Visits) -> Any:
        """Return the state after N steps were seen; called before `update` is told of the episodes among them that ended."""
