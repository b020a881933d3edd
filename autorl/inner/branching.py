"""A branch that changes large arrays in place.

``lax.cond`` copies what a branch passes through unchanged: for a replay buffer of 100,000 transitions that would cost far
more than the branch. A loop of no or one turn changes its operand in place, and skips the work just as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax.numpy as jnp
from jax import Array, lax

T = TypeVar("T")


def update_if(condition: Array, function: Callable[[T], T], operand: T) -> T:
    """Return ``function(operand)`` where ``condition`` (bool scalar) holds, else ``operand``, without a copy."""
    _, result = lax.while_loop(
        lambda carry: carry[0],
        lambda carry: (jnp.zeros_like(carry[0]), function(carry[1])),
        (condition, operand),
    )
    return result
