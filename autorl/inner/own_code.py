"""Losses that share a program, each with its own code for all that an update does with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
from jax import lax

from autorl.objectives.protocol import Fused, Objective

T = TypeVar("T", bound=Any)


def with_own_code(objective: Objective, run: Callable[[Objective], T]) -> T:
    """Return ``run(objective)``; on a CPU, of losses fused into one program, each has ``run`` compiled for itself.

    One branch an update instead of one wherever registers, loss and slopes are computed: such trainings are as fast as if each loss had
    a program (``benchmarks/loss_graphs.py``). On an accelerator lanes are vmapped, and all branches of all lanes would run: there only
    the loss itself is a branch.

    Args:
        objective: Of a population.
        run: From a loss to arrays of the same shapes for every loss.
    """
    if not isinstance(objective, Fused) or jax.default_backend() != "cpu":
        return run(objective)
    which, losses = objective.members()
    found: T = lax.switch(which, [partial(run, loss) for loss in losses])
    return found
