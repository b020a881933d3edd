"""The test that a LaTeX export writes beside itself: it reads the formula and computes the loss.

Formulas are equal to their graphs in real numbers and print constants in six digits: samples of the sizes of trainings are compared, to
1e-4 (or more, where rounding grows), not those where a step is near saturation. Slopes are not compared (the exports to JAX and PyTorch
do so), but where they are stopped is.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Final

import numpy as np

from autorl.objectives.graphs import latex_reader
from autorl.objectives.graphs.compiled import functions
from autorl.objectives.graphs.equality_test import MODERATE, block, expected, numbers, recorded_registers
from autorl.objectives.graphs.equality_values import SHARE, compared
from autorl.objectives.graphs.formula import drawn_names, written_stops
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.quoting import quote
from autorl.objectives.graphs.types import Type

_SAME: Final = ("add", "div", "min", "max", "abs", "log", "exp")
MEANING: Final[Mapping[str, Mapping[str, str]]] = {
    "autorl": {name: name for name in (*_SAME, "sub", "mul", "greater", "square", "tanh", "relu", "select", "max_a")}
    | {"stop": "stop_gradient", "argmax": "argmax_a", "mean_a": "mean_a", "sum_a": "sum_a", "entropy": "entropy_a"}
    | {"logsumexp": "logsumexp_a", "softmax": "softmax_a"},
    "coreyes2021": {name: name for name in (*_SAME, "softmax")}
    | {"sub": "subtract", "mul": "multiply_float", "dot": "dot_product", "square": "l2_norm_list", "norm": "l2_norm"}
    | {
        "select": "select_list",
        "argmax": "arg_max_list",
        "max_a": "max_list",
        "mean_a": "mean_list",
        "sum_a": "sum_list",
    }
    | {"logsumexp": "log_sum_exp_list", "std_a": "std_list", "mean_n": "mean_batch", "std_n": "std_batch"}
    | {"kl": "kl_div", "noise": "add_gaussian_noise", "entropy": "entropy"},
}
"""The function of numpy for each sign of `latex_reader`, by language."""
_MINUS: Final = frozenset({("coreyes2021", "entropy")})
"""Where the function is minus what the sign says."""


def source(graph: Graph, document: str) -> str:
    """Return the test of the exported ``document``, a file's name, for plain pytest."""
    registers = {
        name: values[..., :MODERATE] if values.dtype != np.uint32 and not _network(graph, name) else values
        for name, values in recorded_registers(graph).items()
    }
    losses, _ = expected(graph, registers)
    told = compared(graph, registers, losses, written_stops(graph), 10 * SHARE, reordered=True)
    shown = {r.name: r.latex for r in graph.registers if r.name in graph.needs and r.type is not Type.CONSTANT}
    _, reader = quote(latex_reader, {"read_latex"})
    meaning = MEANING[graph.language]
    _, quoted = quote(functions(graph.language, "numpy"), {*meaning.values(), "bounded"})
    return Template(_TEXT).substitute(
        document=document,
        reader=reader,
        functions=quoted,
        meaning="{\n" + "".join(_row(graph.language, sign, name) for sign, name in meaning.items()) + "}",
        inputs=block({latex: registers[name] for name, latex in shown.items()}),
        draws=repr(draws(graph, registers)),
        losses=numbers(losses),
        marked=numbers(told.marked),
        samples=repr(list(told.samples)),
        share=told.share,
        least=told.least,
        networks=repr(tuple(latex for name, latex in shown.items() if _network(graph, name))),
        states=repr(tuple(r.latex for r in graph.registers if r.type is Type.STATE and r.name in shown)),
    )


def draws(graph: Graph, registers: Mapping[str, np.ndarray]) -> dict[str, tuple[str, float]]:
    """Return (distribution, number) of what a program draws from the recorded random words, by the names that its LaTeX gives them."""
    found: dict[str, tuple[str, float]] = {}
    for latex, position in drawn_names(graph).items():
        module = functions(graph.language, "numpy")
        words = module.folded(registers["constant"], graph.live.index(position))
        op = graph.nodes[position].op
        written = graph.table.operator(op).latex.format("")
        found[latex] = (written, getattr(module, op)(1.0, words).item())
    return found


def _network(graph: Graph, name: str) -> bool:
    return graph.registers[graph.index(name)].type in (Type.PARAMETERS, Type.HEAD)


def _row(language: str, sign: str, name: str) -> str:
    minus = "-" if (language, sign) in _MINUS else ""
    return f'    "{sign}": lambda *x: {minus}{name}(1.0, *x),\n'


_TEXT: Final = '''"""Checks that the formula in `$document` is the loss that was recorded when it was exported. Run it with pytest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

# how the formula is read

$reader


# what its signs mean, guards included

$functions


MEANING = $meaning
MEANING |= {"negative": lambda x: -x, "clip": lambda x, low, high: np.clip(x, low, high)}
MEANING = {sign: lambda *x, f=f: bounded(f(*x)) for sign, f in MEANING.items()}
INPUTS = $inputs
DRAWS = $draws
LOSSES = np.asarray($losses, np.float32)
MARKED = np.asarray($marked, np.float32)
"""The losses if what stops slopes gave 2 x + 1."""
COMPARED = $samples
"""Samples in which no step is near saturation, and which rounding leaves as they are."""
NETWORKS, STATES = $networks, $states


def symbol(name):
    values = np.asarray(INPUTS[name], np.float32)
    if name in NETWORKS:  # recorded by their weights
        return lambda states: np.tanh(values @ states)
    return Value(values if values.ndim == 2 else values.reshape(1, -1), name in STATES)


def computed(text, **others):
    (aligned,) = re.findall(r"\\\\begin\\{align\\*\\}\\n(.*?)\\n\\\\end\\{align\\*\\}", text, re.DOTALL)
    lines = dict(line.split(" &= ") for line in aligned.split(" \\\\\\\\\\n"))
    symbols = {name: symbol(name) for name in INPUTS}
    for name, (distribution, number) in DRAWS.items():
        assert lines[name] == distribution
        symbols[distribution if name == "L" else name] = Value(np.full((1, 1), number, np.float32))
        lines = lines if name == "L" else {other: line for other, line in lines.items() if other != name}
    return np.broadcast_to(read_latex(lines, symbols, MEANING | others)[0], (len(LOSSES),))


TEXT = Path(__file__).with_name("$document").read_text(encoding="utf-8")


def test_the_formula_computes_the_loss():
    np.testing.assert_allclose(computed(TEXT)[COMPARED], LOSSES[COMPARED], rtol=$share, atol=$least)


def test_slopes_are_stopped_where_they_were():
    found = computed(TEXT, stop=lambda x: bounded(2.0 * x + 1.0))
    np.testing.assert_allclose(found[COMPARED], MARKED[COMPARED], rtol=10 * $share, atol=10 * $least)
'''
