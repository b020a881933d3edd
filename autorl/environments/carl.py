"""CartPole, Pendulum, Acrobot and MountainCar with CARL's context features (Benjamins et al., 2023, Contextualize Me).

Dynamics are gymnax's, behind `autorl.environments.gymnax_adapter`; names (in lower case), defaults and limits are those of CARL's
source (commit 14c8fee4, `autorl.environments.carl_features`), and so are the first states of an episode, which are part of the task.

Where this differs from CARL, and why:

* Pendulum's ``gravity`` and Acrobot's ``LINK_LENGTH_2`` are left out: they change nothing. Gymnasium reads ``g`` alone, and the
  second length only to draw its picture.
* Pendulum starts within [-max, max], as Gymnasium does; CARL draws from [0, max].
* Acrobot's ``torque_noise_max`` must not be negative: CARL allows it, and Gymnasium then draws no noise.
* CartPole's total mass, and pole mass times length, follow the task. CARL writes features into Gymnasium's object, which computed both
  before, so that there a heavier pole is not heavier everywhere (seen in carl-bench 1.1.1).
* Where CARL's range is infinite, the range proposed to teachers is finite, and chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import Array

from autorl.environments.carl_features import FEATURES
from autorl.environments.gymnax_adapter import GymnaxEnvironment, gymnax_environment
from autorl.environments.protocol import Box, Discrete, Environment, State, Step, Task
from autorl.environments.task_box import TaskBox
from autorl.environments.tasks import override_task
from autorl.environments.visible_task import SUFFIX, with_visible_task


@dataclass(frozen=True)
class ContextualControl:
    """An environment of gymnax whose task is CARL's context. Made by `carl_environment`.

    Attributes:
        name: Public id.
        base: Where the dynamics come from.
        task_space: CARL's features.
        start: (key, task) -> the fields of gymnax's state that the task decides at a reset.
    """

    name: str
    base: GymnaxEnvironment
    task_space: TaskBox
    start: Callable[[Array, Task], dict[str, Array]]

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """That of gymnax."""
        return self.base.observation_shape

    @property
    def action_space(self) -> Discrete | Box:
        """That of gymnax."""
        return self.base.action_space

    @property
    def max_episode_steps(self) -> int:
        """That of gymnax."""
        return self.base.max_episode_steps

    def default_task(self) -> dict[str, np.ndarray]:
        """Return CARL's default context: name -> float32 scalar."""
        return {one.name: np.asarray(one.default, np.float32) for one in self.task_space.dimensions}

    def task_from(self, overrides: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the default task with ``overrides``.

        Raises:
            UsageError: Listing unknown names (did you mean), wrong values, and values beyond CARL's limits.
        """
        return override_task(self.name, self.default_task(), overrides, space=self.task_space)

    def reset(self, key: Array, task: Task) -> tuple[Array, State]:
        """Return (observation, state) at the start of an episode of ``task``."""
        dynamics = self._dynamics(task)
        _, state = self.base.reset(key, dynamics)
        state = state.replace(**self.start(key, task))
        return self.base.observe(state, dynamics), state

    def step(self, key: Array, state: State, action: Array, task: Task) -> Step:
        """Advance by one action."""
        return self.base.step(key, state, action, self._dynamics(task))

    def _dynamics(self, task: Task) -> dict[str, Any]:
        """Return the parameters of gymnax: its own where CARL has no such feature."""
        return {name: task.get(name, value) for name, value in self.base.default_task().items()}


def _start_of_cartpole(key: Array, task: Task) -> dict[str, Array]:
    drawn = _uniform(key, 4, task["initial_state_lower"], task["initial_state_upper"])
    return dict(zip(("x", "x_dot", "theta", "theta_dot"), drawn, strict=True))


def _start_of_pendulum(key: Array, task: Task) -> dict[str, Array]:
    angle, velocity = _uniform(key, 2, -1.0, 1.0)
    return {"theta": angle * task["initial_angle_max"], "theta_dot": velocity * task["initial_velocity_max"]}


def _start_of_acrobot(key: Array, task: Task) -> dict[str, Array]:
    of_angles, of_velocities = jax.random.split(key)
    angles = _uniform(of_angles, 2, task["initial_angle_lower"], task["initial_angle_upper"])
    velocities = _uniform(of_velocities, 2, task["initial_velocity_lower"], task["initial_velocity_upper"])
    return {
        "joint_angle1": angles[0],
        "joint_angle2": angles[1],
        "velocity_1": velocities[0],
        "velocity_2": velocities[1],
    }


def _start_of_mountain_car(key: Array, task: Task) -> dict[str, Array]:
    share = jax.random.uniform(key, (2,))
    low, high = ((task[f"{end}_position_start"], task[f"{end}_velocity_start"]) for end in ("min", "max"))
    position, velocity = (low[i] + share[i] * (high[i] - low[i]) for i in range(2))
    return {"position": position, "velocity": velocity}


def _uniform(key: Array, count: int, low: Any, high: Any) -> Array:
    """Return [count] numbers between ``low`` and ``high``, whichever is the smaller."""
    return low + jax.random.uniform(key, (count,)) * (high - low)


_STARTS: dict[str, Callable[[Array, Task], dict[str, Array]]] = {
    "CartPole-v1": _start_of_cartpole,
    "CartPole-wide": _start_of_cartpole,
    "Pendulum-v1": _start_of_pendulum,
    "Acrobot-v1": _start_of_acrobot,
    "MountainCar-v0": _start_of_mountain_car,
}

_BASES = {"CartPole-wide": "CartPole-v1"}
"""Environments that differ from another one in the ranges of their tasks alone."""


def carl_environment(id: str) -> Environment:
    """Return the environment of the public id ``contextual:NAME`` or ``contextual:NAME-visible``."""
    hidden = id.removesuffix(SUFFIX)
    name = hidden.removeprefix("contextual:")
    environment = ContextualControl(
        hidden, gymnax_environment(f"gymnax:{_BASES.get(name, name)}"), TaskBox(FEATURES[name]), _STARTS[name]
    )
    return with_visible_task(environment) if id.endswith(SUFFIX) else environment
