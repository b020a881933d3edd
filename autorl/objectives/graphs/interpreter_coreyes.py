"""The interpreter of the family ``network``: graphs are data, so one compiled program trains a whole population of them.

What the networks say of the batch's observations is computed first, where a program reads it. Programs that only combine such values, as
nearly all do, are then one small kernel (`autorl.objectives.graphs.network_values`). Those that compute with states as well, or apply a
network to a state that they computed, run here: two banks of registers, [rows, A, N] for values and [rows, D, N] for states, and one turn
of a loop for each node. Applying a network is one branch of the switch among the others, so where a branch is a branch (a member at a
time, on a CPU) it costs nothing to programs that do not take it. ``mean_batch`` and ``std_batch`` mix samples: so the backward loop runs in
the backward pass, with the slopes that the learner gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.objectives.graphs import functions_coreyes_jax as back_end
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.language_coreyes2021 import NETWORK
from autorl.objectives.graphs.network_branches import Tape, add, no_slopes, no_value, pull, pull_states, put, turn
from autorl.objectives.graphs.network_values import computed_values, slopes_of_values
from autorl.objectives.graphs.networks import Network
from autorl.objectives.graphs.program_coreyes import (
    APPLIED,
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

_FIRST_VALUE, _FIRST_STATE = len(VALUE_REGISTERS) + len(APPLIED), len(STATE_REGISTERS)
T = TypeVar("T")


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
        given = {name: registers[name] for name in self.needs}
        return _run(program, {**given, "applied": _applied(program, given)})


def _applied(program: NetworkProgram, registers: Mapping[str, Any]) -> Array:
    """Return what the networks say of the observations, float32 [4, A, N]; 0 where the program does not read it."""
    shape = registers["action"].shape
    found: list[Array] = []
    for read, (network, state) in zip(program.applied, APPLIED, strict=True):

        def apply(network: str = network, state: str = state) -> Array:
            return back_end.bounded(registers[network](registers[state]))

        # nearly all read the first one, which learners compute in any case
        found.append(apply() if not found else lax.cond(read, apply, lambda: jnp.zeros(shape, jnp.float32)))
    return jnp.stack(found)


@jax.custom_vjp
def _run(program: NetworkProgram, registers: Mapping[str, Any]) -> Array:
    return _forward(program, registers)[0]


def _forward(program: NetworkProgram, registers: Mapping[str, Any]) -> tuple[Array, Any]:
    def plain() -> Array:
        return computed_values(program, _values(registers), registers["constant"])

    def general() -> Array:
        return _computed(program, registers).values

    has_states = any(one.touches_states for one in _known(program))
    bank = lax.cond(program.plain, plain, general) if has_states else plain()
    return bank[_FIRST_VALUE + program.length - 1, 0], (program, registers, bank)


def _backward(kept: Any, cotangent: Array) -> tuple[None, dict[str, Any]]:
    program, registers, bank = kept

    def plain() -> tuple[Array, Any]:
        slopes = slopes_of_values(program, bank, registers["constant"], cotangent)
        return slopes[len(VALUE_REGISTERS) : _FIRST_VALUE], jax.tree.map(
            jnp.zeros_like, registers["q_param"].parameters
        )

    def general() -> tuple[Array, Any]:
        # computed once more: states are many numbers, and most programs would carry empty ones to here
        return _pulled(program, registers, cotangent)

    has_states = any(one.touches_states for one in _known(program))
    applied, gradient = lax.cond(program.plain, plain, general) if has_states else plain()
    slopes: dict[str, Any] = dict.fromkeys(registers)
    return None, {**slopes, "applied": applied, "q_param": Network(gradient, registers["q_param"].apply)}


_run.defvjp(_forward, _backward)


def _computed(program: NetworkProgram, registers: Mapping[str, Any]) -> Tape:
    """Return the registers and the values of all nodes."""
    known = _known(program)
    value_turns = [no_value if one.output is Type.STATE else turn(one) for one in known]
    state_turns = _Part.of(known, [one.output is Type.STATE for one in known], turn)

    def step(row: Array, tape: Tape) -> Tape:
        op, operands = program.op[row], (*_operands(program, row), registers, tape)
        values = put(tape.values, lax.switch(op, value_turns, *operands), _FIRST_VALUE + row)

        def put_state(states: Array) -> Array:
            return put(states, state_turns.run(op, *operands), _FIRST_STATE + row)

        return Tape(values, state_turns.update_if_in(op, put_state, tape.states))

    done: Tape = lax.fori_loop(0, program.length, step, _empty(program, registers))
    return done


def _pulled(program: NetworkProgram, registers: Mapping[str, Any], cotangent: Array) -> tuple[Array, Any]:
    """Return the slopes of what was applied to observations, [4, A, N], and of the online network's parameters by other ways."""
    tape = _computed(program, registers)
    known, network = _known(program), registers["q_param"]
    value_pulls = [no_slopes if one.touches_states else pull(one) for one in known]
    state_pulls = _Part.of(known, [one.touches_states and not one.network for one in known], pull_states)
    rest = _Part.of(known, [one.touches_states for one in known], turn)
    network_pulls = [_Part.of(known, [one.network == name for one in known], turn) for name in NETWORKS]

    def step(back: Array, carry: tuple[Tape, Any]) -> tuple[Tape, Any]:
        slopes, gradient = carry
        row = program.length - 1 - back
        op, inputs = program.op[row], program.inputs[row]
        operands = (*_operands(program, row), registers, tape)
        arriving = Tape(slopes.values[_FIRST_VALUE + row], slopes.states[_FIRST_STATE + row])
        first, second = lax.switch(op, value_pulls, arriving, *operands)
        slopes = slopes._replace(values=add(add(slopes.values, first, inputs[0]), second, inputs[1]))

        def pull_state(now: Tape) -> Tape:
            value, state, other = state_pulls.run(op, arriving, *operands)
            states = add(add(now.states, state, inputs[0]), other, inputs[1])
            return Tape(add(now.values, value, inputs[0]), states)

        def pull_online(now: tuple[Array, Any]) -> tuple[Array, Any]:
            tree, state = _pull_network(network, tape.states[inputs[0]], arriving.values)
            return add(now[0], state, inputs[0]), jax.tree.map(jnp.add, now[1], tree)

        def pull_target(now: Array) -> Array:
            _, state = _pull_network(registers["q_targ_param"], tape.states[inputs[0]], arriving.values)
            return add(now, state, inputs[0])

        def pull_rest(now: tuple[Tape, Any]) -> tuple[Tape, Any]:
            slopes = state_pulls.update_if_in(op, pull_state, now[0])
            states, gradient = network_pulls[0].update_if_in(op, pull_online, (slopes.states, now[1]))
            return slopes._replace(states=network_pulls[1].update_if_in(op, pull_target, states)), gradient

        # one question for the many instructions without states, three more for the others
        return rest.update_if_in(op, pull_rest, (slopes, gradient))

    start = jax.tree.map(jnp.zeros_like, tape)
    arriving = jnp.broadcast_to(cotangent, tape.values.shape[1:])
    start = start._replace(values=put(start.values, arriving, _FIRST_VALUE + program.length - 1))
    carry = (start, jax.tree.map(jnp.zeros_like, network.parameters))
    slopes, gradient = lax.fori_loop(0, program.length, step, carry)
    return slopes.values[len(VALUE_REGISTERS) : _FIRST_VALUE], gradient


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


def _operands(program: NetworkProgram, row: Array) -> tuple[Array, Array, Array]:
    return program.inputs[row], program.constants[row], program.positions[row]


def _values(registers: Mapping[str, Any]) -> Array:
    """Return the value registers, float32 [7, A, N]."""
    rows = [jnp.broadcast_to(registers[name], registers["action"].shape) for name in VALUE_REGISTERS]
    return jnp.concatenate([jnp.stack(rows), registers["applied"]])


def _empty(program: NetworkProgram, registers: Mapping[str, Any]) -> Tape:
    nodes, values = program.signature.nodes, _values(registers)
    states = jnp.stack([registers[name] for name in STATE_REGISTERS])
    return Tape(
        jnp.concatenate([values, jnp.zeros((nodes, *values.shape[1:]), jnp.float32)]),
        jnp.concatenate([states, jnp.zeros((nodes, *states.shape[1:]), jnp.float32)]),
    )


def _pull_network(network: Network, states: Array, slope: Array) -> tuple[Any, Array]:
    """Return the slopes of a network's parameters and of its states."""
    _, back = jax.vjp(lambda tree, x: back_end.bounded(network.apply(tree, x)), network.parameters, states)
    tree, slopes = back(slope)
    return tree, slopes
