"""The interpreter of the family ``network``: graphs are data, so one compiled program trains a whole population of them.

Two banks of registers, [rows, A, N] for values and [rows, D, N] for states; one turn of a loop for each live node. Applying a
network is one branch of the switch among the others, so where a branch is a branch (a member at a time, on a CPU) it costs nothing
to programs that do not take it. ``mean_batch`` and ``std_batch`` mix samples: so the backward loop runs in the backward pass, with the
slopes that the learner gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.objectives.graphs import functions_coreyes_jax as back_end
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.language_coreyes2021 import NETWORK
from autorl.objectives.graphs.networks import Network
from autorl.objectives.graphs.program_coreyes import (
    NETWORKS,
    STATE_REGISTERS,
    VALUE_REGISTERS,
    Instruction,
    NetworkProgram,
    NetworkSignature,
    instructions,
    pack_network,
)
from autorl.objectives.graphs.types import Type

_FIRST_VALUE, _FIRST_STATE = len(VALUE_REGISTERS), len(STATE_REGISTERS)
T = TypeVar("T")


class Tape(NamedTuple):
    """What was computed, or the slopes of it: float32 [3 + nodes, A, N] and [2 + nodes, D, N]. Floats fill all A rows."""

    values: Array
    states: Array


@partial(jax.tree_util.register_dataclass, data_fields=["program"], meta_fields=[])
@dataclass(frozen=True)
class InterpretedNetworkLoss:
    """A graph of the family ``network`` as data; an `Objective`. Losses of one signature share their compiled code.

    Attributes:
        program: The packed graph.
    """

    program: NetworkProgram

    @classmethod
    def of(cls, graph: Graph, signature: NetworkSignature | None = None) -> InterpretedNetworkLoss:
        """Return the loss that ``graph`` says, for the interpreter of ``signature`` (default: the smallest).

        Raises:
            GraphError: The graph is not well formed, of another family, reads no register, or is not covered.
        """
        return cls(pack_network(graph, signature or NetworkSignature.covering([graph])))

    @property
    def family(self) -> str:
        """Register family."""
        return "network"

    @property
    def needs(self) -> tuple[str, ...]:
        """All registers of the family: which of them a program reads is data."""
        return tuple(register.name for register in NETWORK)

    def per_sample(self, registers: Mapping[str, Any]) -> Array:
        """Return the loss of each sample, float32 [N]; see `network_registers` for what ``registers`` hold."""
        program = jax.tree.map(jnp.asarray, self.program)
        return _run(program, {name: registers[name] for name in self.needs})


@jax.custom_vjp
def _run(program: NetworkProgram, registers: Mapping[str, Any]) -> Array:
    return _forward(program, registers)[0]


def _forward(program: NetworkProgram, registers: Mapping[str, Any]) -> tuple[Array, Any]:
    known = _known(program)
    value_turns = [_no_value if one.output is Type.STATE else _turn(one) for one in known]
    state_turns = _Part.of(known, [one.output is Type.STATE for one in known], _turn)

    def step(row: Array, tape: Tape) -> Tape:
        op, operands = program.op[row], (program.inputs[row], program.constants[row], row, registers, tape)
        values = _put(tape.values, lax.switch(op, value_turns, *operands), _FIRST_VALUE + row)

        def put_state(states: Array) -> Array:
            return _put(states, state_turns.run(op, *operands), _FIRST_STATE + row)

        return Tape(values, state_turns.update_if_in(op, put_state, tape.states))

    tape = lax.fori_loop(0, program.length, step, _empty(program, registers))
    loss = tape.values[_FIRST_VALUE + program.length - 1, 0]
    return loss, (program, registers, tape)


def _backward(kept: Any, cotangent: Array) -> tuple[None, dict[str, Any]]:
    program, registers, tape = kept
    known, network = _known(program), registers["q_param"]
    value_pulls = [_no_slopes if _touches_states(one) else _pull(one) for one in known]
    state_pulls = _Part.of(known, [_touches_states(one) and not one.network for one in known], _pull_states)
    rest = _Part.of(known, [_touches_states(one) for one in known], _turn)
    network_pulls = [_Part.of(known, [one.network == name for one in known], _turn) for name in NETWORKS]

    def step(turn: Array, carry: tuple[Tape, Any]) -> tuple[Tape, Any]:
        slopes, gradient = carry
        row = program.length - 1 - turn
        op, inputs = program.op[row], program.inputs[row]
        operands = (inputs, program.constants[row], row, registers, tape)
        arriving = Tape(slopes.values[_FIRST_VALUE + row], slopes.states[_FIRST_STATE + row])
        first, second = lax.switch(op, value_pulls, arriving, *operands)
        slopes = slopes._replace(values=_add(_add(slopes.values, first, inputs[0]), second, inputs[1]))

        def pull_states(now: Tape) -> Tape:
            value, state, other = state_pulls.run(op, arriving, *operands)
            states = _add(_add(now.states, state, inputs[0]), other, inputs[1])
            return Tape(_add(now.values, value, inputs[0]), states)

        def pull_online(now: tuple[Array, Any]) -> tuple[Array, Any]:
            tree, state = _pull_network(network, tape.states[inputs[0]], arriving.values)
            return _add(now[0], state, inputs[0]), jax.tree.map(jnp.add, now[1], tree)

        def pull_target(now: Array) -> Array:
            _, state = _pull_network(registers["q_targ_param"], tape.states[inputs[0]], arriving.values)
            return _add(now, state, inputs[0])

        def pull_rest(now: tuple[Tape, Any]) -> tuple[Tape, Any]:
            slopes = state_pulls.update_if_in(op, pull_states, now[0])
            states, gradient = network_pulls[0].update_if_in(op, pull_online, (slopes.states, now[1]))
            return slopes._replace(states=network_pulls[1].update_if_in(op, pull_target, states)), gradient

        # one question for the many instructions without states, three more for the others
        return rest.update_if_in(op, pull_rest, (slopes, gradient))

    start = jax.tree.map(jnp.zeros_like, tape)
    arriving = jnp.broadcast_to(cotangent, tape.values.shape[1:])
    start = start._replace(values=_put(start.values, arriving, _FIRST_VALUE + program.length - 1))
    carry = (start, jax.tree.map(jnp.zeros_like, network.parameters))
    _, gradient = lax.fori_loop(0, program.length, step, carry)
    slopes: dict[str, Any] = dict.fromkeys(registers)
    return None, {**slopes, "q_param": Network(gradient, network.apply)}


_run.defvjp(_forward, _backward)


@dataclass(frozen=True)
class _Part:
    """Some of the instructions: a switch of their own, taken only for them."""

    branches: tuple[Callable[..., Any], ...]
    places: tuple[int, ...]  # of each known instruction among the branches, -1 if it is not

    @classmethod
    def of(
        cls, known: list[Instruction], wanted: list[bool], branch: Callable[[Instruction], Callable[..., Any]]
    ) -> _Part:
        places = tuple(sum(wanted[:i]) if want else -1 for i, want in enumerate(wanted))
        return cls(tuple(branch(one) for one, want in zip(known, wanted, strict=True) if want), places)

    def run(self, op: Array, *operands: Any) -> Any:
        return lax.switch(jnp.asarray(self.places)[op], self.branches, *operands)

    def update_if_in(self, op: Array, function: Callable[[T], T], operand: T) -> T:
        """Return ``function(operand)`` if ``op`` is one of them, else ``operand``, changed in place (`lax.cond` would copy)."""
        if not self.branches:
            return operand
        _, result = lax.while_loop(
            lambda carry: carry[0],
            lambda carry: (jnp.zeros_like(carry[0]), function(carry[1])),
            (jnp.asarray(self.places)[op] >= 0, operand),
        )
        return result


def _known(program: NetworkProgram) -> list[Instruction]:
    return [instructions()[name] for name in program.signature.instructions]


def _touches_states(one: Instruction) -> bool:
    return Type.STATE in (*one.inputs, one.output)


def _empty(program: NetworkProgram, registers: Mapping[str, Any]) -> Tape:
    shape = registers["action"].shape
    nodes = program.signature.nodes
    values = [jnp.broadcast_to(registers[name], shape)[None] for name in VALUE_REGISTERS]
    states = [registers[name][None] for name in STATE_REGISTERS]
    return Tape(
        jnp.concatenate([*values, jnp.zeros((nodes, *shape), jnp.float32)]),
        jnp.concatenate([*states, jnp.zeros((nodes, *states[0].shape[1:]), jnp.float32)]),
    )


def _read(one: Instruction, inputs: Array, row: Array, registers: Mapping[str, Any], tape: Tape) -> list[Any]:
    """Return the inputs of an instruction: floats as [1, N]."""
    found: list[Any] = []
    for slot, kind in enumerate(one.inputs):
        if kind is Type.CONSTANT:
            found.append(back_end.folded(registers["constant"], row))
        elif kind is Type.STATE:
            found.append(tape.states[inputs[slot]])
        else:
            value = tape.values[inputs[slot]]
            found.append(value[:1] if kind is Type.FLOAT else value)
    return found


def _applied(one: Instruction, constant: Array, *read: Any) -> Array:
    return back_end.bounded(getattr(back_end, one.function)(constant, *read))


def _turn(one: Instruction) -> Callable[..., Array]:
    """Return the forward branch of an instruction: a row of the bank of its output."""

    def turn(inputs: Array, constant: Array, row: Array, registers: Mapping[str, Any], tape: Tape) -> Array:
        read = _read(one, inputs, row, registers, tape)
        found = _applied(one, constant, *([registers[one.network]] if one.network else []), *read)
        return jnp.broadcast_to(found, (tape.states if one.output is Type.STATE else tape.values).shape[1:])

    return turn


def _no_value(*operands: Any) -> Array:
    return jnp.zeros_like(operands[-1].values[0])


def _slopes(one: Instruction, arriving: Tape, *operands: Any) -> list[Array]:
    """Return the slopes of an instruction's inputs, as wide as their banks; none for a source of constants."""
    inputs, constant, row, registers, tape = operands
    if Type.CONSTANT in one.inputs:
        return []
    read = _read(one, inputs, row, registers, tape)
    _, pull = jax.vjp(partial(_applied, one, constant), *read)
    slope = arriving.states if one.output is Type.STATE else arriving.values
    wide = {True: tape.states.shape[1:], False: tape.values.shape[1:]}
    found = pull(slope[:1] if one.output is Type.FLOAT else slope)
    return [jnp.broadcast_to(s, wide[kind is Type.STATE]) for s, kind in zip(found, one.inputs, strict=True)]


