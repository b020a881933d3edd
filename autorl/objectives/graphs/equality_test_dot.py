"""The test that a DOT export writes beside itself: it computes the loss from the boxes and edges of the drawing.

What it computes with are the attributes of boxes and edges that Graphviz passes over; what is drawn, their labels, has to fit. Slopes
are not compared (the exports to JAX and PyTorch do so), but where they are stopped is.
"""

from __future__ import annotations

from string import Template
from typing import Final

from autorl.objectives.graphs.compiled import functions
from autorl.objectives.graphs.drawing import shown
from autorl.objectives.graphs.equality_test import block, expected, numbers, recorded_registers
from autorl.objectives.graphs.equality_values import compared, stop_nodes
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.quoting import quote
from autorl.objectives.graphs.types import Type


def source(graph: Graph, drawing: str) -> str:
    """Return the test of the exported ``drawing``, a file's name, for plain pytest."""
    registers = recorded_registers(graph)
    losses, _ = expected(graph, registers)
    told = compared(graph, registers, losses, stop_nodes(graph))
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
        marked=numbers(told.marked),
        samples=repr(list(told.samples)),
        share=told.share,
        least=told.least,
        shown=repr(shown(graph)),
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
LOSSES, MARKED = np.asarray($losses, np.float32), np.asarray($marked, np.float32)
"""Of each sample; the latter if what stops slopes gave 2 x + 1."""
COMPARED = $samples
"""Samples that rounding leaves as they are."""
SHOWN = $shown
"""What is written in the box of an operator, and on its edges; a constant is written as its number."""
NETWORKS, WORDS, RANDOM = $networks, $words, $random
BOX = re.compile(r'^  (\\w+) \\[label="(.*?)", .*\\b(register|op)="(\\w+)"(?:, c="(.*)")?\\];$$', re.MULTILINE)
EDGE = re.compile(r'^  (\\w+) -> (\\w+) \\[(?:label="(.*)", )?input=(\\d+)\\];$$', re.MULTILINE)


def register(name):
    if name in WORDS:
        return np.asarray(INPUTS[name], np.uint32)
    values = np.asarray(INPUTS[name], np.float32)
    if name in NETWORKS:  # recorded by their weights
        return lambda states: np.tanh(values @ states)
    return values if values.ndim == 2 else values.reshape(1, -1)


def drawn(text, marked=False):
    """Compute what the drawing says, box by box: each is written after those that it reads."""
    edges = sorted((box, int(place), source) for source, box, _, place in EDGE.findall(text))
    values, row = {}, 0
    for box, _, kind, name, constant in BOX.findall(text):
        if kind == "register":
            values[box] = register(name)
            continue
        given = [values[source] for reader, _, source in edges if reader == box]
${folding}        values[box] = bounded(globals()[name](np.float32(constant), *given))
        if marked and name == "stop_gradient":
            values[box] = bounded(2.0 * values[box] + 1.0)
        row += 1
    (last,) = set(values) - {source for _, _, source in edges}
    return np.broadcast_to(values[last][0], (len(LOSSES),))


TEXT = Path(__file__).with_name("$drawing").read_text(encoding="utf-8")


def test_the_drawing_computes_the_loss():
    np.testing.assert_allclose(drawn(TEXT)[COMPARED], LOSSES[COMPARED], rtol=$share, atol=$least)


def test_slopes_are_stopped_where_they_were():
    np.testing.assert_allclose(drawn(TEXT, marked=True)[COMPARED], MARKED[COMPARED], rtol=10 * $share, atol=10 * $least)


def test_what_is_written_fits():
    operators = {}
    for box, label, kind, name, constant in BOX.findall(TEXT):
        if kind == "register":
            assert label == name
            continue
        operators[box] = name
        written, number = SHOWN[name][0], float(constant)
        shown = label.removesuffix(" ×") if written is None else number
        assert label == written if written is not None else np.isclose(float(shown), number, rtol=1e-5, atol=0.0)
    for _, box, label, place in EDGE.findall(TEXT):
        assert label == ("xy"[int(place)] if SHOWN[operators[box]][1] else "")
'''
