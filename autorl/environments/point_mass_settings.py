"""The settings of SPDL's experiments on the point mass, as data (Klink et al., 2020; from the published source, commit ced8c18).

Tuples have one number for each dimension of the task: gate position, gate width and, in 3-D, friction.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.task_box import TaskBox


@dataclass(frozen=True)
class GaussianTasks:
    """A Gaussian over tasks with independent dimensions, clipped to a box.

    Attributes:
        mean: [D].
        deviation: [D], standard deviations.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def sample(self, key: Array, space: TaskBox) -> Array:
        """Return a point of ``space``, float32 [D]: what falls outside is moved to the border, as in the source."""
        drawn = np.asarray(self.mean, np.float32) + np.asarray(self.deviation, np.float32) * jax.random.normal(
            key, (len(self.mean),)
        )
        return jnp.clip(drawn, np.asarray(space.low, np.float32), np.asarray(space.high, np.float32))


@dataclass(frozen=True)
class SelfPacedSettings:
    """One experiment of SPDL with PPO.

    Attributes:
        initial: Tasks at the start.
        target: Tasks that count, and that evaluation draws.
        least_deviation: Standard deviations are kept above it while the divergence to the target is above ``kl_threshold``.
        kl_threshold: See there.
        max_kl: Trust region of one update of the teacher.
        zeta: Penalty on the divergence from the target, in proportion to the return.
        alpha_offset: Updates without that penalty.
        offset: Iterations before the teacher's first update.
        performance_bound: Least return of the second version of the teacher.
        discount: Of the student.
        gae_lambda: Of the student.
        iterations: Of the student; the teacher is updated after each.
        steps_per_iteration: Env steps.
        epochs: Of PPO.
        minibatches: Of PPO.
        hidden: Widths of tanh layers.
        evaluation_episodes: For the reported return.
    """

    initial: GaussianTasks
    target: GaussianTasks
    least_deviation: tuple[float, ...]
    kl_threshold: float = 8000.0
    max_kl: float = 0.05
    zeta: float = 1.6
    alpha_offset: int = 10
    offset: int = 5
    performance_bound: float = 3.5
    discount: float = 0.95
    gae_lambda: float = 0.99
    iterations: int = 400
    steps_per_iteration: int = 2048
    epochs: int = 8
    minibatches: int = 32
    hidden: tuple[int, ...] = (64, 64)
    evaluation_episodes: int = 50

    @property
    def env_steps(self) -> int:
        """The student's budget."""
        return self.iterations * self.steps_per_iteration


SETTINGS = MappingProxyType(
    {
        "point_mass:gate-3d": SelfPacedSettings(
            initial=GaussianTasks((0.0, 4.25, 2.0), (2.0, 1.875, 1.0)),
            target=GaussianTasks((2.5, 0.5, 0.0), (4e-3, 3.75e-3, 2e-3)),
            least_deviation=(0.2, 0.1875, 0.1),
        ),
        "point_mass:gate-2d": SelfPacedSettings(
            initial=GaussianTasks((0.0, 4.25), (2.0, 1.875)),
            target=GaussianTasks((2.5, 0.5), (4e-3, 3.75e-3)),
            least_deviation=(0.2, 0.1875),
        ),
    }
)
"""Id of the environment -> its settings. The published experiments show the task to the agent (the ids with ``-visible``)."""
