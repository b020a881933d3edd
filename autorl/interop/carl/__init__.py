"""CARL (Benjamins et al., 2023, Contextualize Me): its contexts and context spaces as tasks of ours, ours as its, and
teachers that select its contexts.

Contexts and spaces are plain data here, and need no CARL. Only `teacher_selector` and `told` import it.
"""

from autorl.interop.carl.contexts import (
    contexts_at,
    contexts_from_tasks,
    held_out_contexts,
    overrides_from_contexts,
    tasks_from_contexts,
)
from autorl.interop.carl.spaces import box_from_space, vary_from_space
from autorl.interop.carl.teaching import teacher_selector, told

__all__ = [
    "box_from_space",
    "contexts_at",
    "contexts_from_tasks",
    "held_out_contexts",
    "overrides_from_contexts",
    "tasks_from_contexts",
    "teacher_selector",
    "told",
    "vary_from_space",
]
