"""The registry of methods that choose training tasks."""

from __future__ import annotations

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
