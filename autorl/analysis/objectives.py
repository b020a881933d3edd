"""Objectives side by side: interquartile mean with interval, probability of improvement, performance profile; table and figure.

Scores of several environments are first put on one scale: in each, 0 is the worst score of all objectives and 1 the best, unless a range
is given. So a normalised score compares these objectives alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from autorl.analysis.scores import count, interval, number, plural
from autorl.analysis.statistics import (
    Array,
    fill_failures,
    iqm,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap_interval,
)
from autorl.analysis.style import BLUE, GREEN, INK, PURPLE, VERMILION, label, legend, new_figure, title
from autorl.analysis.tables import Column, Table, split
from autorl.analysis.tables import render as render_table
from autorl.keys import derive, role_of
from autorl.studies.objective_lines import labelled
from autorl.studies.trial import Json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Ranges = Mapping[str, tuple[float, float]]
THRESHOLDS = tuple(round(0.02 * i, 2) for i in range(51))
_MARKERS = "osD^vP*X"
_COLOURS = (BLUE, VERMILION, GREEN, PURPLE)


def summarise_scores(lines: Sequence[Json], ranges: Ranges | None = None, reference: str | None = None) -> Json:
    """Return what scores say, as plain data.

    Args:
        lines: As `autorl.engine.objective_scores.measure` returns them: equally many seeds everywhere.
        ranges: Scores that count as 0 and as 1, by environment. A failed training counts as 0 there, or less if another one does.
        reference: The objective that all others are paired with; by default every two are a pair.

    Returns:
        ``objectives`` (by name: ``iqm`` and ``interval`` of normalised scores, ``failed``, ``trainings``, ``train_env_steps``, ``profile``
        and ``environments``: raw ``scores``, ``iqm``, ``interval``), ``pairs``, ``thresholds``, ``ranges``, ``environments`` and
        ``warnings``. An environment without a range in which every training failed says nothing of anybody: it is left out, and a
        warning says so. ``objectives`` is empty if none is left.
    """
    names = list(dict.fromkeys(line["objective"] for line in lines))
    limits = ranges or {}
    tried = list(dict.fromkeys(line["environment"] for line in lines))
    scored = {line["environment"] for line in lines if line["score"] is not None}
    where = [w for w in tried if w in scored or w in limits]
    lost = _lost([w for w in tried if w not in where], bool(where))
    lines, every = [line for line in lines if line["environment"] in where], lines
    raw = {
        n: [[e["score"] for e in lines if (e["objective"], e["environment"]) == (n, w)] for w in where] for n in names
    }
    filled = fill_failures(raw, [limits[w][0] if w in limits else None for w in where]) if where else None
    found: Json = {
        "objectives": {},
        "environments": where,
        "pairs": [],
        "thresholds": list(THRESHOLDS),
        "ranges": {},
        "warnings": [],
    }
    if filled is None:
        return found | {"warnings": [*lost, *_failures(every)]}
    scale = _limits(filled, where, limits)
    normal = {n: _normalised(table, scale) for n, table in filled.items()}
    for name in names:
        own = [line for line in lines if line["objective"] == name]
        found["objectives"][name] = {
            **_middle(normal[name], name),
            "failed": sum(line["score"] is None for line in own),
            "trainings": len(own),
            "train_env_steps": sum(line["train_env_steps"] for line in own),
            "profile": [float(x) for x in performance_profile(normal[name], THRESHOLDS)],
            "environments": {
                w: {**_middle(filled[name][:, [e]], name, w), "scores": raw[name][e]} for e, w in enumerate(where)
            },
        }
    pairs = combinations(names, 2) if reference is None else ((n, reference) for n in names if n != reference)
    found["pairs"] = [_pair(a, b, normal) for a, b in pairs]
    found["ranges"] = dict(zip(where, map(list, scale), strict=True))
    return found | {"warnings": [*lost, *_warnings(found, limits), *_failures(every)]}


def evaluated(lines: Mapping[str, Json], graph: str) -> list[Json]:
    """Return what kept scores say of a graph (its `canonical.key`): a row for each environment, learner, settings, length and versions.

    Scores of tuning seeds chose something, so they are left out: they are no result.
    """
    groups: dict[tuple[Any, ...], list[Json]] = {}
    for line in lines.values():
        if line["graph"] == graph and role_of(line["seed"]) == "test":
            settings = " ".join(f"{k}={v}" for k, v in line["hyperparameters"].items())
            where = labelled(line["environment"], line["task"])
            judged = tuple(line["evaluation"].values())
            made = tuple((line.get("versions") or {}).items())  # lines of older versions do not say
            groups.setdefault((where, line["learner"], settings, line["steps"], judged, made), []).append(line)
    rows = []
    for (environment, learner, settings, steps, judged, made), own in groups.items():
        scores = fill_failures({"": [[line["score"] for line in own]]})
        middle = {"iqm": None, "interval": None} if scores is None else _middle(scores[""], environment)
        row = {"environment": environment, "learner": f"{learner} {settings}".strip(), "seeds": len(own)}
        row |= {"versions": dict(made)} if made else {}
        row |= {"evaluation": dict(zip(own[0]["evaluation"], judged, strict=True))}
        rows.append({**row, "env_steps": steps, "score": middle["iqm"], "interval": middle["interval"]})
    return rows


def render(found: Json, heading: str = "Objectives") -> str:
    """Return the summary as text: tables, then warnings."""
    parts = [render_table(table) for table in tables(found, heading) if table.rows]
    return "\n".join([*parts, *(f"Note: {text}" for text in found["warnings"])]).rstrip() + "\n"


def tables(found: Json, heading: str = "Objectives") -> list[Table]:
    """Return the tables: objectives, environments where there are several, pairs. ``heading`` begins the first one's title."""
    where = found["environments"]
    one = len(where) == 1
    rows = []
    for name, own in found["objectives"].items():
        shown = own["environments"][where[0]] if one else own
        failed = f"{own['failed']} of {own['trainings']}"
        rows.append((name, number(shown["iqm"]), interval(shown["interval"]), failed, count(own["train_env_steps"])))
    headings = ("score IQM" if one else "normalised IQM", "95 % interval", "failed", "env steps")
    columns = (Column("objective", right=False), *map(Column, headings))
    made = [Table(f"{heading} on {scope(where)}", columns, tuple(rows))]
    if not one:
        made += split(_by_environment(found, where))
    return [*made, _pairs(found)]


