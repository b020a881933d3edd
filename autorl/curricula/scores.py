"""Level scores: how much a level promises to teach, from the feedback of its episodes. Each is named as in the papers.

A score reads registers of the family ``level`` (`autorl.objectives.graphs.language_autorl`). The named ones are written by hand; any other
is a graph, as loss graphs are, run by their interpreter: data of the program, so that scores can be searched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from autorl.errors import UnknownNameError, UsageError
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.interpreter import InterpretedLoss
from autorl.objectives.graphs.language import load_language
from autorl.objectives.graphs.program import Signature
from autorl.objectives.protocol import Objective, Registers

FAMILY = "level"
"""Register family of scores."""

CHANNEL_OF: Mapping[str, str] = {
    "return": "returns",
    "max_return": "returns",
    "previous_return": "returns",
    "value": "mean_values",
    "positive_value_loss": "positive_value_losses",
    "absolute_value_loss": "absolute_value_losses",
    "success_rate": "successes",
    "antagonist_return": "antagonist_returns",
    "staleness": "returns",
}
"""Which channel of `autorl.curricula.protocol.Feedback` a register is made of."""


@jax.tree_util.register_static
@dataclass(frozen=True)
class Score:
    """A level score written by hand; an `Objective` of the family ``level``.

    Attributes:
        needs: Registers that it reads.
        function: From the registers, float32 [n] each, to the scores, float32 [n].
        reference: Authors and year.
    """

    needs: tuple[str, ...]
    function: Callable[[Registers], Array]
    reference: str

    @property
    def family(self) -> str:
        """``level``."""
        return FAMILY

    def per_sample(self, registers: Registers) -> Array:
        """Return the score of each level, float32 [n]."""
        return self.function(registers)


SCORES: dict[str, Score] = {
    "max_mc": Score(
        ("max_return", "value"),
        lambda r: r["max_return"] - r["value"],
        "Jiang et al., 2021, Replay-Guided Adversarial Environment Design",
    ),
    "positive_value_loss": Score(
        ("positive_value_loss",),
        lambda r: r["positive_value_loss"],
        "Jiang et al., 2021, Replay-Guided Adversarial Environment Design",
    ),
    "l1_value_loss": Score(
        ("absolute_value_loss",),
        lambda r: r["absolute_value_loss"],
        "Jiang et al., 2021, Prioritized Level Replay",
    ),
    "learnability": Score(
        ("success_rate",),
        lambda r: r["success_rate"] * (1.0 - r["success_rate"]),
        "Rutherford et al., 2024, No Regrets",
    ),
    "regret": Score(
        ("return", "antagonist_return"),
        lambda r: r["antagonist_return"] - r["return"],
        "Dennis et al., 2020, Emergent Complexity and Zero-shot Transfer via Unsupervised Environment Design",
    ),
    "progress": Score(
        ("return", "previous_return"),
        lambda r: jnp.abs(r["return"] - r["previous_return"]),
        "Portelas et al., 2019, Teacher Algorithms for Curriculum Learning of Deep RL",
    ),
}

LevelScore = Objective
"""A `Score`, or a graph of the family ``level`` (`InterpretedLoss`)."""


def score_field(default: str, help: str) -> Any:
    """Declare a level score among a teacher's parameters: a subtree, whose leaves are data of the program."""
    return dataclasses.field(default=default, metadata={"traced": False, "help": help, "parse": level_score})


def channels_of(score: LevelScore) -> frozenset[str]:
    """Return the channels that ``score`` is made of."""
    return frozenset(CHANNEL_OF[name] for name in score.needs)


def level_score(value: Any) -> LevelScore:
    """Return the score that ``value`` means.

    Args:
        value: A name of `SCORES`; a graph of the family ``level`` as `autorl.objectives.graphs.files` writes it; or ``{graph, registers,
            operators, nodes}`` with what else the same program shall be able to run, so that candidates of a search share one.

    Raises:
        UsageError: None of these.
    """
    if isinstance(value, str):
        if value not in SCORES:
            raise UnknownNameError("level score", value, SCORES)
        return SCORES[value]
    if isinstance(value, Mapping):
        try:
            return _graph(value)
        except UsageError as error:
            raise UsageError(f"level score: {error}") from error
    if isinstance(value, Score | InterpretedLoss) and value.family == FAMILY:
        return value
    raise UsageError(
        f"level score: expected one of {', '.join(SCORES)}, or a graph of the family {FAMILY!r}, got {value!r:.60}"
    )


def _graph(value: Mapping[str, Any]) -> InterpretedLoss:
    known = ("graph", "registers", "operators", "nodes")
    together = value if "graph" in value else {"graph": value}
    unknown = sorted(set(together) - set(known))
    if unknown:
        raise UsageError(f"unknown field {unknown[0]!r}; known are {', '.join(known)}")
    graph = graph_from_json(together["graph"], "graph")
    if graph.family != FAMILY:
        raise UsageError(f"graph: expected the family {FAMILY!r}, got {graph.family!r}")
    own, table = Signature.covering([graph]), load_language(graph.language)
    allowed = {"registers": [r.name for r in graph.registers], "operators": [o.name for o in table.operators]}
    wider: dict[str, tuple[str, ...]] = {}
    for field, names in allowed.items():
        given = together.get(field, ())
        wrong = [name for name in given if name not in names] if isinstance(given, list | tuple) else [given]
        if wrong:
            raise UsageError(f"{field}: expected names of {', '.join(names)}, got {wrong[0]!r}")
        wider[field] = tuple(name for name in names if name in (*getattr(own, field), *given))
    nodes = together.get("nodes", own.nodes)
    if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < own.nodes:
        raise UsageError(f"nodes: expected a whole number from {own.nodes}, the graph's own, got {nodes!r}")
    return InterpretedLoss.of(graph, Signature(graph.language, FAMILY, wider["registers"], wider["operators"], nodes))
