"""What our contextual environments are called in CARL, and what their features are called there (carl-bench 1.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from autorl.environments.carl_features import FEATURES
from autorl.environments.protocol import Environment
from autorl.environments.registry import make_environment
from autorl.environments.task_box import TaskDimension
from autorl.environments.visible_task import SUFFIX
from autorl.errors import UsageError, suggestion

_PREFIX: Final = "contextual:"
_REPLACES: Final = {"CartPole-wide": "CartPole-v1"}
"""Environments that differ from CARL's in their ranges alone -> that of CARL."""


@dataclass(frozen=True)
class Counterpart:
    """An environment of CARL.

    Attributes:
        cls: Its class in ``carl.envs``.
        features: Its features, as and in the order that CARL has them.
        inert: Those of them that change nothing -> the default, and what to vary instead (empty if there is nothing).
        limits: Our name of every other feature -> what CARL allows.
    """

    cls: str
    features: tuple[str, ...]
    inert: Mapping[str, tuple[float, str]]
    limits: Mapping[str, TaskDimension]

    def ours(self, feature: str) -> str:
        """Return our name of ``feature``, which may be CARL's or ours already.

        Raises:
            UsageError: There is no such feature, or it changes nothing.
        """
        if feature in self.inert:
            instead = self.inert[feature][1]
            remedy = f"vary {instead!r} instead" if instead else "leave it out"
            raise UsageError(f"{feature!r} changes nothing in {self.cls}; {remedy}")
        known = {name: name.lower() for name in self.features if name not in self.inert}
        known |= {name: name for name in known.values()}
        if feature not in known:
            raise UsageError(f"unknown feature {feature!r}.{suggestion(feature, known)}")
        return known[feature]


COUNTERPARTS: Final[Mapping[str, Counterpart]] = {
    name: Counterpart(cls, tuple(features.split()), inert, {one.name: one for one in FEATURES[name]})
    for name, cls, features, inert in (
        (
            "CartPole-v1",
            "CARLCartPole",
            "gravity masscart masspole length force_mag tau initial_state_lower initial_state_upper",
            {},
        ),
        (
            "Pendulum-v1",
            "CARLPendulum",
            "gravity dt g m l initial_angle_max initial_velocity_max",
            {"gravity": (8.0, "g")},
        ),
        (
            "Acrobot-v1",
            "CARLAcrobot",
            "LINK_LENGTH_1 LINK_LENGTH_2 LINK_MASS_1 LINK_MASS_2 LINK_COM_POS_1 LINK_COM_POS_2 LINK_MOI MAX_VEL_1 MAX_VEL_2 "
            "torque_noise_max INITIAL_ANGLE_LOWER INITIAL_ANGLE_UPPER INITIAL_VELOCITY_LOWER INITIAL_VELOCITY_UPPER",
            {"LINK_LENGTH_2": (1.0, "")},
        ),
        (
            "MountainCar-v0",
            "CARLMountainCar",
            "min_position max_position max_speed goal_position goal_velocity force gravity min_position_start "
            "max_position_start min_velocity_start max_velocity_start",
            {},
        ),
    )
}
"""Name of our environment, without ``contextual:`` -> what it is in CARL."""


def counterpart(environment: str | Environment) -> tuple[Environment, Counterpart]:
    """Return our environment, and what it is in CARL.

    Args:
        environment: ``contextual:NAME``, ``contextual:NAME-visible``, or such an environment itself.

    Raises:
        UsageError: It has no counterpart there, or there is no such environment.
    """
    made = make_environment(environment) if isinstance(environment, str) else environment
    name = made.name.removeprefix(_PREFIX).removesuffix(SUFFIX)
    name = _REPLACES.get(name, name)
    if not made.name.startswith(_PREFIX) or name not in COUNTERPARTS:
        known = ", ".join(f"{_PREFIX}{one}" for one in (*COUNTERPARTS, *_REPLACES))
        raise UsageError(f"environment {made.name!r} has no counterpart in CARL; there is one of {known}")
    return made, COUNTERPARTS[name]
