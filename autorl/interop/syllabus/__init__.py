"""Syllabus (Sullivan et al., 2025, Syllabus: Portable Curricula for Reinforcement Learning Agents): its task spaces as ours, our
teachers as its curricula.

Spaces are read by their attributes, and need no Syllabus. Only `teacher_curriculum` and `box_task_space` import it.
"""

from autorl.interop.syllabus.spaces import task_box_of, task_space_of
from autorl.interop.syllabus.teaching import box_task_space, teacher_curriculum

__all__ = ["box_task_space", "task_box_of", "task_space_of", "teacher_curriculum"]
