"""The registry of methods that choose training tasks."""

from __future__ import annotations

from typing import Any

from autorl.outer.tasks.protocol import TaskSelection
from autorl.registry import Registry

TASK_METHODS: Registry[type[TaskSelection]] = Registry(
    "task selection",
    {
        "random": "autorl.outer.tasks.random_tasks:RandomTasks",
        "gp_mbtl": "autorl.outer.tasks.mbtl:GpMbtl",
        "m_mbtl": "autorl.outer.tasks.mbtl:MMbtl",
        "mgp_mbtl": "autorl.outer.tasks.mbtl:MgpMbtl",
    },
)
"""Those that choose which task to train a new policy on: folds of one contract."""
OTHERS: Registry[Any] = Registry(
    "task method",
    {
        "rolling_horizon": "autorl.outer.tasks.rolling_horizon:RollingHorizon",
        "poet": "autorl.outer.tasks.poet:Poet",
    },
)
"""Those with contracts of their own: policies go on from task to task, and tasks may be new."""
ALL_TASK_METHODS: Registry[Any] = TASK_METHODS.with_those_of(OTHERS)
"""What is listed."""
