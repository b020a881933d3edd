"""The registry of teachers, and the one place that makes them."""

from __future__ import annotations

from typing import Any

from autorl.curricula.protocol import Teacher
from autorl.curricula.tasks import TaskSpace
from autorl.registry import Registry

TEACHERS: Registry[type[Teacher[Any]]] = Registry(
    "teacher",
    {
        "uniform": "autorl.curricula.uniform:Uniform",
        "alp_gmm": "autorl.curricula.alp_gmm:AlpGmm",
        "riac": "autorl.curricula.riac:Riac",
        "covar_gmm": "autorl.curricula.covar_gmm:CovarGmm",
        "arms": "autorl.curricula.arms:Arms",
    },
)


def make_teacher(name: str, space: TaskSpace) -> Teacher[Any]:
    """Make the teacher called ``name``, which proposes tasks of ``space``; its `Teacher.parameters` are made apart.

    Raises:
        UnknownNameError: No such teacher.
    """
    return TEACHERS.load(name)(space)
