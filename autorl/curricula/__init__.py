"""Curricula: which task comes next. One file for each teacher, all behind `autorl.curricula.protocol`.

`autorl.curricula.teachers` lists them by name. A teacher sees tasks and what became of them, never an environment or an agent; its
state is a pure function of its key, the tasks and the feedback.
"""
