"""From loss graphs in candidates to what learners run: interpreted for screening, fused into one program for long trainings.

In a trial's plan a graph is plain data, so that it can be recorded and compared. Here it becomes an `Objective`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autorl.spaces import Space
from autorl.spaces.plain_values import OBJECTIVE, leaves

if TYPE_CHECKING:
    from autorl.objectives.graphs.graph import Graph
    from autorl.objectives.graphs.program import Signature

USUAL_BATCH = 32
"""Graphs that share a program, as the choice of the back end takes it. Not the number at hand: after a kill fewer are left to train,
and they must train by the same back end, or their bits would change."""


@dataclass(frozen=True)
class Objectives:
    """Makes the objectives of one study.

    Attributes:
        signature: What the interpreter must be able to run: all that the study's space can propose. None where nothing is searched
            for: then graphs are always compiled.
    """

    signature: Signature | None = None

    def made(self, plans: Sequence[Mapping[str, Any]], env_steps: int) -> list[Mapping[str, Any]]:
        """Return ``plans`` with every graph among them as an objective; all that train together share one back end.

        Args:
            plans: Hyperparameters of one environment's trainings; a graph stands under `OBJECTIVE` as `graph_to_json` writes it.
            env_steps: Of one whole training there: what the choice of the back end depends on.
        """
        if not any(isinstance(plan.get(OBJECTIVE), Mapping) for plan in plans):
            return list(plans)
        from autorl.objectives.graphs.files import graph_from_json

        texts = {
            i: json.dumps(p[OBJECTIVE], sort_keys=True)
            for i, p in enumerate(plans)
            if isinstance(p.get(OBJECTIVE), Mapping)
        }
        graphs = {text: graph_from_json(json.loads(text), OBJECTIVE) for text in dict.fromkeys(texts.values())}
        objectives = self._objectives(graphs, env_steps)
        return [{**plan, OBJECTIVE: objectives[texts[i]]} if i in texts else plan for i, plan in enumerate(plans)]

    def _objectives(self, graphs: Mapping[str, Graph], env_steps: int) -> dict[str, Any]:
        from autorl.objectives.graphs.back_end import preferred_back_end

        distinct = list(graphs.values())
        if self.signature is not None and preferred_back_end(env_steps, USUAL_BATCH) == "interpreter":
            from autorl.objectives.graphs.interpreter import InterpretedLoss
            from autorl.objectives.graphs.program import pack

            return {text: InterpretedLoss(pack(graph, self.signature)) for text, graph in graphs.items()}
        from autorl.objectives.graphs.compiled import CompiledLoss, FusedLoss

        if len(distinct) == 1:
            return dict.fromkeys(graphs, CompiledLoss.of(distinct[0]))
        return dict(zip(graphs, FusedLoss.batch(distinct), strict=True))


def signature_of(space: Space | None) -> Signature | None:
    """Return what an interpreter must be able to run for all loss graphs of ``space``; None if it has none."""
    for part in leaves(space):
        signature: Signature | None = getattr(part, "signature", None)
        if signature is not None:
            return signature
    return None
