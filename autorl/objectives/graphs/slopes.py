"""A loss that computes its slopes together with its value, for code that jax should not differentiate itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
from jax import Array

from autorl.objectives.graphs.language import load_language

Registers = Mapping[str, Any]
Slopes = dict[str, Array]


def differentiable_registers(language: str, family: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of ``names`` whose slopes flow into the agent."""
    able = {register.name for register in load_language(language).registers(family) if register.differentiable}
    return tuple(name for name in names if name in able)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def loss_with_slopes(
    loss: Callable[[Any, Registers], Array],
    loss_and_slopes: Callable[[Any, Registers], tuple[Array, Slopes]],
    operands: Any,
    registers: Registers,
) -> Array:
    """Return ``loss(operands, registers)`` [N], whose derivative is what ``loss_and_slopes`` says.

    Samples do not mix, so the slope of sample n's loss in sample n's column of a register is all there is to know.

    Args:
        loss: The value alone.
        loss_and_slopes: The value, and d loss_n / d register[..., n] for the registers that have one (same shapes as they).
        operands: A pytree that nothing is differentiated with respect to.
        registers: Values by name.
    """
    return loss(operands, registers)


def _forward(loss: Any, loss_and_slopes: Any, operands: Any, registers: Registers) -> tuple[Array, Any]:
    value, slopes = loss_and_slopes(operands, registers)
    return value, {name: slopes.get(name) for name in registers}


def _backward(loss: Any, loss_and_slopes: Any, slopes: Mapping[str, Any], cotangent: Array) -> tuple[None, Any]:
    def share(slope: Array) -> Array:
        return slope * (cotangent[None] if slope.ndim == 2 else cotangent)

    return None, {name: None if slope is None else share(slope) for name, slope in slopes.items()}


loss_with_slopes.defvjp(_forward, _backward)