def scope(where: Sequence[str]) -> str:
    """Return the environment, or how many there are."""
    return where[0] if len(where) == 1 else f"{len(where)} environments"


def _pairs(found: Json) -> Table:
    chances = tuple(
        (p["objective"], p["against"], f"{p['probability']:.2f}", _shares(p["interval"]), p["verdict"])
        for p in found["pairs"]
    )
    columns = (
        Column("objective", right=False),
        Column("against", right=False),
        Column("P(better)"),
        Column("95 % interval"),
        Column("verdict", right=False),
    )
    note = "P(better): how likely a training of the first is to score above one of the second; ties count half."
    return Table("Pairs", columns, chances, note=note)


def _by_environment(found: Json, where: Sequence[str]) -> Table:
    columns = (Column("objective", right=False), *(Column(w.rpartition(":")[2]) for w in where))
    rows = [
        (
            name,
            *(f"{number(own['environments'][w]['iqm'])} {interval(own['environments'][w]['interval'])}" for w in where),
        )
        for name, own in found["objectives"].items()
    ]
    return Table("Scores (IQM, 95 % interval)", columns, tuple(rows))


def objectives_figure(found: Json, heading: str = "Objectives") -> Figure:
    """Return the figure: interquartile means with intervals at the left, performance profiles at the right."""
    figure, (left, right) = new_figure(1.2 + max(2.2, 0.42 * len(found["objectives"])), 1, 2)
    for row, (name, own) in enumerate(found["objectives"].items()):
        colour, marker = _COLOURS[row % len(_COLOURS)], _MARKERS[row % len(_MARKERS)]
        if own["interval"]:
            left.plot(own["interval"], [row, row], "-", color=colour, linewidth=3.5, alpha=0.5, solid_capstyle="butt")
        left.plot([own["iqm"]], [row], marker, color=colour, markersize=7)
        right.plot(
            found["thresholds"], own["profile"], color=colour, label=name, marker=marker, markevery=10, markersize=5
        )
    left.set_yticks(range(len(found["objectives"])), list(found["objectives"]))
    left.set_ylim(len(found["objectives"]) - 0.5, -0.5)
    left.tick_params(axis="y", labelcolor=INK, length=0)
    label(left, x="normalised score: interquartile mean, 95 % interval")
    label(right, x="normalised score τ", y="share of trainings above τ")
    legend(right, columns=1, loc="best")
    title(figure, f"{heading} on {scope([w.rpartition(':')[2] for w in found['environments']])}")
    return figure


