"""Loss graphs as data: one compiled program for every graph of a signature.

Values lie on a tape: a row [A, N] for each register and node, floats repeated in every row of A. One loop walks up the live nodes
and writes their values, a second one walks down and adds up the slopes, each with one branch for each operator; nothing is
differentiated by jax but the operators themselves. Both loops run as many turns as the graph has live nodes, and on a CPU the lanes of
a population run one by one, so a branch is a real branch: only live nodes cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, custom_batching, lax
from jax.experimental.xla_metadata import set_xla_metadata

from autorl.objectives.graphs.compiled import functions, samples
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.language import LIMIT, load_language
from autorl.objectives.graphs.program import Program, Signature, pack
from autorl.objectives.graphs.slopes import Slopes, differentiable_registers, loss_with_slopes

Branch = Callable[..., Any]

ONE_KERNEL = {"xla_cpu_small_call": "true", "inlineable": "false"}
"""What XLA attaches to small loops itself: it then emits them as one function, not as a list of kernels to be called one by one.

On arrays as small as a batch of losses the calls are the cost; with this an interpreted update takes 1.1 times a hand-written one's time,
without it 1.4 times. A version of XLA that does not know these attributes ignores them."""
LARGEST_ROW = 8 * 1024
"""Bytes of a tape's row up to which one kernel is made. At 16 KiB XLA hands reductions to a library, which cannot be called from within
a kernel; and there the calls cost little beside the arithmetic."""


@partial(jax.tree_util.register_dataclass, data_fields=["program"], meta_fields=[])
@dataclass(frozen=True)
class InterpretedLoss:
    """A graph run by the interpreter; an `Objective`.

    Attributes:
        program: The graph as arrays; all of it data but its signature.
    """

    program: Program

    @classmethod
    def of(cls, graph: Graph, signature: Signature | None = None) -> InterpretedLoss:
        """Return the loss that ``graph`` says, to be run with others of ``signature`` (the graph's own when None).

        Raises:
            GraphError: The signature does not cover the graph.
        """
        return cls(pack(graph, signature or Signature.covering([graph])))

    @property
    def family(self) -> str:
        """Register family."""
        return self.program.signature.family

    @property
    def needs(self) -> tuple[str, ...]:
        """Registers of the signature, whichever of them this graph reads."""
        return self.program.signature.registers

    def reads(self) -> dict[str, Array]:
        """Return for each of `needs` whether this graph reads it, bool scalars."""
        live = jnp.arange(self.program.signature.nodes) < self.program.length
        return {
            name: jnp.any((self.program.inputs == i) & live[:, None])
            for i, name in enumerate(self.program.signature.registers)
        }

    def per_sample(self, registers: Mapping[str, Any]) -> Array:
        """Return the loss of each sample, float32 [N]."""
        needed = {name: jnp.asarray(registers[name], jnp.float32) for name in self.needs}
        loss = loss_with_slopes(_loss, _loss_and_slopes, self.program, needed)
        return jnp.broadcast_to(loss, (samples(registers),))


def _loss(program: Program, registers: Mapping[str, Array]) -> Array:
    return _run(program, _tape(program, registers), slopes=False)[0]


def _loss_and_slopes(program: Program, registers: Mapping[str, Array]) -> tuple[Array, Slopes]:
    signature = program.signature
    loss, rows = _run(program, _tape(program, registers), slopes=True)
    assert rows is not None

    def narrow(name: str, row: Array) -> Array:
        # a float register was repeated for every action, a scalar for every sample: their slopes are the sums
        shape = registers[name].shape
        return row if len(shape) == 2 else jnp.sum(row, axis=0) if len(shape) == 1 else jnp.sum(row)

    names = differentiable_registers(signature.language, signature.family, signature.registers)
    return loss, {name: narrow(name, rows[signature.registers.index(name)]) for name in names}


def _tape(program: Program, registers: Mapping[str, Array]) -> Array:
    """Return [registers + nodes, A, N]: the registers, then room for the nodes."""
    actions = max([value.shape[0] for value in registers.values() if value.ndim == 2], default=1)
    shape = (actions, samples(registers))
    rows = [jnp.broadcast_to(registers[name], shape) for name in program.signature.registers]
    return jnp.concatenate([jnp.stack(rows), jnp.zeros((program.signature.nodes, *shape), jnp.float32)])


def _last(program: Program) -> Array:
    """Return the row of the loss."""
    last: Array = len(program.signature.registers) + program.length - 1
    return last


def _run(program: Program, tape: Array, slopes: bool) -> tuple[Array, Array | None]:
    """Return the loss [N] and, if ``slopes``, those of the registers [registers, A, N]."""
    count = len(program.signature.registers)

    def run(program: Program, tape: Array, *, dense: bool) -> tuple[Array, Array | None]:
        tape = _up(program, tape, dense)
        loss = _row(tape, _last(program))[0]
        return loss, _down(program, tape, dense)[:count] if slopes else None

    small = jax.default_backend() == "cpu" and tape[0].size * tape.dtype.itemsize <= LARGEST_ROW
    found: tuple[Array, Array | None] = _lane_by_lane(run, small)(program, tape)
    return found


def _up(program: Program, tape: Array, dense: bool) -> Array:
    """Return the tape with the values of the live nodes."""
    first = len(program.signature.registers)
    branches = [_value_branch(f, arity, tape.shape[1:]) for f, arity in _operators(program.signature)]

    def step(i: Array, tape: Array) -> Array:
        inputs = [_row(tape, program.inputs[i, j]) for j in range(program.inputs.shape[1])]
        value = lax.switch(program.op[i], branches, program.constants[i], *inputs)
        return lax.dynamic_update_index_in_dim(tape, value, first + i, 0)

    done: Array = lax.fori_loop(0, _turns(program, dense), step, tape)
    return done


def _down(program: Program, tape: Array, dense: bool) -> Array:
    """Return the slopes of all rows of the tape; a float's is the sum over its row's actions."""
    first, shape = len(program.signature.registers), tape.shape[1:]
    branches = [_slope_branch(f, arity, shape) for f, arity in _operators(program.signature)]
    once = jnp.arange(shape[0])[:, None] == 0
    turns = _turns(program, dense)

    def step(turn: Array, slopes: Array) -> Array:
        i = turns - 1 - turn
        inputs = [_row(tape, program.inputs[i, j]) for j in range(program.inputs.shape[1])]
        slope = _row(slopes, first + i)
        # what saturates is the slope of a float as a whole, so it is summed first, and kept in the first action's row
        slope = jnp.where(program.is_list[i], slope, jnp.where(once, jnp.sum(slope, axis=0, keepdims=True), 0.0))
        shares = lax.switch(program.op[i], branches, program.constants[i], slope, *inputs)
        for j, share in enumerate(shares):
            share = jnp.where(i < program.length, share, 0.0) if dense else share
            slopes = _add(slopes, program.inputs[i, j], share, dense)
        return slopes

    loss = jnp.broadcast_to(jnp.where(once, 1.0, 0.0), shape)
    start = lax.dynamic_update_index_in_dim(jnp.zeros_like(tape), loss, _last(program), 0)
    done: Array = lax.fori_loop(0, turns, step, start)
    return done


def _turns(program: Program, dense: bool) -> Any:
    """Return how often a loop turns: for the live nodes, or as often for each of many graphs side by side."""
    return program.signature.nodes if dense else program.length


def _row(tape: Array, row: Array) -> Array:
    found: Array = lax.dynamic_index_in_dim(tape, row, 0, keepdims=False)
    return found


def _add(tape: Array, row: Array, share: Array, dense: bool) -> Array:
    if dense:  # rows that differ from graph to graph would make a scatter of this, which is slower
        return tape + jnp.where(jnp.arange(tape.shape[0])[:, None, None] == row, share, 0.0)
    return lax.dynamic_update_index_in_dim(tape, _row(tape, row) + share, row, 0)


def _operators(signature: Signature) -> list[tuple[Branch, int]]:
    table, module = load_language(signature.language), functions(signature.language, "jax")
    return [(getattr(module, name), table.operator(name).arity) for name in signature.operators]


def _value_branch(function: Branch, arity: int, shape: tuple[int, ...]) -> Branch:
    """Return (constant, inputs) -> the node's value, [A, N]."""

    def branch(constant: Array, *inputs: Array) -> Array:
        return jnp.broadcast_to(jnp.clip(function(constant, *inputs[:arity]), -LIMIT, LIMIT), shape)

    return branch


def _slope_branch(function: Branch, arity: int, shape: tuple[int, ...]) -> Branch:
    """Return (constant, the node's slope, inputs) -> slopes of the inputs, each [A, N]; `bounded` included."""

    def branch(constant: Array, slope: Array, *inputs: Array) -> tuple[Array, ...]:
        nothing = [jnp.zeros(shape, jnp.float32)] * (len(inputs) - arity)
        if arity == 0:
            return tuple(nothing)
        value, pull = jax.vjp(lambda *some: function(constant, *some), *inputs[:arity])
        if value.shape != shape:  # one number for all actions
            slope = jnp.sum(slope, axis=0, keepdims=True)
        slope = jnp.where(jnp.abs(value) > LIMIT, 0.0, jnp.clip(slope, -LIMIT, LIMIT))
        return (*pull(slope), *nothing)

    return branch


def _lane_by_lane(run: Callable[..., Any], small: bool) -> Callable[[Program, Array], Any]:
    """Return ``run`` for one lane, as one kernel if ``small``; under a vmap, the form for many graphs side by side."""

    @custom_batching.custom_vmap
    def call(program: Program, tape: Array) -> Any:
        if not small:
            return run(program, tape, dense=False)

        def kernel(code: Array, length: Array, tape: Array) -> Any:
            return run(_decoded(code, length, program.signature), tape, dense=False)

        with set_xla_metadata(**ONE_KERNEL):
            return jax.jit(kernel, inline=False)(_encoded(program), program.length, tape)

    @call.def_vmap
    def side_by_side(size: int, batched: Any, *arguments: Any) -> tuple[Any, Any]:
        axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, batched)
        found = jax.vmap(partial(run, dense=True), in_axes=axes, axis_size=size)(*arguments)
        return found, jax.tree.map(lambda _: True, found)

    return call


def _encoded(program: Program) -> Array:
    """Return all about the nodes in one array, int32 [nodes, columns].

    XLA cannot emit a kernel with an argument that nothing in it reads (it ends the process), and which of a program's arrays are read
    depends on the operators. Of this array some column always is.
    """
    constants = lax.bitcast_convert_type(jnp.asarray(program.constants, jnp.float32), jnp.int32)
    columns = [program.op, program.is_list.astype(jnp.int32), constants]
    return jnp.concatenate([jnp.stack(columns, axis=1), program.inputs], axis=1)


def _decoded(code: Array, length: Array, signature: Signature) -> Program:
    constants = lax.bitcast_convert_type(code[:, 2], jnp.float32)
    return Program(code[:, 0], code[:, 3:], constants, code[:, 1] > 0, length, signature)
