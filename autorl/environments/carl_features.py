"""CARL's context features: names, defaults and limits from its source (Benjamins et al., 2023; commit 14c8fee4 of 2025-06-17).

``least`` and ``greatest`` are CARL's limits. The range proposed, ``low`` to ``high``, is the same where CARL's is finite. Where it is
infinite, it is chosen here: 0.2 to 2 times the default, as in the CartPole tasks of Cho et al. (2024, Model-Based Transfer
Learning), and by hand where the default is 0 or a place. Upper-case names of CARL are in lower case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from autorl.environments.task_box import TaskDimension

_LOG_FROM = 20.0
"""A range is proposed by ratio where its ends are this many times apart."""


def _bounded(name: str, low: float, high: float, default: float) -> TaskDimension:
    """A feature with CARL's finite range."""
    return TaskDimension(name, low, high, default, least=low, greatest=high, log=low > 0 and high >= _LOG_FROM * low)


def _scaled(name: str, default: float, least: float = -math.inf) -> TaskDimension:
    """A feature without an upper limit, proposed from 0.2 to 2 times its default."""
    return TaskDimension(name, 0.2 * default, 2.0 * default, default, least=least)


CARTPOLE = (
    _scaled("gravity", 9.8, least=0.1),
    _bounded("masscart", 0.1, 10.0, 1.0),
    _bounded("masspole", 0.01, 1.0, 0.1),
    _bounded("length", 0.05, 5.0, 0.5),
    _bounded("force_mag", 1.0, 100.0, 10.0),
    _bounded("tau", 0.002, 0.2, 0.02),
    TaskDimension("initial_state_lower", -0.2, 0.0, -0.1),
    TaskDimension("initial_state_upper", 0.0, 0.2, 0.1),
)
CARTPOLE_WIDE = (
    *(one for one in CARTPOLE if one.name not in ("masspole", "length")),
    TaskDimension("masspole", 0.05, 10.0, 0.1, least=0.0, log=True),
    TaskDimension("length", 0.05, 10.0, 0.5, least=1e-6, log=True),
)
"""CartPole with the lengths and masses of JaxUED's evaluation (Coward et al., 2024: 10 x 10 values from 0.05 to 10, equal ratios apart),
which go beyond CARL's; the rest is CARL's."""
PENDULUM = (
    _scaled("dt", 0.05, least=0.0),
    _scaled("g", 10.0, least=0.0),
    _scaled("m", 1.0, least=1e-6),
    _scaled("l", 1.0, least=1e-6),
    TaskDimension("initial_angle_max", 0.0, math.pi, math.pi, least=0.0),
    TaskDimension("initial_velocity_max", 0.0, 2.0, 1.0, least=0.0),
)
ACROBOT = (
    _bounded("link_length_1", 0.1, 10.0, 1.0),
    _bounded("link_mass_1", 0.1, 10.0, 1.0),
    _bounded("link_mass_2", 0.1, 10.0, 1.0),
    _bounded("link_com_pos_1", 0.0, 1.0, 0.5),
    _bounded("link_com_pos_2", 0.0, 1.0, 0.5),
    _bounded("link_moi", 0.1, 10.0, 1.0),
    _bounded("max_vel_1", 0.4 * math.pi, 40 * math.pi, 4 * math.pi),
    _bounded("max_vel_2", 0.9 * math.pi, 90 * math.pi, 9 * math.pi),
    _bounded("torque_noise_max", 0.0, 1.0, 0.0),
    TaskDimension("initial_angle_lower", -1.0, 0.0, -0.1),
    TaskDimension("initial_angle_upper", 0.0, 1.0, 0.1),
    TaskDimension("initial_velocity_lower", -1.0, 0.0, -0.1),
    TaskDimension("initial_velocity_upper", 0.0, 1.0, 0.1),
)
MOUNTAIN_CAR = (
    TaskDimension("min_position", -1.8, -0.8, -1.2),
    TaskDimension("max_position", 0.46, 0.6, 0.6),
    _scaled("max_speed", 0.07, least=0.0),
    TaskDimension("goal_position", 0.0, 0.6, 0.45),
    TaskDimension("goal_velocity", 0.0, 0.05, 0.0),
    _scaled("force", 0.001),
    _scaled("gravity", 0.0025, least=0.0),
    TaskDimension("min_position_start", -0.8, -0.5, -0.6),
    TaskDimension("max_position_start", -0.5, -0.2, -0.4),
    TaskDimension("min_velocity_start", -0.03, 0.0, 0.0),
    TaskDimension("max_velocity_start", 0.0, 0.03, 0.0),
)

FEATURES: Mapping[str, tuple[TaskDimension, ...]] = MappingProxyType(
    {
        "CartPole-v1": CARTPOLE,
        "CartPole-wide": CARTPOLE_WIDE,
        "Pendulum-v1": PENDULUM,
        "Acrobot-v1": ACROBOT,
        "MountainCar-v0": MOUNTAIN_CAR,
    }
)
"""Name of the environment -> its features."""