def _pull(one: Instruction) -> Callable[..., tuple[Array, Array]]:
    """Return the backward branch of an instruction without states: the slopes of its two inputs."""

    def pull(arriving: Tape, *operands: Any) -> tuple[Array, Array]:
        nothing = jnp.zeros_like(arriving.values)
        first, second, *_ = [*_slopes(one, arriving, *operands), nothing, nothing]
        return first, second

    return pull


def _no_slopes(arriving: Tape, *operands: Any) -> tuple[Array, Array]:
    return jnp.zeros_like(arriving.values), jnp.zeros_like(arriving.values)


def _pull_states(one: Instruction) -> Callable[..., tuple[Array, Array, Array]]:
    """Return the backward branch of an instruction with states: slopes of its first input, if a value; then as states, of both."""

    def pull(arriving: Tape, *operands: Any) -> tuple[Array, Array, Array]:
        found = _slopes(one, arriving, *operands)
        value, state = jnp.zeros_like(arriving.values), jnp.zeros_like(arriving.states)
        if one.inputs[0] is not Type.STATE:
            return found[0], state, found[1]
        return value, found[0], found[1] if len(found) == 2 else state

    return pull


def _pull_network(network: Network, states: Array, slope: Array) -> tuple[Any, Array]:
    """Return the slopes of a network's parameters and of its states."""
    _, pull = jax.vjp(lambda tree, x: back_end.bounded(network.apply(tree, x)), network.parameters, states)
    tree, slopes = pull(slope)
    return tree, slopes


def _put(bank: Array, value: Array, row: Array) -> Array:
    return lax.dynamic_update_index_in_dim(bank, value, row, axis=0)


def _add(bank: Array, value: Array, row: Array) -> Array:
    return _put(bank, lax.dynamic_index_in_dim(bank, row, keepdims=False) + value, row)
