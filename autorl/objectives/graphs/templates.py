"""Operators' templates (``{0} + {1}``) filled in with no more parentheses than needed, as text or as LaTeX."""

from __future__ import annotations

import functools
import itertools
import re
import string
from dataclasses import dataclass
from typing import Final

SUM, PREFIX, PRODUCT, POWER, ATOM = range(1, 6)
"""How tightly a formula holds together: ``a + b``, ``max_a b``, ``a b``, ``a^2``, ``f(a)``."""
_OPEN, _CLOSE = "([{", ")]}"
_PARENTHESES: Final = (("\\left(", "\\right)^"), ("(", ")^"))


@dataclass(frozen=True)
class Written:
    r"""A formula, and how tightly it holds together.

    Attributes:
        text: As written.
        level: From `SUM` to `ATOM`.
        reaches: Whether it ends with a prefix, ``r \max_a b``, which would seem to take in a factor that followed.
    """

    text: str
    level: int
    reaches: bool = False

    def within(self, least: int, latex: bool) -> str:
        """Return the text, in parentheses if it holds together less than ``least``."""
        if self.level >= least:
            return self.text
        return f"\\left({self.text}\\right)" if latex else f"({self.text})"


@dataclass(frozen=True)
class Template:
    """A template taken apart: texts between slots, slots (``0`` .. or ``c``), how tight each must be, how tight it is itself."""

    literals: tuple[str, ...]
    slots: tuple[str, ...]
    needs: tuple[int, ...]
    level: int

    def fill(self, args: tuple[Written, ...], constant: Written, latex: bool) -> Written:
        """Return the template with arguments and constant in their slots."""
        text, level, reaches = self.literals[0], self.level, False
        for slot, need, literal in zip(self.slots, self.needs, self.literals[1:], strict=True):
            given = constant if slot == "c" else args[int(slot)]
            negative = given.text.startswith("-") and text.rstrip().endswith(("+", "-", "*", "\\cdot"))
            leads = slot == "c" and not text  # a negative factor in front makes the whole negative; no parentheses
            level = min(level, given.level) if leads else level
            open_ended = given.reaches or (given.level == PREFIX and latex)
            taken_in = open_ended and literal.lstrip().startswith("\\cdot")
            least = 0 if leads else ATOM + 1 if negative or taken_in else need
            text += given.within(least, latex) + literal
            reaches = open_ended and not literal and given.level >= least
        return Written(_tidy(text) if latex else text, level, reaches)


@functools.cache
def template(text: str) -> Template:
    """Return ``text``, an operator's row of text or LaTeX, taken apart."""
    literals, slots = [""], []
    for literal, slot, _, _ in string.Formatter().parse(text):
        literals[-1] += literal
        if slot is not None:
            slots.append(slot)
            literals.append("")
    for i in range(len(slots)):  # parentheses under a power are written where they are needed
        for opening, closing in _PARENTHESES:
            before, after = literals[i], literals[i + 1]
            if before.endswith(opening) and after.startswith(closing) and not _is_call(before[: -len(opening)]):
                literals[i], literals[i + 1] = before[: -len(opening)], "^" + after[len(closing) :]
                break
    needs = tuple(max(_needed_left(a), _needed_right(b)) for a, b in itertools.pairwise(literals))
    return Template(tuple(literals), tuple(slots), needs, _level(literals))


def _is_call(before: str) -> bool:
    return bool(re.search(r"[A-Za-z_}]$", before))


def _needed_left(literal: str) -> int:
    text = literal.rstrip()
    if text.endswith("+"):
        return SUM
    if text.endswith(("-", "*", "\\cdot")):
        return PREFIX
    if text.endswith("/"):
        return POWER
    # the end of a word, as in ``\max_a x``
    return POWER if re.search(r"[A-Za-z_}]$", text) else 0


def _needed_right(literal: str) -> int:
    text = literal.lstrip()
    if text.startswith(("*", "/", "\\cdot")):
        return PRODUCT
    if text.startswith(("+", "-")):
        return SUM
    return ATOM if text.startswith(("^", "(", "[", "\\left(")) else 0


def _level(literals: list[str]) -> int:
    flat, depth = "", 0
    for char in "x".join(literals).replace("\\left|", "(").replace("\\right|", ")"):
        depth += (char in _OPEN) - (char in _CLOSE)
        flat += char if depth == 0 or char in _OPEN else ""
    if flat.count("|") == 2:
        return PREFIX if flat.startswith("\\") else ATOM
    if flat.startswith("-") or re.search(r" [+-] ", flat):
        return SUM
    if "*" in flat or "/" in flat or "\\cdot" in flat or "\\tfrac" in flat:
        return PRODUCT
    if "^" in flat or "\\frac" in flat:
        return POWER
    return PREFIX if re.search(r"[A-Za-z_}] x$", flat) or flat.endswith("expx") else ATOM


def _tidy(text: str) -> str:
    """Return LaTeX with thin spaces for the dots of products, unless two numbers or a function's argument would seem to meet."""
    head, dot, tail = text.partition(" \\cdot ")
    if not dot or re.match(r"[\d-]", tail) or (tail.startswith("\\left(") and not re.search(r"\d$", head)):
        return text
    return f"{head}\\,{_tidy(tail)}"