def _middle(scores: Array, *path: str) -> Json:
    bounds = stratified_bootstrap_interval(scores, seed=derive(0, "objectives", *path)) if len(scores) > 1 else None
    return {"iqm": iqm(scores), "interval": None if bounds is None else list(bounds)}


def _limits(filled: Mapping[str, Array], where: Sequence[str], ranges: Ranges) -> list[tuple[float, float]]:
    everything = np.concatenate(list(filled.values()))
    return [ranges.get(w, (float(everything[:, e].min()), float(everything[:, e].max()))) for e, w in enumerate(where)]


def _normalised(scores: Array, limits: Sequence[tuple[float, float]]) -> Array:
    low, high = (np.array(bounds) for bounds in zip(*limits, strict=True))
    width = high - low
    return np.where(width > 0, (scores - low) / np.where(width > 0, width, 1.0), 0.5)  # all equal: nobody is better


def _pair(a: str, b: str, normal: Mapping[str, Array]) -> Json:
    chance = probability_of_improvement(normal[a], normal[b], seed=derive(0, "objectives", a, b))
    several = min(len(normal[a]), len(normal[b])) > 1
    low, high = chance.interval
    verdict = "one seed cannot tell" if not several else "not distinguishable"
    if several and not low <= 0.5 <= high:
        verdict = f"{a if chance.probability > 0.5 else b} is better"
    return {
        "objective": a,
        "against": b,
        "probability": chance.probability,
        "interval": list(chance.interval) if several else None,
        "verdict": verdict,
    }


def _lost(where: Sequence[str], others: bool) -> list[str]:
    """Say in which environments every training failed."""
    if not where:
        return []
    rest = (
        f"{'it is' if len(where) == 1 else 'they are'} left out of everything here"
        if others
        else "nothing can be compared"
    )
    return [f"In {' and '.join(where)} every training failed: {rest}."]


def _failures(lines: Sequence[Json]) -> list[str]:
    """Say how often trainings failed in which way, with an example of each."""
    said = []
    for status in dict.fromkeys(line["status"] for line in lines if line["score"] is None):
        own = [line for line in lines if line["score"] is None and line["status"] == status]
        example = f", such as {own[0]['objective']} in {own[0]['environment']}"
        message = str(own[0].get("message") or "").rstrip(".")
        text = f"{plural(len(own), 'training')} ended as {str(status).replace('_', ' ')}{example}{f': {message}' if message else ''}."
        said.append(f"{text} The same command tries them again." if status == "crashed" else text)
    return said


def _warnings(found: Json, ranges: Ranges) -> list[str]:
    worst = "the worst score of all there" + (", and no more than 0 of its range" if ranges else "")
    said = [
        f"{name}: {own['failed']} of {own['trainings']} trainings failed; each counts as {worst}."
        for name, own in found["objectives"].items()
        if own["failed"]
    ]
    own_scale = [w for w in found["environments"] if w not in ranges]
    if own_scale and len(found["environments"]) > 1:
        said.append("Normalised: in each environment 0 is the worst training of all objectives here and 1 the best.")
    return said


def _shares(bounds: Sequence[Any] | None) -> str:
    return "-" if bounds is None else f"[{bounds[0]:.2f}, {bounds[1]:.2f}]"
