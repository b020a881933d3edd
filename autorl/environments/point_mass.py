"""SPDL's point mass with a gate: steer through a gap in a wall, of a place and a width that the task sets.

After Klink et al. (2020, Self-Paced Deep Reinforcement Learning), from its published source. The mass starts at rest at (0, 3), the
goal is (0, -3), and between them stands a wall at y = 0 with one gate. Crossing the wall elsewhere ends the episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from autorl.environments.protocol import Box, Environment, Step, Task
from autorl.environments.task_box import TaskBox, TaskDimension
from autorl.environments.tasks import override_task
from autorl.environments.visible_task import SUFFIX, with_visible_task

_SUBSTEPS = 10
_DT = 0.01
_NOISE = 0.05
_FORCE = 1.5
_EDGE = 4.0
_START = np.array([[0.0, 3.0], [0.0, 0.0]], np.float32)
_GOAL = np.array([0.0, -3.0], np.float32)
_NEAR = 0.25

GATE_POSITION = TaskDimension("gate_position", low=-4.0, high=4.0, default=0.0)
GATE_WIDTH = TaskDimension("gate_width", low=0.5, high=8.0, default=2.0, least=0.0)
FRICTION = TaskDimension("friction", low=0.0, high=4.0, default=2.0, least=0.0)


class PointMassState(NamedTuple):
    """State of an episode.

    Attributes:
        motion: float32 [2, 2]; the position (x, y), then the velocity.
        time: int32 scalar; steps since the reset.
    """

    motion: Array
    time: Array


@dataclass(frozen=True)
class PointMass:
    """The point mass. Observations are (x, velocity of x, y, velocity of y); actions are two forces within [-10, 10].

    A step is 10 Euler steps of .01 s of acceleration ``1.5 action - friction velocity`` plus Gaussian noise of .05. Positions are kept
    within [-4, 4]. The reward is exp(-.6 distance to the goal); reaching it (``info["success"]``: within .25) does not end
    the episode, which takes 100 steps.

    Attributes:
        name: Public id.
        has_friction: Whether the task has friction (3 dimensions); without, there is none (2 dimensions).
    """

    name: str
    has_friction: bool

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Four numbers."""
        return (4,)

    @property
    def action_space(self) -> Box:
        """Two forces."""
        return Box(-10.0, 10.0, (2,))

    @property
    def max_episode_steps(self) -> int:
        """One hundred."""
        return 100

    @property
    def task_space(self) -> TaskBox:
        """Gate position, gate width and, in three dimensions, friction."""
        return TaskBox((GATE_POSITION, GATE_WIDTH, FRICTION) if self.has_friction else (GATE_POSITION, GATE_WIDTH))

    def default_task(self) -> dict[str, np.ndarray]:
        """Return a gate of width 2 in the middle, friction 2 if there is any."""
        return {one.name: np.asarray(one.default, np.float32) for one in self.task_space.dimensions}

    def task_from(self, overrides: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the default task with ``overrides``.

        Raises:
            UsageError: Listing unknown names (did you mean), wrong values, and values out of range.
        """
        return override_task(self.name, self.default_task(), overrides, space=self.task_space)

    def reset(self, key: Array, task: Task) -> tuple[Array, PointMassState]:
        """Return (observation, state) at the start of an episode."""
        del key, task
        state = PointMassState(jnp.asarray(_START), jnp.zeros((), jnp.int32))
        return _observed(state.motion), state

    def step(self, key: Array, state: PointMassState, action: Array, task: Task) -> Step:
        """Advance by one action."""
        gate, width = (jnp.asarray(task[name], jnp.float32) for name in ("gate_position", "gate_width"))
        friction = jnp.asarray(task["friction"] if self.has_friction else 0.0, jnp.float32)
        force = _FORCE * jnp.clip(action, self.action_space.low, self.action_space.high)
        noise = _NOISE * jax.random.normal(key, (_SUBSTEPS, 2))

        def substep(carry: tuple[Array, Array], noise: Array) -> tuple[tuple[Array, Array], None]:
            motion, crashed = carry
            moved, crashes = _moved(motion, force - friction * motion[1] + noise, gate, width)
            return (jnp.where(crashed, motion, moved), crashed | crashes), None

        (motion, crashed), _ = lax.scan(substep, (state.motion, jnp.zeros((), jnp.bool_)), noise, unroll=_SUBSTEPS)
        distance = jnp.sqrt(jnp.sum((motion[0] - _GOAL) ** 2))
        following = PointMassState(motion, state.time + 1)
        return Step(
            observation=_observed(motion),
            state=following,
            reward=jnp.exp(-0.6 * distance),
            terminated=crashed,
            truncated=(following.time >= self.max_episode_steps) & ~crashed,
            info={"success": distance < _NEAR},
        )


def point_mass_environment(id: str) -> Environment:
    """Return the environment of the public id ``point_mass:gate-2d`` or ``point_mass:gate-3d``, or one with ``-visible``."""
    hidden = id.removesuffix(SUFFIX)
    environment = PointMass(hidden, has_friction=hidden.endswith("3d"))
    return with_visible_task(environment) if id.endswith(SUFFIX) else environment


def _moved(motion: Array, acceleration: Array, gate: Array, width: Array) -> tuple[Array, Array]:
    """Return the motion after one Euler step, and whether it ran into the wall (where it then rests)."""
    velocity = motion[1] + _DT * acceleration
    position = jnp.clip(motion[0] + _DT * motion[1], -_EDGE, _EDGE)
    before, after = motion[0, 1], position[1]
    crosses = ((before >= 0) & (after < 0)) | ((before <= 0) & (after > 0))
    share = -before / jnp.where(crosses, after - before, 1.0)
    crossing = share * position[0] + (1.0 - share) * motion[0, 0]
    crashes = crosses & (jnp.abs(crossing - gate) > 0.5 * width)
    rest = jnp.zeros((2, 2), jnp.float32).at[0, 0].set(crossing)
    return jnp.where(crashes, rest, jnp.stack([position, velocity])), crashes


def _observed(motion: Array) -> Array:
    """Return position and velocity of x, then of y, float32 [4]."""
    return motion.T.reshape(-1)
