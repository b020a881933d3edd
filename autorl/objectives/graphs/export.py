"""Objectives as files that stand alone: Python for JAX, PyTorch or NumPy, LaTeX, DOT; each has its equality test beside it.

Nothing exported imports this package.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, Final

from autorl.errors import MissingDependencyError, UnknownNameError
from autorl.objectives.graphs import equality_test, equality_test_dot, equality_test_latex
from autorl.objectives.graphs.compiled import functions
from autorl.objectives.graphs.drawing import dot
from autorl.objectives.graphs.formula import formula, formula_lines
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.quoting import quote
from autorl.objectives.graphs.types import Type
from autorl.objectives.loader import LearnedObjective

BACK_ENDS: Final = ("jax", "torch", "numpy")
_ARRAY: Final[Mapping[str, str]] = {"jax": "Array", "torch": "Tensor", "numpy": "Array"}
_BROADCAST: Final[Mapping[str, str]] = {
    "jax": "jnp.broadcast_to",
    "torch": "torch.broadcast_to",
    "numpy": "np.broadcast_to",
}
_IMPORTS: Final[Mapping[str, tuple[str, ...]]] = {
    "jax": ("import jax.numpy as jnp", "from jax import Array"),
    "torch": ("import torch", "from torch import Tensor"),
    "numpy": ("import numpy as np",),
}
_SHAPES: Final[Mapping[Type, str]] = {
    Type.FLOAT: "[N]",
    Type.LIST: "[A, N]",
    Type.ACTION: "one-hot [A, N]",
    Type.STATE: "[D, N]",
    Type.PARAMETERS: "a function from states [D, N] to [A, N]",
    Type.HEAD: "a function from features [F, N] to [A, N]",
    Type.CONSTANT: "two random words of 32 bits, fresh for each update",
}
_WIDTH: Final = 110


def export_files(objective: LearnedObjective, to: str) -> dict[str, str]:
    """Return what an export writes, text by file name.

    Args:
        objective: From the catalogue, or of your own.
        to: ``jax``, ``torch`` or ``numpy`` (a module), ``latex`` or ``dot``; each with its test.

    Raises:
        UnknownNameError: No such form.
        GraphError: The loss reads no register.
        MissingDependencyError: ``torch`` is wanted and not installed (its source is quoted, and the export is tested with it).
    """
    if to not in EXPORTERS:
        raise UnknownNameError("export", to, EXPORTERS)
    return EXPORTERS[to](objective)


def module_name(objective: LearnedObjective, back_end: str) -> str:
    """Return the name of the exported module, one that Python can import."""
    plain = re.sub(r"\W", "_", objective.name, flags=re.ASCII)
    return f"{'' if plain[:1].isalpha() else 'loss_'}{plain}_{back_end}"


def _python(back_end: str) -> Callable[[LearnedObjective], dict[str, str]]:
    def files(objective: LearnedObjective) -> dict[str, str]:
        name = module_name(objective, back_end)
        test = equality_test.source(objective.graph, name, back_end, parameters(objective.graph))
        return {f"{name}.py": python_source(objective, back_end), f"test_{name}.py": test}

    return files


def parameters(graph: Graph) -> dict[str, str]:
    """Return the parameter of the exported function for each register that the graph reads."""
    taken = {operator.name for operator in graph.table.operators} | {"bounded", "folded"}
    bad = {name for name in graph.needs if keyword.iskeyword(name) or name in taken}
    return {name: f"{name}_" if name in bad else name for name in graph.needs}


def python_source(objective: LearnedObjective, back_end: str) -> str:
    """Return a module with one function, ``loss``, and the operators that it uses."""
    graph = objective.graph
    try:
        module = functions(graph.language, back_end)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingDependencyError("PyTorch is not installed; install autorl[torch]") from error
    rows = [graph.table.operator(graph.nodes[p].op) for p in graph.live]
    kinds = [tuple(graph.types[i] for i in graph.nodes[p].inputs) for p in graph.live]
    used = {row.function(types) for row, types in zip(rows, kinds, strict=True)} | {"bounded"}
    used |= {"folded"} if any(row.random for row in rows) else set()
    imports, quoted = quote(module, used)
    lines = sorted({*imports, *_IMPORTS[back_end]}, key=lambda line: (_group(line), line.startswith("from"), line))
    split = [
        line
        for i, line in enumerate(lines)
        for line in (["", line] if i and _group(lines[i - 1]) != _group(line) else [line])
    ]
    head = f'"""{_about(objective)}\n"""\n\nfrom __future__ import annotations\n\n' + "\n".join(split)
    return f"{head}\n\n{quoted}\n\n\n{_function(graph, back_end)}"


def _group(line: str) -> int:
    return 0 if line.split()[1].partition(".")[0] in ("collections", "typing") else 1


def _about(objective: LearnedObjective) -> str:
    """Return the docstring: title, formula, provenance, conventions."""
    about = objective.provenance
    lines = [str(about.get("title", objective.name)) + ".", ""]
    lines += [
        f"    {line}"
        for line in textwrap.wrap("loss = " + formula_lines(objective.graph)[0], _WIDTH, subsequent_indent="    ")
    ]
    lines += [f"    {line.strip()}" for line in formula_lines(objective.graph)[1:]]
    paragraphs = [*citation(about), *([f"Against its source: {about['differs']}"] if "differs" in about else [])]
    paragraphs.append(
        "Shapes: N samples of a batch, A actions. Values and slopes saturate at +-1e10 in every step (`bounded`), and unsafe inputs "
        "are guarded before they are used. Made by AutoRL; needs nothing of it."
    )
    for paragraph in paragraphs:
        lines += ["", *textwrap.wrap(paragraph, _WIDTH)]
    return "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''")


def citation(provenance: Mapping[str, Any]) -> list[str]:
    """Return where an objective comes from, in sentences: its paper, its search."""
    said = []
    if "source" in provenance:
        source = provenance["source"]
        place = f" ({source['equation']})" if "equation" in source else ""
        said.append(
            f"Source: {source['author']} ({source['year']}), {source['title']}{place}. {source.get('url', '')}".rstrip()
        )
    if "found_by" in provenance:
        found = provenance["found_by"]
        said.append(
            f"Found by the search {found['study']} (seeds {', '.join(map(str, found['seeds']))}): {found['command']}"
        )
    return said


def _function(graph: Graph, back_end: str) -> str:
    """Return the function ``loss``, one line for each live node."""
    names, array, count = parameters(graph), _ARRAY[back_end], len(graph.registers)
    registers = [r for r in graph.registers if r.name in names]
    values = {graph.index(name): parameter for name, parameter in names.items()}
    floats = [names[r.name] for r in registers if r.type is Type.FLOAT]
    # what surely has a column for each sample; training progress may be one number for all
    widest = next((r for r in registers if r.type in (Type.LIST, Type.ACTION, Type.STATE)), registers[0])
    signature = ", ".join(f"{names[r.name]}: {'Callable' if _is_network(r.type) else array}" for r in registers)
    lines = [
        f"def loss({signature}) -> {array}:",
        '    """Return the loss of each sample, float32 [N].',
        "",
        "    Args:",
    ]
    lines += [f"        {names[r.name]}: {r.help[:1].upper()}{r.help[1:]}, {_SHAPES[r.type]}." for r in registers]
    lines += ['    """', *(f"    {name} = {name}.reshape(1, -1)" for name in floats)]
    steps = [_step(graph, row, position, values) for row, position in enumerate(graph.live)]
    widths = min(max(len(code) for code, _ in steps), 48)
    lines += [f"    {code.ljust(widths)}  # {comment}" for code, comment in steps]
    last = values[count + graph.live[-1]]
    lines.append(f"    return {_BROADCAST[back_end]}({last}[0], ({names[widest.name]}.shape[-1],))")
    return "\n".join(lines) + "\n"


