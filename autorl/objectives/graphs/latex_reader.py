"""Reading a formula's LaTeX back into numbers: what a reader of the paper would compute, not what the graph says.

Only of the formulas that `formula` writes. The test that a LaTeX export writes beside itself quotes this file, which therefore needs
nothing of ours: the functions that give each sign its meaning, guards included, are handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Function = Callable[..., Any]

_PREFIXES: Final[Mapping[str, str]] = {
    r"\log\sum_a\exp ": "logsumexp",
    r"\arg\max_a ": "argmax",
    r"\max_a ": "max_a",
    r"\sum_a ": "sum_a",
    r"\operatorname{mean}_a ": "mean_a",
    r"\operatorname{std}_a ": "std_a",
    r"\operatorname{softmax}_a ": "softmax",
    r"\operatorname{mean}_n ": "mean_n",
    r"\operatorname{std}_n ": "std_n",
}
"""Signs that stand before one power."""
_ENCLOSED: Final[Mapping[str, tuple[str, str]]] = {
    r"\left(": ("", r"\right)"),
    r"\left|": ("abs", r"\right|"),
    r"\log\left|": ("log", r"\right|"),
    r"\exp\left(": ("exp", r"\right)"),
    r"\tanh\left(": ("tanh", r"\right)"),
    r"\operatorname{sg}\left(": ("stop", r"\right)"),
    r"\operatorname{noise}\left(": ("noise", r"\right)"),
    r"\operatorname{KL}\left(": ("kl", r"\right)"),
    r"\operatorname{clip}\left(": ("clip", r"\right)"),
    r"\mathcal{H}_a\left(": ("entropy", r"\right)"),
    r"\min(": ("min", ")"),
    r"\max(": ("max", ")"),
}
"""What opens arguments, apart from commas: (sign, what closes them)."""
_ENTRYWISE: Final = frozenset(
    {"add", "sub", "mul", "div", "min", "max", "clip", "abs", "negative", "noise", "mean_n", "std_n"}
)
"""Signs whose value for a state, or for features, is again one."""
_NUMBER: Final = re.compile(r"10\^\{(-?\d+)\}|(\d+(?:\.\d+)?)(?: \\times 10\^\{(-?\d+)\})?")


@dataclass(frozen=True)
class Value:
    """Numbers of a formula.

    Attributes:
        array: float [1 or A, N], or [D, N] of a state or of features.
        wide: Whether it is a state or features: products of two are summed over their numbers.
    """

    array: Any
    wide: bool = False


def read_latex(
    lines: Mapping[str, str], symbols: Mapping[str, Value | Function], meaning: Mapping[str, Function]
) -> Any:
    """Return the values of the formula ``L``, float [1 or A, N].

    Args:
        lines: Right-hand side by left-hand side: ``L``, and what it names, each only by earlier ones.
        symbols: Values, and networks, by their LaTeX.
        meaning: The function of arrays for each sign (``add``, ``max_a``, ...); ``dot`` and ``norm`` are of states and features.

    Raises:
        ValueError: The text is not understood.
    """
    known = dict(symbols)
    for name, text in lines.items():
        if name in symbols:
            raise ValueError(f"{name!r} is given, and may not be defined")
        if name != "L":
            known[name] = _read(text, known, meaning)
    return _read(lines["L"], known, meaning).array


def _read(text: str, symbols: Mapping[str, Value | Function], meaning: Mapping[str, Function]) -> Value:
    reader = _Reader(text, symbols, meaning)
    value = reader.sum()
    if reader.at != len(text):
        raise reader.error("an end")
    return value


class _Reader:
    """A recursive descent through one formula: sums of products of powers."""

    def __init__(self, text: str, symbols: Mapping[str, Value | Function], meaning: Mapping[str, Function]) -> None:
        self.text, self.symbols, self.meaning = text, symbols, meaning
        self.names = sorted(symbols, key=len, reverse=True)
        self.at = 0

    def error(self, wanted: str) -> ValueError:
        return ValueError(f"expected {wanted} at {self.text[self.at :]!r} of {self.text!r}")

    def takes(self, literal: str) -> bool:
        found = self.text.startswith(literal, self.at)
        self.at += len(literal) if found else 0
        return found

    def expect(self, literal: str) -> None:
        if not self.takes(literal):
            raise self.error(repr(literal))

    def first(self, literals: Any) -> str | None:
        return next((literal for literal in literals if self.takes(literal)), None)

    def apply(self, sign: str, *values: Value) -> Value:
        wide = any(value.wide for value in values)
        both = wide and sign in ("mul", "square") and all(value.wide for value in values)
        name = {"mul": "dot", "square": "norm"}[sign] if both else sign
        if name not in self.meaning:
            raise self.error(f"a sign of this language, not {name!r},")
        return Value(self.meaning[name](*(value.array for value in values)), wide and not both and sign in _ENTRYWISE)

    def sum(self) -> Value:
        value = self.apply("negative", self.product()) if self.takes("-") else self.product()
        while sign := self.first((" + ", " - ")):
            value = self.apply("add" if sign == " + " else "sub", value, self.product())
        return value

    def product(self) -> Value:
        value = self.halved()
        while self.first((r" \cdot ", r"\,")):
            value = self.apply("mul", value, self.halved())
        return value

    def halved(self) -> Value:
        half = self.takes(r"\tfrac{1}{2}")
        return self.apply("mul", _number(0.5), self.factor()) if half else self.factor()

    def factor(self) -> Value:
        prefix = None if self._named() else self.first(_PREFIXES)
        return self.power() if prefix is None else self.apply(_PREFIXES[prefix], self.power())

    def power(self) -> Value:
        value, raised = self.atom(), False
        while sign := self.first(("^2", "^{+}", "[")):
            if raised and sign != "[":
                raise self.error("no second exponent")
            raised = sign != "["
            if sign == "[":
                value = self.apply("select", value, self.sum())
                self.expect("]")
            else:
                value = self.apply("square" if sign == "^2" else "relu", value)
        return value

    def atom(self) -> Value:
        name = self._named()
        if name is not None:
            return self._symbol(name)
        opening = self.first(_ENCLOSED)
        if opening is not None:
            sign, closing = _ENCLOSED[opening]
            values = self._arguments(closing)
            return self.apply(sign, *values) if sign else values[0]
        if self.takes(r"\frac{"):
            above = self._arguments("}")
            self.expect("{")
            return self.apply("div", *above, *self._arguments("}"))
        if self.takes(r"\phi_{"):
            name = self._named()
            self.expect((name or "") + "}")
            return Value(self._called(name).array, wide=True)
        if self.takes("["):
            left = self.sum()
            self.expect(" > ")
            right = self.sum()
            self.expect("]")
            return self.apply("greater", left, right)
        return self._selected() or self._numeral()

    def _arguments(self, closing: str) -> list[Value]:
        values = [self.sum()]
        while self.takes(", "):
            values.append(self.sum())
        self.expect(closing)
        return values

    def _named(self) -> str | None:
        return next((name for name in self.names if self.text.startswith(name, self.at)), None)

    def _symbol(self, name: str) -> Value:
        self.expect(name)
        value = self.symbols[name]
        return value if isinstance(value, Value) else self._called(name)

    def _called(self, name: str | None) -> Value:
        network = self.symbols.get(name or "")
        if network is None or isinstance(network, Value):
            raise self.error("a network")
        self.expect(r"\left(")
        (state,) = self._arguments(r"\right)")
        return Value(network(state.array))

    def _selected(self) -> Value | None:
        """Read Q(s, a'): the entry of the list Q(s, .)."""
        for name in self.names:
            stem = name.removesuffix(r",\cdot)")
            if stem != name and self.takes(stem + ", "):
                (action,) = self._arguments(")")
                return self.apply("select", self._list(name), action)
        return None

    def _list(self, name: str) -> Value:
        value = self.symbols[name]
        assert isinstance(value, Value)
        return value

    def _numeral(self) -> Value:
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            raise self.error("a value")
        self.at = found.end()
        power, mantissa, exponent = found.groups()
        return _number(float(f"1e{power}") if mantissa is None else float(f"{mantissa}e{exponent or 0}"))


def _number(value: float) -> Value:
    return Value(np.full((1, 1), value, np.float32))
