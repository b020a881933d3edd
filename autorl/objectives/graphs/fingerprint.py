"""What a loss does to an agent, as a name: equal for losses that train alike, however they are written.

A loss acts through the slopes of the network's outputs alone. So two losses are compared by these slopes on fixed `probes`, cut to
a few binary digits: terms without a slope (constants, targets) vanish, and different forms of one formula agree in spite of
rounding. Under Adam the loss's positive scale does not matter, and `Fingerprint.key` leaves it out: ``0.5 d^2``, ``d^2`` and
``d^2 + r^2`` are one. A learner that clips the norm of its gradients (DQN at 10 and PPO at .5 by default) does see the scale where it
clips, and so does Adam's epsilon: there losses of one key are only nearly alike. `Fingerprint.exact_key` is for those.

After Gillard et al. (2023), *Unified Functional Hashing*; Co-Reyes et al. (2021) hash the loss itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from autorl.objectives.graphs.canonical import canonical
from autorl.objectives.graphs.graph import MOST_NODES, Graph
from autorl.objectives.graphs.interpreter import InterpretedLoss
from autorl.objectives.graphs.language import LIMIT, load_language
from autorl.objectives.graphs.probes import SAMPLES, output_slopes, probe, pushed
from autorl.objectives.graphs.program import Program, Signature, pack
from autorl.objectives.graphs.slopes import differentiable_registers

BITS = 9
"""Binary digits that a slope is rounded to: coarse enough that rounding errors of float32 rarely show, and more than the 7 from
which Gillard et al. (2023) saw no two models share a name."""

FLOOR = 8
"""Slopes smaller than 2**-FLOOR of the largest in their group have as many digits fewer: there rounding errors are larger."""

BLOCK = 32
"""Graphs that one call of the compiled program takes; shorter lists are filled up."""

Kind = Literal["slope", "zero", "non_finite"]


@dataclass(frozen=True)
class Fingerprint:
    """What a loss does.

    Attributes:
        kind: ``zero``: no slope anywhere, nothing is learned. ``non_finite``: on ordinary inputs a slope is NaN or infinite, or has run
            into the limit of the language. ``slope``: all others.
        key: 32 hexadecimal digits, equal for losses that train alike under Adam; the kind itself where it is not ``slope``. Searches
            go by it.
        exact_key: The same with the loss's scale, for optimisers that see it, and where gradients are clipped.
        depends: Those of the registers asked for that the slopes depend on.
        minimum: Whether the loss has a minimum in Q(s, a) that rises with the reward: with Q(s, a) pushed far up, its slope is below 0
            in no sample and above 0 in most; pushed far down, the reverse; with more reward it falls on average. False where that was
            not asked for.
    """

    kind: Kind
    key: str
    exact_key: str
    depends: tuple[str, ...] = ()
    minimum: bool = False


def fingerprints(graphs: Sequence[Graph], registers: Sequence[str] = (), *, minimum: bool = False) -> list[Fingerprint]:
    """Return the fingerprint of each graph. Hundreds a second; one compiled program for each language, family and ``registers``.

    Args:
        graphs: Well formed.
        registers: Names: for each it is found out whether the slopes change when it does.
        minimum: Whether to find out which have a minimum in Q(s, a); for the family ``value``.

    Raises:
        GraphError: A register family without probes, or an unknown register; ``minimum`` for another family.
    """
    forms = [canonical(graph) for graph in graphs]
    found: dict[Graph, Fingerprint] = {}
    kinds = sorted({(graph.language, graph.family, _room(graph)) for graph in forms})
    for language, family, room in kinds:
        own = [g for g in dict.fromkeys(forms) if (g.language, g.family, _room(g)) == (language, family, room)]
        found |= dict(zip(own, _of_one_kind(own, room, tuple(registers), minimum), strict=True))
    return [found[form] for form in forms]


def fingerprint(graph: Graph, registers: Sequence[str] = ()) -> Fingerprint:
    """Return the fingerprint of one graph."""
    return fingerprints([graph], registers)[0]


def _room(graph: Graph) -> int:
    """Return the room of the interpreter for a graph: two sizes, so at most two programs are compiled."""
    return 16 if len(graph.nodes) <= 16 else MOST_NODES


def _of_one_kind(graphs: Sequence[Graph], room: int, changed: tuple[str, ...], minimum: bool) -> list[Fingerprint]:
    language, family = graphs[0].language, graphs[0].family
    if family == "network" and not minimum:
        from autorl.objectives.graphs.fingerprint_coreyes import network_fingerprints

        return network_fingerprints(graphs, room, changed)
    if family == "level":
        from autorl.objectives.graphs.fingerprint_scores import score_fingerprints

        return score_fingerprints(graphs, room, changed)
    table = load_language(language)
    names = tuple(register.name for register in table.registers(family))
    signature = Signature(language, family, names, tuple(operator.name for operator in table.operators), room)
    inputs = _inputs(family, changed, minimum)
    made: list[Fingerprint] = []
    for start in range(0, len(graphs), BLOCK):
        block = list(graphs[start : start + BLOCK])
        programs = [pack(graph, signature) for graph in block]
        programs += [programs[-1]] * (BLOCK - len(programs))
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *programs)
        slopes = {name: np.asarray(value) for name, value in _block_slopes(stacked, inputs).items()}
        for i in range(len(block)):
            own = {name: value[i] for name, value in slopes.items()}
            made.append(_named(family, output_slopes(family, inputs, own), changed, minimum))
    return made


@lru_cache(maxsize=64)
def _inputs(family: str, changed: tuple[str, ...], minimum: bool) -> Any:
    """Return the probe batch and after it, along the samples, one for each register that changes, and those of `pushed`."""
    probes = [probe(family), *(probe(family, name) for name in changed)]
    probes += pushed(family) if minimum else []
    return {name: np.concatenate([p.registers[name] for p in probes], axis=-1) for name in probes[0].registers}


@jax.jit
def _block_slopes(programs: Program, registers: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Return d loss / d register of each program and sample; programs run one after the other, so none can touch another."""
    signature = programs.signature
    names = differentiable_registers(signature.language, signature.family, signature.registers)
    moving = {name: registers[name] for name in names}

    def one(program: Program) -> dict[str, jax.Array]:
        loss = InterpretedLoss(program)
        return jax.grad(lambda some: jnp.sum(loss.per_sample({**registers, **some})))(moving)

    return lax.map(one, programs)


