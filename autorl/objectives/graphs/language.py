"""A language of loss graphs: its registers, and its operators as rows of a table. Data; no jax, no torch.

What an operator *does* stands under its own name in one module for each back end (``functions_jax``, ``functions_numpy``,
``functions_torch``): a plain function ``f(constant, *inputs)``. So a row and its functions are easy to compare, and an export can
quote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from autorl.errors import UnknownNameError
from autorl.objectives.graphs.types import Rule, Type
from autorl.registry import Registry

LIMIT = 1e10
"""Every node's value, and the slope that flows back through it, saturates at this size: no program overflows."""


@dataclass(frozen=True)
class Register:
    """An input of a graph, filled in by the learner that runs it.

    Attributes:
        name: As in files and formulas.
        type: Its type.
        latex: Its symbol.
        differentiable: Whether slopes flow from it into the agent's parameters.
        help: What it is, in one line.
    """

    name: str
    type: Type
    latex: str
    differentiable: bool
    help: str


@dataclass(frozen=True)
class Operator:
    """One row of the table.

    Attributes:
        name: Also the name of its function in every back end (see `function`).
        arity: Number of inputs, 0 to 3.
        rule: From input types to the output type.
        commutative: Whether the order of its inputs does not matter.
        text: Formula for people, ``{0} + {1}``; ``{c}`` is the node's constant.
        latex: The same in LaTeX.
        has_constant: Whether the node's constant matters to it.
        has_list_function: Whether it does something else to lists, by a function called ``NAME_list``.
        random: Whether two of its nodes with equal inputs still differ: they draw numbers, and must not be merged.
        called: Name of its function, where that is not its own.
    """

    name: str
    arity: int
    rule: Rule
    text: str
    latex: str
    commutative: bool = False
    has_constant: bool = False
    has_list_function: bool = False
    random: bool = False
    called: str = ""

    def function(self, types: tuple[Type, ...]) -> str:
        """Return the name of its function for inputs of ``types``, in every back end's module."""
        name = self.called or self.name
        return f"{name}_list" if self.has_list_function and Type.LIST in types else name


@dataclass(frozen=True)
class Language:
    """Operators, and the registers that each family of learners fills in.

    Attributes:
        name: As in files.
        operators: The table; positions are opcodes.
        families: Registers by family: ``value``, ``policy_gradient``, ``network``, ``level``.
        functions: Module prefix of the back ends' functions.
        source: Author, year.
        undrawn: Operators that a search draws only if it names them.
        uninterpreted: Operators that no interpreter runs, so that a search cannot draw them.
    """

    name: str
    operators: tuple[Operator, ...]
    families: Mapping[str, tuple[Register, ...]]
    functions: str
    source: str
    undrawn: frozenset[str] = frozenset()
    uninterpreted: frozenset[str] = frozenset()

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def opcodes(self) -> Mapping[str, int]:
        """Position of each operator in the table, by name."""
        return {operator.name: i for i, operator in enumerate(self.operators)}

    def operator(self, name: str) -> Operator:
        """Return the row called ``name``; raise `UnknownNameError` with a suggestion otherwise."""
        if name not in self.opcodes:
            raise UnknownNameError(f"operator of {self.name}", name, self.opcodes)
        return self.operators[self.opcodes[name]]

    def registers(self, family: str) -> tuple[Register, ...]:
        """Return the registers of ``family``; raise `UnknownNameError` if the language has no such family."""
        if family not in self.families:
            raise UnknownNameError(f"register family of {self.name}", family, self.families)
        return self.families[family]


LANGUAGES: Registry[Language] = Registry(
    "loss-graph language",
    {
        "autorl": "autorl.objectives.graphs.language_autorl:AUTORL",
        "coreyes2021": "autorl.objectives.graphs.language_coreyes2021:COREYES2021",
    },
)


@cache
def load_language(name: str) -> Language:
    """Return a language by name."""
    return LANGUAGES.load(name)
