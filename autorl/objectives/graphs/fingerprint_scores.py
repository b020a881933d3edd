"""What a level score does to a curriculum, as a name: the order in which it puts levels.

Teachers replay levels by the rank of their scores, so two scores that order the levels of a fixed batch alike are one: ``r``, ``2 r`` and
``exp r`` share a name. Where a teacher softens its choice by the scores themselves (``priority: topk``), they still differ in how much.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import jax
import numpy as np
from jax import lax
from numpy.typing import NDArray

from autorl.objectives.graphs.fingerprint import BLOCK, Fingerprint
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.interpreter import InterpretedLoss
from autorl.objectives.graphs.language import LIMIT, load_language
from autorl.objectives.graphs.probes import SAMPLES, probe
from autorl.objectives.graphs.program import Program, Signature, pack

TIE = 1e-4
"""Scores that lie nearer to each other than this, in parts of the whole range, are equal: rounding must decide no order."""


def score_fingerprints(graphs: Sequence[Graph], room: int, changed: tuple[str, ...]) -> list[Fingerprint]:
    """Return the fingerprint of each graph of the family ``level``. Kind ``zero``: it puts no level before another.

    Args:
        graphs: Canonical, of one language.
        room: Of the interpreter.
        changed: Registers: for each it is found out whether the order changes when it does.
    """
    language = graphs[0].language
    table = load_language(language)
    names = tuple(register.name for register in table.registers("level"))
    signature = Signature(language, "level", names, tuple(o.name for o in table.operators), room)
    probes = [probe("level"), *(probe("level", name) for name in changed)]
    inputs = {name: np.concatenate([p.registers[name] for p in probes]) for name in names}
    made: list[Fingerprint] = []
    for start in range(0, len(graphs), BLOCK):
        block = [pack(graph, signature) for graph in graphs[start : start + BLOCK]]
        filled = block + [block[-1]] * (BLOCK - len(block))
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *filled)
        scores = np.asarray(_block_scores(stacked, inputs), np.float64)
        made += [_named(own.reshape(len(probes), SAMPLES), changed) for own in scores[: len(block)]]
    return made


@jax.jit
def _block_scores(programs: Program, registers: dict[str, jax.Array]) -> jax.Array:
    """Return the scores of each program, one after the other, float32 [programs, samples]."""
    return lax.map(lambda program: InterpretedLoss(program).per_sample(registers), programs)


def _named(scores: NDArray[np.float64], changed: tuple[str, ...]) -> Fingerprint:
    if not np.isfinite(scores).all() or np.abs(scores).max() >= LIMIT:
        return Fingerprint("non_finite", "non_finite", "non_finite")
    orders = [_order(row) for row in scores]
    if orders[0].max() == 0:
        return Fingerprint("zero", "zero", "zero")
    depends = tuple(
        name for name, order in zip(changed, orders[1:], strict=True) if not np.array_equal(order, orders[0])
    )
    shares = np.rint((scores[0] - scores[0].min()) / np.ptp(scores[0]) / TIE).astype(np.int64)
    return Fingerprint("slope", _digest(orders[0]), _digest(shares), depends)


def _order(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rank of each score from the least, 0, those that tie alike."""
    ascending = np.argsort(scores, kind="stable")
    steps = np.diff(scores[ascending]) > TIE * np.ptp(scores) + 1e-9
    rank = np.zeros(len(scores), np.int64)
    rank[ascending[1:]] = np.cumsum(steps)
    return rank


def _digest(numbers: NDArray[np.int64]) -> str:
    return hashlib.blake2b(numbers.tobytes(), digest_size=16).hexdigest()
