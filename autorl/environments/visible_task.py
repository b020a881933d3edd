"""An environment whose agent sees its task: the task's numbers at the end of the observation.

What the literature calls a visible context (SPDL: Klink et al., 2020; CARL: Benjamins et al., 2023): raw values, not scaled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.protocol import Box, Discrete, Environment, Reached, ResumableEnvironment, State, Step, Task
from autorl.environments.task_box import TaskBox, task_space
from autorl.environments.tasks import make_task
from autorl.errors import UsageError

SUFFIX = "-visible"
"""Of the ids of built-in environments that show their whole task."""


@dataclass(frozen=True)
class VisibleTask:
    """``hidden`` with the dimensions ``shown`` of its task behind every observation. Made by `with_visible_task`.

    Attributes:
        name: Public id.
        hidden: The environment that does not show its task.
        shown: The dimensions that are observed, in their order.
    """

    name: str
    hidden: Environment
    shown: TaskBox

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """That of the hidden one and one number for each dimension shown."""
        return (self.hidden.observation_shape[0] + len(self.shown.dimensions),)

    @property
    def action_space(self) -> Discrete | Box:
        """That of the hidden one."""
        return self.hidden.action_space

    @property
    def max_episode_steps(self) -> int:
        """That of the hidden one."""
        return self.hidden.max_episode_steps

    @property
    def task_space(self) -> TaskBox:
        """That of the hidden one: also what is not shown may be varied."""
        return task_space(self.hidden)

    def default_task(self) -> Task:
        """Return the standard task."""
        return self.hidden.default_task()

    def task_from(self, overrides: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the default task with ``overrides``; raises UsageError as the hidden environment does."""
        task: dict[str, np.ndarray] = make_task(self.hidden, overrides)
        return task

    def reset(self, key: Array, task: Task) -> tuple[Array, State]:
        """Return (observation, state) at the start of an episode of ``task``."""
        observation, state = self.hidden.reset(key, task)
        return self._shown(observation, task), state

    def step(self, key: Array, state: State, action: Array, task: Task) -> Step:
        """Advance by one action."""
        step = self.hidden.step(key, state, action, task)
        return step._replace(observation=self._shown(step.observation, task))

    def resumed(self, reached: Reached, task: Task) -> tuple[Reached, Array]:
        """Return ``reached`` with ``task`` in the place of the one that it shows, and whether the hidden one can go on from there."""
        own = reached._replace(observation=reached.observation[: self.hidden.observation_shape[0]])
        fits = jnp.bool_(True)
        if isinstance(self.hidden, ResumableEnvironment):
            own, fits = self.hidden.resumed(own, task)
        return own._replace(observation=self._shown(own.observation, task)), fits

    def _shown(self, observation: Array, task: Task) -> Array:
        return jnp.concatenate([observation, self.shown.point(task)])


def with_visible_task(
    environment: Environment, dimensions: Iterable[str] | None = None, name: str | None = None
) -> VisibleTask:
    """Return ``environment`` with its task in the observation.

    Args:
        environment: One with a declared task space and observations that are vectors.
        dimensions: The dimensions to show; all if None.
        name: Public id; the environment's with ``-visible`` if None.

    Raises:
        UsageError: It declares no task space, lacks a dimension, or observes something else than a vector.
    """
    shown = task_space(environment)
    if dimensions is not None:
        shown = shown.only(dimensions)
    if len(environment.observation_shape) != 1:
        raise UsageError(
            f"environment {environment.name!r}: its task can only be put behind a vector, and it observes "
            f"{list(environment.observation_shape)}"
        )
    return VisibleTask(name or f"{environment.name}{SUFFIX}", environment, shown)
