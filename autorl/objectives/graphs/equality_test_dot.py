"""The test that a DOT export writes beside itself: it computes the loss from the boxes and edges of the drawing."""

from __future__ import annotations

from string import Template
from typing import Final

from autorl.objectives.graphs.compiled import functions
from autorl.objectives.graphs.equality_test import block, expected, numbers, recorded_registers, tolerance
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.quoting import quote
from autorl.objectives.graphs.types import Type


def source(graph: Graph, drawing: str) -> str:
    """Return the test of the exported ``drawing``, a file's name, for plain pytest."""
    registers = recorded_registers(graph)
    losses, _ = expected(graph, registers)
    kinds = {r.name: r.type for r in graph.registers if r.name in graph.needs}
    rows = [(graph.table.operator(graph.nodes[p].op), graph.nodes[p].inputs) for p in graph.live]
    called = {row.function(tuple(graph.types[i] for i in inputs)): row.random for row, inputs in rows}
    draws = any(called.values())
    _, quoted = quote(functions(graph.language, "numpy"), {*called, "bounded", *(["folded"] if draws else [])})
    return Template(_TEXT).substitute(
        drawing=drawing,
        functions=quoted,
        inputs=block({name: registers[name] for name in kinds}),
        losses=numbers(losses),
        share=tolerance(graph, registers, losses),
        networks=repr(tuple(name for name, kind in kinds.items() if kind in (Type.PARAMETERS, Type.HEAD))),
        words=repr(tuple(name for name, kind in kinds.items() if kind is Type.CONSTANT)),
        random=repr(tuple(sorted(name for name, random in called.items() if random))),
        folding=_FOLDING if draws else "",
    )


_FOLDING: Final = """        if name in RANDOM:  # each node has words of its own
            given = [folded(given[0], row)]
"""
_TEXT: Final = '''"""Checks that `$drawing` draws the loss that was recorded when it was exported. Run it with pytest."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

$functions


INPUTS = $inputs
LOSSES = $losses
NETWORKS, WORDS, RANDOM = $networks, $words, $random
BOX = re.compile(r'^  (\\w+) \\[label=.*, (register|op)="(\\w+)"(?:, c="(.*)")?\\];$$', re.MULTILINE)
EDGE = re.compile(r"^  (\\w+) -> (\\w+) \\[.*\\binput=(\\d+)\\];$$", re.MULTILINE)


def register(name):
    if name in WORDS:
        return np.asarray(INPUTS[name], np.uint32)
    values = np.asarray(INPUTS[name], np.float32)
    if name in NETWORKS:  # recorded by their weights
        return lambda states: np.tanh(values @ states)
    return values if values.ndim == 2 else values.reshape(1, -1)


def drawn(text):
    """Compute what the drawing says, box by box: each is written after those that it reads."""
    edges = sorted((box, int(place), source) for source, box, place in EDGE.findall(text))
    values, row = {}, 0
    for box, kind, name, constant in BOX.findall(text):
        if kind == "register":
            values[box] = register(name)
            continue
        given = [values[source] for reader, _, source in edges if reader == box]
${folding}        values[box] = bounded(globals()[name](np.float32(constant), *given))
        row += 1
    (last,) = set(values) - {source for _, _, source in edges}
    return np.broadcast_to(values[last][0], (len(LOSSES),))


def test_the_drawing_computes_the_loss():
    found = drawn(Path(__file__).with_name("$drawing").read_text(encoding="utf-8"))
    np.testing.assert_allclose(found, np.asarray(LOSSES, np.float32), rtol=$share, atol=$share)
'''
