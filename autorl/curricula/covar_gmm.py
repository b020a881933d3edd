"""Covar-GMM: tasks near those whose return rose within the last window, by the covariance of time and return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from autorl.curricula.mixture_teacher import MixtureParameters, MixtureState, MixtureTeacher
from autorl.curricula.mixtures import Mixture


@dataclass(frozen=True)
class CovarGmm(MixtureTeacher):
    """Learning progress as the covariance of time and return within a Gaussian.

    The mixtures are over (task, time since the last fit in windows, return), and a Gaussian's utility is the positive part of its
    covariance of time and return, so no return is ever compared with that of one other task.
    """

    name: ClassVar[str] = "covar_gmm"
    reference: ClassVar[str] = (
        "Moulin-Frier et al., 2014, Self-Organization of Early Vocal Development in Infants and Machines: The Role of Intrinsic "
        "Motivation; as a teacher: Portelas et al., 2019"
    )
    Parameters: ClassVar[type[Any]] = MixtureParameters
    extra: ClassVar[int] = 2

    def _memory(self, params: Any) -> tuple[()]:
        return ()

    def _values(
        self, params: Any, state: MixtureState, points: Array, returns: Array, valid: Array
    ) -> tuple[tuple[()], Array]:
        return (), returns

    def _columns(self, window: Array, times: Array) -> Array:
        return jnp.concatenate([window[:, :-1], times[:, None], window[:, -1:]], axis=1)

    def _utilities(self, mixture: Mixture) -> Array:
        return mixture.covariances[:, -2, -1]