def _is_network(kind: Type) -> bool:
    return kind in (Type.PARAMETERS, Type.HEAD)


def _step(graph: Graph, row: int, position: int, values: dict[int, str]) -> tuple[str, str]:
    """Return (code, comment) of a node, and name its value."""
    node, operator = graph.nodes[position], graph.table.operator(graph.nodes[position].op)
    types = tuple(graph.types[i] for i in node.inputs)
    constant = repr(float(node.constant) if operator.has_constant else 1.0)
    if operator.random:
        args = [f"folded({values[node.inputs[0]]}, {row})"]
    else:
        args = ["None" if kind is Type.CONSTANT else values[i] for i, kind in zip(node.inputs, types, strict=True)]
    comment = operator.text.format(*(values[i] for i in node.inputs), c=constant)
    name = values[len(graph.registers) + position] = f"x{row}"
    return f"{name} = bounded({operator.function(types)}({', '.join([constant, *args])}))", comment


_LATEX_ESCAPES: Final = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def _escaped(text: str) -> str:
    return "".join(_LATEX_ESCAPES.get(char, char) for char in text)


def latex_source(objective: LearnedObjective) -> str:
    """Return a document that any LaTeX compiles: the formula, its source, the meaning of its symbols."""
    made = formula(objective.graph, latex=True)
    lines = ["L &= " + made.loss, *(f"{name} &= {text}" for name, text in made.definitions)]
    needed = [r for r in objective.graph.registers if r.name in objective.graph.needs]
    symbols = " \\\\\n".join(f"${r.latex}$ & {_escaped(r.help)}" for r in needed)
    about = [_escaped(text) for text in citation(objective.provenance)]
    title = _escaped(str(objective.provenance.get("title", objective.name)))
    return (
        "\\documentclass{article}\n\\usepackage[utf8]{inputenc}\n\\usepackage{amsmath}\n\\begin{document}\n"
        f"\\section*{{{title}}}\n" + "".join(f"{text}\n\n" for text in about) + "\\begin{align*}\n"
        + " \\\\\n".join(lines) + "\n\\end{align*}\n\n\\begin{tabular}{ll}\n" + symbols + "\n\\end{tabular}\n\\end{document}\n"
    )  # fmt: skip


def _latex(objective: LearnedObjective) -> dict[str, str]:
    name = module_name(objective, "latex")
    test = equality_test_latex.source(objective.graph, f"{name}.tex")
    return {f"{name}.tex": latex_source(objective), f"test_{name}.py": test}


def _dot(objective: LearnedObjective) -> dict[str, str]:
    name = module_name(objective, "graph")
    test = equality_test_dot.source(objective.graph, f"{name}.dot")
    return {f"{name}.dot": dot(objective.graph, objective.name), f"test_{name}.py": test}


EXPORTERS: Final[Mapping[str, Callable[[LearnedObjective], dict[str, str]]]] = {
    **{back_end: _python(back_end) for back_end in BACK_ENDS},
    "latex": _latex,
    "dot": _dot,
}
"""The forms, by name."""
