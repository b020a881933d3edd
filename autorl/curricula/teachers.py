"""The registry of teachers, and the one place that makes them: names and settings are checked here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from autorl.curricula.protocol import TaskSpace, Teacher
from autorl.errors import UsageError, suggestion
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


def make_teacher(name: str, space: TaskSpace, settings: Mapping[str, Any] | None = None) -> Teacher[Any]:
    """Make the teacher called ``name``.

    Args:
        name: A name of `TEACHERS`.
        space: The tasks that may be proposed.
        settings: Settings of the teacher, by name; those left out take the teacher's defaults.

    Raises:
        UnknownNameError: No such teacher.
        UsageError: An unknown setting, or a value out of range.
    """
    kind = TEACHERS.load(name)
    known, given = teacher_settings(name), dict(settings or {})
    for key, value in given.items():
        if key not in known:
            raise UsageError(f"unknown setting {key!r} of teacher {name!r}.{suggestion(key, known)}")
        wanted = type(known[key])
        if isinstance(value, bool) or not isinstance(value, (int, wanted)):
            raise UsageError(f"teacher {name!r}: setting {key!r}: expected {wanted.__name__}, got {value!r}.")
    return kind(space, **given)


def teacher_settings(name: str) -> dict[str, Any]:
    """Return the settings of the teacher called ``name`` with their defaults."""
    return {field.name: field.default for field in fields(TEACHERS.load(name)) if field.name != "space"}
