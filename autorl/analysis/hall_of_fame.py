"""The hall of fame of a search over graphs: the best different losses (or level scores), and how the best one came about.

Losses that do the same to an agent share a row: their scores are averaged, so that one lucky seed does not carry a loss to the top. Where
hyperparameters are searched with them, a loss is worth what it is with its best ones: scores of different ones are not averaged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from autorl.analysis import page
from autorl.analysis.scores import finished, number, plural
from autorl.analysis.tables import Column, Table
from autorl.engine.winner import searches_graphs
from autorl.objectives.graphs.canonical import canonical, key
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.formula import formula_latex, formula_lines, formula_text
from autorl.objectives.graphs.graph import Graph
from autorl.outer.protocol import Status
from autorl.spaces import Space
from autorl.spaces.plain_values import OBJECTIVE, leaves, of_teacher, plain_values
from autorl.studies.trial import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 10
_CANDIDATES = 5
"""Times as many losses, by their form, are compared by what they do: clones of the best must not crowd out the rest."""
_MOST_STEPS = 200


@dataclass(frozen=True)
class Fame:
    """A loss found by a search.

    Attributes:
        graph: Its simplest form among the trials of equal behaviour, canonical.
        trials: Numbers of these trials, best first; those with the best other values before the rest.
        score: Mean over all seeds of the trials with these values (search seeds: no result).
        seeds: How many.
        size: Nodes that the loss depends on.
        others: The best values of all else that is searched, by name.
    """

    graph: Graph
    trials: tuple[int, ...]
    score: float
    seeds: int
    size: int
    others: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One trial on the way to the winner: what was done to its ancestor, and what came out."""

    trial: int
    origin: str
    score: float | None
    graph: Graph
    others: Mapping[str, Any] = field(default_factory=dict)


class _Trained(NamedTuple):
    trial: Trial
    graph: Graph
    others: Mapping[str, Any]


def graph_of(trial: Trial, space: Space | None) -> Graph | None:
    """Return the graph of a trial's candidate, its loss or else its teacher's score; None if it has none."""
    found = _trained(trial, space)
    return None if found is None else found.graph


def _trained(trial: Trial, space: Space | None) -> _Trained | None:
    """Return a trial with its graph and the values of all else that was searched; None if it has no graph."""
    values = plain_values(space, trial.candidate)
    scored = [name for name, value in values.items() if _is_score(name) and isinstance(value, Mapping)]
    place = OBJECTIVE if OBJECTIVE in values else next(iter(scored), None)
    if place is None:
        return None
    data = values.pop(place)
    if isinstance(data, str):
        from autorl.objectives.loader import load_objective

        return _Trained(trial, load_objective(data).graph, values)
    graph = data if place == OBJECTIVE else data["graph"]
    return _Trained(trial, graph_from_json(graph, f"trial {trial.number}"), values)


def _is_score(name: str) -> bool:
    return of_teacher(name) and name.endswith(".score")


def hall_of_fame(trials: Sequence[Trial], space: Space | None, count: int = SHOWN) -> list[Fame]:
    """Return the best different losses among completed search trials, best first; equal scores: the smaller loss first.

    Args:
        trials: Search trials of one arm.
        space: The space searched.
        count: Most losses.
    """
    groups: dict[str, list[_Trained]] = {}
    for trial in trials:
        own = _trained(trial, space) if trial.status is Status.COMPLETED and trial.score is not None else None
        if own is not None:
            groups.setdefault(key(own.graph), []).append(own)
    # with the key of its group: where random numbers are drawn, a canonical form may have another
    best = sorted(((_fame(own), form) for form, own in groups.items()), key=lambda pair: _rank(pair[0]))
    best = best[: _CANDIDATES * count]
    same: dict[str, list[_Trained]] = {}
    for (_, form), name in zip(best, _behaviours([fame.graph for fame, _ in best], space), strict=True):
        same.setdefault(name, []).extend(groups[form])
    return sorted((_fame(own) for own in same.values()), key=_rank)[:count]


def lineage(trials: Sequence[Trial], space: Space | None, winner: int) -> list[Step]:
    """Return the way from the first ancestor of trial ``winner`` to it, by the trials' ``ancestor``."""
    known = {trial.number: trial for trial in trials}
    steps: list[Step] = []
    at: int | None = winner
    while at is not None and at in known and len(steps) < _MOST_STEPS:
        trial = known[at]
        own = _trained(trial, space)
        if own is not None:
            steps.append(Step(trial.number, trial.origin, trial.score, own.graph, own.others))
        at = trial.ancestor if trial.ancestor is not None and trial.ancestor < at else None
    return steps[::-1]


