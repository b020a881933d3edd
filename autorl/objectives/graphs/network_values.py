"""The interpreter of the family ``network`` for programs whose nodes touch no states: one kernel forward, one back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, custom_batching, lax
from jax.experimental.xla_metadata import set_xla_metadata

from autorl.objectives.graphs.interpreter import LARGEST_ROW, ONE_KERNEL
from autorl.objectives.graphs.network_branches import Tape, add, pull, put, row_of, turn
from autorl.objectives.graphs.program_coreyes import NetworkProgram, NetworkSignature, instructions

Run = Callable[..., Array]


def computed_values(program: NetworkProgram, values: Array, words: Array) -> Array:
    """Return the registers and, after them, the values of the nodes, float32 [value registers + nodes, A, N].

    Args:
        program: One that is ``plain``, with at least one node.
        values: float32 [value registers, A, N].
        words: uint32 [2]; random words of this update.
    """
    return _in_one_kernel(partial(_up, program.signature), values)(*_encoded(program, words), values)


def slopes_of_values(program: NetworkProgram, bank: Array, words: Array, cotangent: Array) -> Array:
    """Return the slopes of all rows of ``bank`` (`computed_values`) for those of the losses, ``cotangent`` [N]."""
    arguments = (*_encoded(program, words), bank, cotangent)
    return _in_one_kernel(partial(_down, program.signature), bank)(*arguments)


def _up(signature: NetworkSignature, code: Array, length: Array, values: Array) -> Array:
    first = len(values)
    branches = [turn(one) for one in _plain(signature)]

    def step(row: Array, bank: Array) -> Array:
        op, operands = _decoded(code[row])
        return put(bank, lax.switch(op, branches, *operands, Tape(bank, None)), first + row)

    room = jnp.zeros((signature.nodes, *values.shape[1:]), jnp.float32)
    done: Array = lax.fori_loop(0, length, step, jnp.concatenate([values, room]))
    return done


def _down(signature: NetworkSignature, code: Array, length: Array, bank: Array, cotangent: Array) -> Array:
    first, tape = len(bank) - signature.nodes, Tape(bank, None)
    branches = [pull(one) for one in _plain(signature)]

    def step(turn: Array, slopes: Array) -> Array:
        row = length - 1 - turn
        op, operands = _decoded(code[row])
        arriving = Tape(row_of(slopes, first + row), None)
        shares = lax.switch(op, branches, arriving, *operands, tape)
        return add(add(slopes, shares[0], operands[0][0]), shares[1], operands[0][1])

    start = put(jnp.zeros_like(bank), jnp.broadcast_to(cotangent, bank.shape[1:]), first + length - 1)
    done: Array = lax.fori_loop(0, length, step, start)
    return done


def _plain(signature: NetworkSignature) -> list[Any]:
    known = [instructions()[name] for name in signature.instructions]
    return [one for one in known if not one.touches_states]


def _encoded(program: NetworkProgram, words: Array) -> tuple[Array, Array]:
    """Return all about the nodes in one array, int32 [nodes, 7], and their number; see `autorl.objectives.graphs.interpreter._encoded`."""
    known = [instructions()[name] for name in program.signature.instructions]
    places = [sum(not other.touches_states for other in known[:i]) for i in range(len(known))]
    bits = lax.bitcast_convert_type(jnp.asarray(program.constants, jnp.float32), jnp.int32)
    random = jnp.broadcast_to(lax.bitcast_convert_type(words, jnp.int32), (len(program.op), 2))
    columns = jnp.stack([jnp.asarray(places, jnp.int32)[program.op], bits, jnp.asarray(program.positions)], axis=1)
    return jnp.concatenate([columns, program.inputs, random], axis=1), jnp.asarray(program.length)


def _decoded(line: Array) -> tuple[Array, tuple[Any, ...]]:
    """Return the branch of a node, and its operands but the tape."""
    constant = lax.bitcast_convert_type(line[1], jnp.float32)
    words = lax.bitcast_convert_type(line[5:7], jnp.uint32)
    return line[0], (line[3:5], constant, line[2], {"constant": words})


def _in_one_kernel(run: Run, values: Array) -> Run:
    """Return ``run``, emitted as one kernel where lanes run one by one on a CPU and a row is small."""
    if jax.default_backend() != "cpu" or values[0].size * values.dtype.itemsize > LARGEST_ROW:
        return run

    @custom_batching.custom_vmap
    def call(*arguments: Array) -> Array:
        with set_xla_metadata(**ONE_KERNEL):
            return jax.jit(lambda *some: run(*some), inline=False)(*arguments)

    @call.def_vmap
    def side_by_side(size: int, batched: Any, *arguments: Array) -> tuple[Array, bool]:
        return jax.vmap(run, in_axes=tuple(0 if one else None for one in batched), axis_size=size)(*arguments), True

    return call
