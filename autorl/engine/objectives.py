"""From loss graphs in candidates to what learners run: interpreted for screening, fused into one program for long trainings.

In a trial's plan a graph is plain data, so that it can be recorded and compared. Here it becomes an `Objective`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from autorl.spaces import Space
from autorl.spaces.plain_values import OBJECTIVE, leaves

if TYPE_CHECKING:
    from autorl.objectives.graphs.graph import Graph
    from autorl.objectives.graphs.runners import AnySignature

USUAL_BATCH = 32
"""Graphs that share a program, as the choice of the back end takes it. Not the number at hand: after a kill fewer are left to train,
and they must train by the same back end, or their bits would change."""


@dataclass(frozen=True)
class Objectives:
    """Makes the objectives of one study.

    Attributes:
        signature: What the interpreter must be able to run: all that the study's space can propose. None where nothing is searched
            for: then graphs are always compiled.
        company: Graphs (as text) that train together, whichever of them are still to train.
    """

    signature: AnySignature | None = None
    company: tuple[str, ...] = ()

    def among(self, values: Iterable[Mapping[str, Any]]) -> Objectives:
        """Return the maker for trainings among ``values``, of which some may have ended already.

        Fused losses are one program for all that train together. It must be the same one after a resume, when fewer are left, or bits
        might change.
        """
        texts = (_text(own[OBJECTIVE]) for own in values if _is_graph(own.get(OBJECTIVE)))
        return replace(self, company=tuple(dict.fromkeys(texts)))

    def made(self, plans: Sequence[Mapping[str, Any]], env_steps: int) -> list[Mapping[str, Any]]:
        """Return ``plans`` with every graph among them as an objective that its learner can run.

        Args:
            plans: Hyperparameters of one environment's trainings. Under `OBJECTIVE` stands a graph, as `graph_to_json` writes it, or the
                name of a learned objective, or nothing.
            env_steps: Of one whole training there: what the choice of the back end depends on.
        """
        texts = {i: _text(plan[OBJECTIVE]) for i, plan in enumerate(plans) if _is_graph(plan.get(OBJECTIVE))}
        if not texts:
            return list(plans)
        made = self._objectives(tuple(dict.fromkeys([*self.company, *texts.values()])), env_steps)
        return [{**plan, OBJECTIVE: made[texts[i]]} if i in texts else plan for i, plan in enumerate(plans)]

    def _objectives(self, texts: Sequence[str], env_steps: int) -> dict[str, Any]:
        from autorl.objectives.graphs import runners
        from autorl.objectives.graphs.back_end import preferred_back_end

        graphs = {text: _graph(text) for text in texts}
        made: dict[str, Any] = {}
        if self.signature is not None and preferred_back_end(env_steps, USUAL_BATCH) == "interpreter":
            able = {text: graph for text, graph in graphs.items() if self.signature.covers(graph)}
            made = {text: runners.interpreted(graph, self.signature) for text, graph in able.items()}
        rest = {text: graph for text, graph in graphs.items() if text not in made}
        if len(rest) == 1:
            return made | {text: runners.compiled(graph) for text, graph in rest.items()}
        return made | dict(zip(rest, runners.fused(list(rest.values())) if rest else [], strict=True))


def _is_graph(value: Any) -> bool:
    return isinstance(value, Mapping | str)


def _text(value: Mapping[str, Any] | str) -> str:
    """Return a graph as canonical JSON, or the name of a learned objective as a JSON text."""
    return json.dumps(value if isinstance(value, str) else dict(value), sort_keys=True)


def _graph(text: str) -> Graph:
    value = json.loads(text)
    if isinstance(value, str):
        from autorl.objectives.loader import load_objective

        return load_objective(value).graph
    from autorl.objectives.graphs.files import graph_from_json

    return graph_from_json(value, OBJECTIVE)


def signature_of(space: Space | None) -> AnySignature | None:
    """Return what an interpreter must be able to run for all loss graphs of ``space``; None if it has none."""
    for part in leaves(space):
        signature: AnySignature | None = getattr(part, "signature", None)
        if signature is not None:
            return signature
    return None
