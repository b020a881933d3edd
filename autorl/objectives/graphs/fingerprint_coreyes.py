"""What losses of the family ``network`` do, as names: by the slopes of a network's parameters, or as Co-Reyes et al. (2021) did.

A graph may apply the network to any state, so there is no list of outputs to take slopes of; those of the parameters of one small
fixed network, on a few fixed batches, stand for them. Random constants are those of fixed words, by the node's position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from autorl.keys import derive, generator
from autorl.objectives.graphs.compiled_coreyes import loss_by
from autorl.objectives.graphs.fingerprint import BLOCK, Fingerprint, _rounded
from autorl.objectives.graphs.graph import Graph, GraphError
from autorl.objectives.graphs.interpreter_coreyes import InterpretedNetworkLoss
from autorl.objectives.graphs.language import LIMIT
from autorl.objectives.graphs.language_coreyes2021 import NETWORK
from autorl.objectives.graphs.networks import network_registers
from autorl.objectives.graphs.program_coreyes import NetworkProgram, NetworkSignature, instructions, pack_network

Arrays = dict[str, Any]
_STATE, _HIDDEN, _ACTIONS, _SAMPLES, _BATCHES = 4, 8, 3, 8, 4
_ORIGINAL_SAMPLES, _ORIGINAL_SIZE, _ORIGINAL_RANGE = 10, 4, 100.0
NON_FINITE: Final = "non_finite"


def network_fingerprints(graphs: Sequence[Graph], room: int, registers: tuple[str, ...] = ()) -> list[Fingerprint]:
    """Return the fingerprint of each graph, of at most ``room`` live nodes; one compiled program for each room and ``registers``.

    Args:
        graphs: Of the family ``network``.
        room: Nodes of the interpreter.
        registers: Names: for each it is found out whether the slopes change when it does.

    Raises:
        GraphError: An unknown register, or a graph that the interpreter cannot run.
    """
    known = [register.name for register in NETWORK]
    for name in registers:
        if name not in known:
            raise GraphError(f"register family 'network' has no register {name!r}")
    signature = NetworkSignature(tuple(instructions()), room)
    batches = _batches(registers)
    made: list[Fingerprint] = []
    for start in range(0, len(graphs), BLOCK):
        block = list(graphs[start : start + BLOCK])
        programs = [pack_network(graph, signature) for graph in block]
        programs += [programs[-1]] * (BLOCK - len(programs))
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *programs)
        slopes = np.asarray(_block_slopes(stacked, batches))
        made += [_named(slopes[i].astype(np.float64), registers) for i in range(len(block))]
    return made


@jax.jit
def _block_slopes(programs: NetworkProgram, batches: Arrays) -> jax.Array:
    """Return the slopes of the parameters, float32 [programs, batches, parameters]; programs run one after the other."""

    def of_batch(program: NetworkProgram, batch: Arrays) -> jax.Array:
        def mean(tree: Arrays) -> jax.Array:
            held = network_registers(_apply, tree, n_actions=_ACTIONS, **{k: v for k, v in batch.items() if k != "own"})
            return jnp.mean(InterpretedNetworkLoss(program).per_sample(held))

        slopes = jax.grad(mean)(batch["own"])
        return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(slopes)])

    def of_program(program: NetworkProgram) -> jax.Array:
        return jax.lax.map(lambda batch: of_batch(program, batch), batches)

    return jax.lax.map(of_program, programs)


def _apply(tree: Arrays, states: jax.Array) -> jax.Array:
    return jnp.tanh(states @ tree["w"]) @ tree["v"] + tree["b"]


@lru_cache(maxsize=32)
def _batches(changed: tuple[str, ...]) -> Arrays:
    """Return the batches, stacked; after them the same again for each register that is drawn anew."""
    made = [_batch(i, name) for name in ("", *changed) for i in range(_BATCHES)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *made)


def _batch(index: int, changed: str) -> Arrays:
    """Return one batch at which values are of about 1 (even ``index``) or 10."""
    size = 1.0 if index % 2 == 0 else 10.0

    def rng(name: str) -> np.random.Generator:
        return generator(derive(20_260_102, "network probes", index, name, "changed" if name == changed else "base"))

    def network(name: str) -> Arrays:
        shapes = {"w": (_STATE, _HIDDEN), "v": (_HIDDEN, _ACTIONS), "b": (_ACTIONS,)}
        scales = {"w": 0.7, "v": 0.5 * size, "b": 0.5 * size}
        draws = rng(name)
        return {k: (scales[k] * draws.standard_normal(shape)).astype(np.float32) for k, shape in shapes.items()}

    def floats(values: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray(values, np.float32)

    draws = rng("reward")
    rewards = np.where(np.arange(_SAMPLES) % 2 == 0, draws.integers(-1, 2, _SAMPLES), draws.uniform(-1, 1, _SAMPLES))
    going_on = np.arange(_SAMPLES) % 4 != 3
    first = rng("first action").integers(_ACTIONS, size=_SAMPLES)
    return {
        "own": network("q_param"),
        "target_parameters": network("q_targ_param"),
        "states": floats(rng("s_tm1").standard_normal((_SAMPLES, _STATE))),
        "actions": ((first + (changed == "action")) % _ACTIONS).astype(np.int32),
        "rewards": floats(rewards),
        "discounts": floats(rng("discount").choice([0.5, 0.8, 0.9, 0.95, 0.99, 0.7, 0.6], size=_SAMPLES) * going_on),
        "next_states": floats(rng("s_t").standard_normal((_SAMPLES, _STATE))),
        "words": rng("constant").integers(2**32, size=2, dtype=np.uint32),
    }


def _named(slopes: NDArray[np.float64], changed: tuple[str, ...]) -> Fingerprint:
    if not np.isfinite(slopes).all() or np.abs(slopes).max() >= LIMIT:
        return Fingerprint("non_finite", NON_FINITE, NON_FINITE)
    parts = slopes.reshape(1 + len(changed), _BATCHES, -1)
    largest = float(np.abs(parts[0]).max())
    if largest == 0.0:
        return Fingerprint("zero", "zero", "zero")
    exact = _digest(parts[0], 1.0)
    depends = tuple(name for name, part in zip(changed, parts[1:], strict=True) if _digest(part, 1.0) != exact)
    return Fingerprint("slope", _digest(parts[0], largest), exact, depends)


def _digest(part: NDArray[np.float64], scale: float) -> str:
    digest = hashlib.blake2b(b"network", digest_size=16)
    for row in part:
        digest.update(_rounded(row / scale).tobytes())
    return digest.hexdigest()


def value_sum(graph: Graph) -> str:
    """Return the name that the released code gives a program: the **sum** of its outputs on ten random inputs, to four decimals.

    Kept for comparison. Programs that train alike get different names (a constant added, a factor), different programs may get one
    (permutations, cancellation), and all whose sum is no number share one. Here, unlike there, random constants are fixed, and values
    saturate at 1e10.
    """
    with np.errstate(all="ignore"):
        losses = np.asarray(loss_by(graph, _original_inputs(), "numpy"), np.float64)
        total = float(np.sum(np.round(losses, 4)))
    return f"{total:.4f}" if np.isfinite(total) else NON_FINITE


@lru_cache(maxsize=1)
def _original_inputs() -> Arrays:
    """Return ten samples as `InputNode.initialize_random_input` draws them: floats and states within +-100, actions 0 to 2 of 4."""
    rng = generator(derive(20_260_103, "value sum"))
    n, size, most = _ORIGINAL_SAMPLES, _ORIGINAL_SIZE, _ORIGINAL_RANGE

    def network() -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        first, second = ((rng.standard_normal((size, size)) / size**0.5).astype(np.float32) for _ in range(2))
        return lambda x: second @ np.maximum(first @ x, 0.0)

    def uniform(*shape: int) -> NDArray[np.float32]:
        return rng.uniform(-most, most, shape).astype(np.float32)

    return {
        "q_param": network(),
        "action": np.eye(size, dtype=np.float32)[:, rng.integers(size - 1, size=n)],
        "s_tm1": uniform(size, n),
        "q_targ_param": network(),
        "s_t": uniform(size, n),
        "reward": uniform(n),
        "discount": uniform(n),
        "constant": np.array([3, 5], np.uint32),
    }
