"""The registry of teachers, and the one place that makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autorl.curricula.protocol import Teacher
from autorl.curricula.tasks import TaskSpace
from autorl.registry import Registry

if TYPE_CHECKING:
    from autorl.curricula.starts.protocol import Starter

TEACHERS: Registry[type[Teacher[Any]]] = Registry(
    "teacher",
    {
        "uniform": "autorl.curricula.uniform:Uniform",
        "alp_gmm": "autorl.curricula.alp_gmm:AlpGmm",
        "riac": "autorl.curricula.riac:Riac",
        "covar_gmm": "autorl.curricula.covar_gmm:CovarGmm",
        "arms": "autorl.curricula.arms:Arms",
        "again": "autorl.curricula.again:Again",
        "sequence": "autorl.curricula.sequence:Sequence",
        "schedule": "autorl.curricula.schedule:Schedule",
        "generator": "autorl.curricula.generator:Generator",
        "adr": "autorl.curricula.adr:Adr",
        "learning_progress": "autorl.curricula.learning_progress:LearningProgress",
        "goal_gan": "autorl.curricula.goal_gan:GoalGan",
        "spdl": "autorl.curricula.spdl:Spdl",
        "space": "autorl.curricula.space:Space",
        "plr": "autorl.curricula.plr:Plr",
        "robust_plr": "autorl.curricula.plr:RobustPlr",
        "accel": "autorl.curricula.accel:Accel",
        "sfl": "autorl.curricula.sfl:Sfl",
        "dynamic_tasks": "autorl.curricula.dynamic_tasks:DynamicTasks",
        "poet": "autorl.curricula.poet:Poet",
        "paired": "autorl.curricula.paired:Paired",
    },
)
"""Those that set tasks."""
STARTERS: Registry[type[Starter[Any]]] = Registry(
    "teacher",
    {
        "go_explore": "autorl.curricula.starts.go_explore:GoExplore",
        "roll_in": "autorl.curricula.starts.roll_in:RollIn",
        "jump_start": "autorl.curricula.starts.jump_start:JumpStart",
        "snapshots": "autorl.curricula.starts.snapshots:Snapshots",
    },
)
"""Those that set where episodes start."""
ALL_TEACHERS: Registry[Any] = TEACHERS.with_those_of(STARTERS)
"""What an experiment may name."""


def make_teacher(name: str, space: TaskSpace) -> Teacher[Any]:
    """Make the teacher called ``name``, which proposes tasks of ``space``; its `Teacher.parameters` are made apart.

    Raises:
        UnknownNameError: No such teacher.
    """
    return TEACHERS.load(name)(space)
