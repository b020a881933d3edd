"""Types of the values in a loss graph, and the rules by which an operator's inputs give its output."""

from __future__ import annotations

import enum
from collections.abc import Callable


class Type(enum.StrEnum):
    """Type of a register or node. Letters of shapes: N samples of a batch, A actions, D numbers of an observation."""

    FLOAT = "float"
    """One number for each sample, float32 [N]."""
    LIST = "list"
    """One number for each action and sample, float32 [A, N]."""
    ACTION = "action"
    """An action for each sample, one-hot float32 [A, N]."""
    PROBABILITY = "probability"
    """A distribution over actions for each sample, float32 [A, N]; `coreyes2021` alone tells it from a list."""
    STATE = "state"
    """An observation for each sample, float32 [D, N]."""
    VECTOR = "vector"
    """Features of an observation, float32 [F, N]."""
    PARAMETERS = "parameters"
    """A network: a function from states [D, N] to action values [A, N]."""
    HEAD = "head"
    """The rest of a network: a function from features [F, N] to action values [A, N]; `coreyes2021` alone."""
    CONSTANT = "constant"
    """The source of constants in `coreyes2021`: it carries no value."""


Rule = Callable[[tuple[Type, ...]], Type | None]
"""From the types of an operator's inputs to that of its output; None where it does not accept them."""


def elementwise(types: tuple[Type, ...]) -> Type | None:
    """Floats and lists in any mixture; a float is the same for all actions of a sample."""
    if not set(types) <= {Type.FLOAT, Type.LIST}:
        return None
    return Type.LIST if Type.LIST in types else Type.FLOAT


def exactly(*accepted: Type, gives: Type) -> Rule:
    """Return the rule that accepts one tuple of types."""

    def rule(types: tuple[Type, ...]) -> Type | None:
        return gives if types == accepted else None

    return rule