def fame_table(found: Sequence[Fame]) -> Table:
    """Return one row a loss: rank, trial, mean score, seeds, trials, size, formula."""
    joint = any(fame.others for fame in found)
    score = ("best mean score", "seeds of it", "all trials") if joint else ("mean score", "seeds", "trials")
    columns = [Column(name) for name in ("rank", "trial", *score, "nodes")]
    rows = tuple(
        (
            str(rank),
            str(fame.trials[0]),
            number(fame.score),
            str(fame.seeds),
            str(len(fame.trials)),
            str(fame.size),
            formula_text(fame.graph),
            *([_listed(fame.others)] if joint else []),
        )
        for rank, fame in enumerate(found, 1)
    )
    noun = _noun(found[0].graph) if found else "loss"
    alike = "Losses that do the same to an agent" if noun == "loss" else "Level scores that order levels alike"
    chosen = "Scores are of search seeds: they choose, and are no result."
    note = f"{alike} share a row and a mean. {chosen}"
    if joint:
        note = f"{alike} share a row, with the values that did best and the mean of the trials with these: more trials, more luck. {chosen}"
    title = "Best different losses" if noun == "loss" else "Best different level scores"
    words = [Column(text, right=False) for text in (noun, *(["with"] if joint else []))]
    return Table(title, (*columns, *words), rows, note=note)


def lineage_table(steps: Sequence[Step]) -> Table:
    """Return one row a trial, from the start to the winner."""
    joint = any(step.others for step in steps)
    columns = (
        Column("trial"),
        Column("how", right=False),
        Column("score"),
        Column("nodes"),
        Column(_noun(steps[0].graph) if steps else "loss", right=False),
        *([Column("other values, where they changed", right=False)] if joint else []),
    )
    before = [{}, *(step.others for step in steps)]
    rows = tuple(
        (
            *(str(s.trial), s.origin, number(s.score), str(len(canonical(s.graph).nodes)), formula_text(s.graph)),
            *([_listed({k: v for k, v in s.others.items() if k not in old or old[k] != v})] if joint else []),
        )
        for s, old in zip(steps, before, strict=False)
    )
    note = "Each was made from the one above it." if len(rows) > 1 else ""
    return Table("How the winner came about", columns, rows, frozenset({len(rows) - 1} if rows else ()), note)


def parts(trials: Sequence[Trial], space: Space | None, winner: int | None) -> tuple[list[str], Figure | None]:
    """Return the section of the report, and the picture of the winner's graph; nothing unless graphs were searched.

    Args:
        trials: Search trials of the study's own method, in any state.
        space: The space searched.
        winner: Number of the search trial that won, or leads.
    """
    ended = [trial for trial in trials if finished(trial)]
    found = hall_of_fame(ended, space) if searches_graphs(space) else []
    if not found:
        return [], None
    from autorl.analysis.graph_picture import graph_picture

    chosen = next((t for t in ended if t.number == winner), None)
    graph = (graph_of(chosen, space) if chosen is not None else None) or found[0].graph
    name = f"trial {found[0].trials[0] if chosen is None else chosen.number}"
    noun = _noun(graph)
    text = "\n".join(
        [f"{noun.split()[-1]} = " + formula_lines(graph)[0], *formula_lines(graph)[1:], "", formula_latex(graph)]
    )
    steps = lineage(ended, space, found[0].trials[0] if chosen is None else chosen.number)
    made = [
        page.table(fame_table(found), heading=True),
        page.paragraph(f"The {noun} of {name}, simplified for reading, and in LaTeX:", "note"),
        page.code(text),
        page.table(lineage_table(steps), heading=True) if len(steps) > 1 else "",
    ]
    return made, graph_picture(graph, f"The {noun} of {name}: {plural(len(canonical(graph).nodes), 'node')}")


def _noun(graph: Graph) -> str:
    return "level score" if graph.family == "level" else "loss"


def _listed(values: Mapping[str, Any]) -> str:
    shown = {
        name: value for name, value in values.items() if not isinstance(value, Mapping)
    }  # another graph says nothing on one line
    return ", ".join(f"{name} {number(value) if isinstance(value, float) else value}" for name, value in shown.items())


def _fame(own: Sequence[_Trained]) -> Fame:
    """Return the row of trials of equal behaviour."""
    ranked = sorted(own, key=lambda one: (-(one.trial.score or 0.0), one.trial.number))
    alike: dict[str, list[_Trained]] = {}
    for one in ranked:
        alike.setdefault(json.dumps(one.others, sort_keys=True, default=str), []).append(one)
    score, best = max(((_mean(group), group) for group in alike.values()), key=lambda pair: pair[0])
    graph = min((canonical(one.graph) for one in ranked), key=lambda g: len(g.nodes))
    first = [one.trial.number for one in best]
    return Fame(
        graph=graph,
        trials=(*first, *(one.trial.number for one in ranked if one.trial.number not in first)),
        score=score,
        seeds=len({seed for one in best for seed in one.trial.seeds}),
        size=len(graph.nodes),
        others=best[0].others,
    )


def _mean(own: Sequence[_Trained]) -> float:
    """Return the mean score over all seeds of trials."""
    weights = [max(1, len(one.trial.seeds)) for one in own]
    return sum(w * (one.trial.score or 0.0) for w, one in zip(weights, own, strict=True)) / sum(weights)


def _rank(fame: Fame) -> tuple[float, int, int]:
    return (-fame.score, fame.size, fame.trials[0])


def _behaviours(graphs: Sequence[Graph], space: Space | None) -> list[str]:
    """Return a name for what each loss does: by the space's own fingerprints, else by its form."""
    part: Any = next((p for p in leaves(space) if hasattr(p, "screen") and hasattr(p, "candidate")), None)
    if part is None or not graphs:
        return [key(graph) for graph in graphs]
    return [name for name, _ in part.screen([part.candidate(graph) for graph in graphs])]
