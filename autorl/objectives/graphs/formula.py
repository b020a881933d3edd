"""The formula of a loss graph, for people: text for terminals, LaTeX for papers. Values used twice are named once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from autorl.objectives.graphs.expressions import CLIP, NUMBER, REGISTER, Expressions, read
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.templates import ATOM, PREFIX, PRODUCT, SUM, Written, template

_OWN: Final[Mapping[str, tuple[str, str]]] = {
    CLIP: ("clip({0}, {1}, {2})", "\\operatorname{{clip}}\\left({0}, {1}, {2}\\right)"),
    "negative": ("-{0}", "-{0}"),
}
"""Text and LaTeX of what is no operator of a language."""
_NAMES: Final = (("u", "u"), ("v", "v"), ("w", "w"), ("x", "x"), ("y", "y"), ("z", "z"))
_TARGET: Final = ("target", "Y")
_ERROR: Final = ("delta", "\\delta")
_BARE: Final = 3
"""Operations that a TD error may be wrapped in before it is given its name."""


@dataclass(frozen=True)
class Formula:
    """A loss, and the values that it names.

    Attributes:
        loss: Right-hand side.
        definitions: (name, right-hand side), each only of earlier ones.
    """

    loss: str
    definitions: tuple[tuple[str, str], ...]


def formula(graph: Graph, latex: bool = False, simplify: bool = True) -> Formula:
    """Return the formula of ``graph``; raise `GraphError` if it is not well formed."""
    made = read(graph, simplify)
    names = _names(made)
    written: dict[int, Written] = {}
    definitions = []
    for index in sorted(made.uses):
        text = _write(made, index, written, latex)
        if index in names:
            name = names[index][latex]
            definitions.append((name, text.text))
            text = Written(name, ATOM)
        written[index] = text
    return Formula(written[made.root].text, tuple(definitions))


def drawn_names(graph: Graph) -> dict[str, int]:
    """Return the position of each node that draws a number, by the name that its LaTeX gives it; ``L`` if it is the loss."""
    made = read(graph)
    names = {i: latex for i, (_, latex) in _names(made).items()} | {made.root: "L"}
    return {latex: int(made.entries[i].c) for i, latex in names.items() if made.drawn(i)}


def written_stops(graph: Graph) -> frozenset[int]:
    """Return the positions of the nodes whose stopped slopes the formula writes: not those through which none would flow."""
    return frozenset(read(graph).stops)


def formula_text(graph: Graph) -> str:
    """Return the formula as one line: ``0.1 * q_action + delta^2, where delta = ...``."""
    made = formula(graph)
    where = "; ".join(f"{name} = {text}" for name, text in made.definitions)
    return f"{made.loss}, where {where}" if where else made.loss


def formula_lines(graph: Graph) -> list[str]:
    """Return the formula as lines: the loss, then each value that it names."""
    made = formula(graph)
    return [made.loss, *(f"  where {name} = {text}" for name, text in made.definitions)]


def listing(graph: Graph) -> list[str]:
    """Return one line for each live node: ``x3 = q_action - x2``, the last one the loss."""
    names = {i: register.name for i, register in enumerate(graph.registers)}
    count, lines = len(graph.registers), []
    for row, position in enumerate(graph.live):
        node = graph.nodes[position]
        args = tuple(Written(names[i], ATOM) for i in node.inputs)
        text = template(graph.table.operator(node.op).text).fill(args, _number(node.constant, False), False).text
        names[count + position] = "loss" if position == graph.live[-1] else f"x{row}"
        lines.append(f"{names[count + position]} = {text}")
    return lines


def formula_latex(graph: Graph) -> str:
    """Return the formula as LaTeX for math mode, definitions behind commas."""
    made = formula(graph, latex=True)
    return ",\\quad ".join(["L = " + made.loss, *(f"{name} = {text}" for name, text in made.definitions)])


def mathtext(latex: str) -> str:
    """Return LaTeX in the dialect that matplotlib draws (which has no text-style fractions)."""
    return latex.replace("\\tfrac", "\\frac").replace("\\operatorname{", "\\mathrm{")


def number_text(value: float) -> str:
    """Return a constant in six digits: ``0.1``, ``3e-7``."""
    text = f"{value:.6g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else text


def _number(value: float, latex: bool) -> Written:
    text = number_text(value)
    mantissa, e, exponent = text.partition("e")
    if latex and e:
        text = f"10^{{{exponent}}}" if mantissa == "1" else f"{mantissa} \\times 10^{{{exponent}}}"
    return Written(text, SUM if value < 0 else PRODUCT if latex and e else ATOM)


def _write(made: Expressions, index: int, written: Mapping[int, Written], latex: bool) -> Written:
    entry = made.entries[index]
    if entry.op == NUMBER:
        return _number(entry.c, latex)
    if entry.op == REGISTER:
        register = made.graph.registers[made.graph.index(entry.name)]
        prefixed = latex and register.latex.startswith("\\log")  # log pi A would be the log of a product
        return Written(register.latex if latex else register.name, PREFIX if prefixed else ATOM)
    args = tuple(written[i] for i in entry.args)
    if entry.op in _OWN or (entry.op == "scale" and entry.c == -1.0):
        row = _OWN[entry.op if entry.op in _OWN else "negative"]
        return template(row[latex]).fill(args, _number(entry.c, latex), latex)
    listed = made.entries[entry.args[0]] if entry.args else entry
    if latex and entry.op in ("select", "select_list") and listed.op == REGISTER and args[0].text.endswith(",\\cdot)"):
        return Written(args[0].text.replace(",\\cdot)", f", {args[1].text})"), ATOM)  # Q(s, a), not Q(s, .)[a]
    operator = made.graph.table.operator(entry.op)
    row_text = operator.latex if latex else operator.text
    return template(row_text).fill(args, _number(entry.c, latex), latex)


def _names(made: Expressions) -> dict[int, tuple[str, str]]:
    """Return names (text, LaTeX) for what is written out twice, and for the TD error where it is part of something larger."""
    names: dict[int, tuple[str, str]] = {}
    uses, whole = made.uses, made.operations(made.root)
    for index in sorted(uses):
        size, shared, drawn = made.operations(index), uses[index] > 1, made.drawn(index)
        if size == 0 or index == made.root:
            continue
        if _ERROR not in names.values() and _is_error(made, index) and (shared or whole >= size + _BARE):
            names[index] = _ERROR
        elif _TARGET not in names.values() and _is_target(made, index) and shared:
            names[index] = _TARGET
        elif (shared and size > 1) or drawn:  # one draw read twice is not two draws
            plain = len(names) - len({_ERROR, _TARGET} & set(names.values()))
            names[index] = _NAMES[plain] if plain < len(_NAMES) else (f"u{plain}", f"u_{{{plain}}}")
    return names


def _is_error(made: Expressions, index: int) -> bool:
    """Whether an entry is Q(s, a) less a TD target."""
    entry = made.entries[index]
    return entry.op == "sub" and _is(made, entry.args[0], "q_action") and _is_target(made, entry.args[1])


def _is_target(made: Expressions, index: int) -> bool:
    """Whether an entry is the reward plus the discount times some value."""
    entry = made.entries[index]
    if entry.op != "add":
        return False
    for one, other in (entry.args, entry.args[::-1]):
        product = made.entries[other]
        if _is(made, one, "reward") and product.op == "mul" and any(_is(made, i, "discount") for i in product.args):
            return True
    return False


def _is(made: Expressions, index: int, register: str) -> bool:
    return made.entries[index].name == register
