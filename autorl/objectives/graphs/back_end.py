"""Which back end trains a batch of loss graphs sooner: a pure function of measured constants, the same on every machine.

The interpreter compiles one program for a whole study and costs a little more in every update; fused graphs compile a program for each
batch and each graph's code in it. Long trainings pay for that, short ones do not. The choice must not depend on the machine's load or
size: the two back ends round differently, and a resumed study must go on with the same one.
"""

from __future__ import annotations

from typing import Literal

BackEnd = Literal["interpreter", "fused"]

# All measured on two cores: python benchmarks/loss_graphs.py (DQN on CartPole, an update of batch 32 on every env step, hidden 64)
GRAPH_COMPILE_SECONDS = 0.27
"""To compile one more graph's registers, loss and slopes into a fused program."""
LOOP_COMPILE_SECONDS = 6.5
"""To compile the training loop around them, once for each batch of graphs."""
INTERPRETER_SECONDS_PER_STEP = 2.5e-6
"""What an env step with its update costs the machine more when its loss is interpreted."""


def preferred_back_end(env_steps: int, graphs: int) -> BackEnd:
    """Return the back end that trains ``graphs`` distinct graphs for ``env_steps`` env steps each in less time.

    Args:
        env_steps: Of one whole training.
        graphs: How many of them a fused program would hold, at least 1.
    """
    compiling = GRAPH_COMPILE_SECONDS + LOOP_COMPILE_SECONDS / max(graphs, 1)
    return "interpreter" if env_steps * INTERPRETER_SECONDS_PER_STEP < compiling else "fused"
