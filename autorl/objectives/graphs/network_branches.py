"""What one instruction of the family ``network`` does, forward and backward: the branches of its interpreter's switches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.objectives.graphs import functions_coreyes_jax as back_end
from autorl.objectives.graphs.program_coreyes import Instruction
from autorl.objectives.graphs.types import Type


class Tape(NamedTuple):
    """What was computed, or the slopes of it: float32 [value registers + nodes, A, N] and [state registers + nodes, D, N].

    Floats fill all A rows; where only values are at stake there are no states.
    """

    values: Array
    states: Any


def read(one: Instruction, inputs: Array, position: Array, registers: Mapping[str, Any], tape: Tape) -> list[Any]:
    """Return the inputs of an instruction: floats as [1, N]."""
    found: list[Any] = []
    for slot, kind in enumerate(one.inputs):
        if kind is Type.CONSTANT:
            found.append(back_end.folded(registers["constant"], position))
        elif kind is Type.STATE:
            found.append(row_of(tape.states, inputs[slot]))
        else:
            value = row_of(tape.values, inputs[slot])
            found.append(value[:1] if kind is Type.FLOAT else value)
    return found


def _applied(one: Instruction, constant: Array, *inputs: Any) -> Array:
    return back_end.bounded(getattr(back_end, one.function)(constant, *inputs))


def turn(one: Instruction) -> Callable[..., Array]:
    """Return the forward branch of an instruction: a row of the bank of its output."""

    def forward(inputs: Array, constant: Array, position: Array, registers: Mapping[str, Any], tape: Tape) -> Array:
        given = read(one, inputs, position, registers, tape)
        found = _applied(one, constant, *([registers[one.network]] if one.network else []), *given)
        return jnp.broadcast_to(found, (tape.states if one.output is Type.STATE else tape.values).shape[1:])

    return forward


def no_value(*operands: Any) -> Array:
    """Return a row of values, all 0."""
    return jnp.zeros_like(operands[-1].values[0])


def _slopes(one: Instruction, arriving: Tape, *operands: Any) -> list[Array]:
    """Return the slopes of an instruction's inputs, as wide as their banks; none for a source of constants."""
    inputs, constant, position, registers, tape = operands
    if Type.CONSTANT in one.inputs:
        return []
    given = read(one, inputs, position, registers, tape)
    _, back = jax.vjp(partial(_applied, one, constant), *given)
    slope = arriving.states if one.output is Type.STATE else arriving.values
    found = back(slope[:1] if one.output is Type.FLOAT else slope)
    banks = [tape.states if kind is Type.STATE else tape.values for kind in one.inputs]
    return [jnp.broadcast_to(s, bank.shape[1:]) for s, bank in zip(found, banks, strict=True)]


def pull(one: Instruction) -> Callable[..., tuple[Array, Array]]:
    """Return the backward branch of an instruction without states: the slopes of its two inputs."""

    def backward(arriving: Tape, *operands: Any) -> tuple[Array, Array]:
        nothing = jnp.zeros_like(arriving.values)
        first, second, *_ = [*_slopes(one, arriving, *operands), nothing, nothing]
        return first, second

    return backward


def no_slopes(arriving: Tape, *operands: Any) -> tuple[Array, Array]:
    """Return two rows of values, all 0."""
    return jnp.zeros_like(arriving.values), jnp.zeros_like(arriving.values)


def pull_states(one: Instruction) -> Callable[..., tuple[Array, Array, Array]]:
    """Return the backward branch of an instruction with states: slopes of its first input, if a value; then as states, of both."""

    def backward(arriving: Tape, *operands: Any) -> tuple[Array, Array, Array]:
        found = _slopes(one, arriving, *operands)
        value, state = jnp.zeros_like(arriving.values), jnp.zeros_like(arriving.states)
        if one.inputs[0] is not Type.STATE:
            return found[0], state, found[1]
        return value, found[0], found[1] if len(found) == 2 else state

    return backward


def row_of(bank: Array, row: Array) -> Array:
    """Return one row of a bank."""
    found: Array = lax.dynamic_index_in_dim(bank, row, keepdims=False)
    return found


def put(bank: Array, value: Array, row: Array) -> Array:
    """Return the bank with another row."""
    return lax.dynamic_update_index_in_dim(bank, value, row, axis=0)


def add(bank: Array, value: Array, row: Array) -> Array:
    """Return the bank with ``value`` added to a row."""
    return put(bank, row_of(bank, row) + value, row)