def _named(
    family: str, outputs: dict[str, NDArray[np.float32]], changed: tuple[str, ...], minimum: bool
) -> Fingerprint:
    parts = [
        {name: rows[:, i : i + SAMPLES] for name, rows in outputs.items()}
        for i in range(0, next(iter(outputs.values())).shape[1], SAMPLES)
    ]
    usual = parts[: 1 + len(changed)]
    everything = np.concatenate([rows for part in usual for rows in part.values()])
    if not np.isfinite(everything).all() or np.abs(everything).max() >= LIMIT:
        return Fingerprint("non_finite", "non_finite", "non_finite")
    largest = max(float(np.abs(rows).max()) for rows in usual[0].values())
    if largest == 0.0:
        return Fingerprint("zero", "zero", "zero")
    groups = probe(family).groups
    key, exact_key = _digest(family, parts[0], groups, largest), _digest(family, parts[0], groups, 1.0)
    pairs = zip(changed, usual[1:], strict=True)
    depends = tuple(name for name, part in pairs if _digest(family, part, groups, 1.0) != exact_key)
    return Fingerprint("slope", key, exact_key, depends, minimum and _has_minimum(parts[0], *parts[-3:]))


def _has_minimum(*parts: dict[str, NDArray[np.float32]]) -> bool:
    """Return whether a loss drives Q(s, a) back from either side, and further up with more reward.

    Flat samples (masked ones, ties) may be fewer than half.
    """
    action = probe("value").registers["action"]
    usual, up, down, rewarded = (np.sum(part["q"] * action, axis=0, dtype=np.float64) for part in parts)
    back = (up >= 0).all() and (down <= 0).all() and 2 * min((up > 0).sum(), (down < 0).sum()) > SAMPLES
    return bool(back and rewarded.sum() < usual.sum())


def _digest(family: str, outputs: dict[str, NDArray[np.float32]], groups: NDArray[np.int64], scale: float) -> str:
    digest = hashlib.blake2b(family.encode(), digest_size=16)
    for name, rows in outputs.items():
        digest.update(name.encode())
        for group in range(int(groups.max()) + 1):
            digest.update(_rounded(rows[:, groups == group].astype(np.float64) / scale).tobytes())
    return digest.hexdigest()


def _rounded(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return values as whole multiples of a power of two that leaves each `BITS` digits, and the powers; int64 [2, ...]."""
    _, exponents = np.frexp(values)
    _, largest = np.frexp(np.abs(values).max())
    exponents = np.maximum(exponents, largest - FLOOR).astype(np.int64)
    whole = np.rint(np.ldexp(values, BITS - exponents))
    # a value rounded up to the next power of two, and one rounded down to it, are the same
    up = np.abs(whole) >= 2.0**BITS
    whole, exponents = np.where(up, whole / 2, whole), exponents + up
    return np.stack([whole.astype(np.int64), np.where(whole == 0, 0, exponents)])
