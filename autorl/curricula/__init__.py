"""Curricula: which task comes next. One file for each teacher, all behind `autorl.curricula.protocol`.

`autorl.curricula.teachers` lists them by name. A teacher sees tasks and what became of them, never an environment or an agent. It is
pure, of fixed shapes and traced, so it runs inside the program that trains the agents, and its parameters can be searched.
"""
