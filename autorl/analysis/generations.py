"""Generations side by side: every arm of every generation, and of the control that trained as long in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autorl.analysis.compare import compare_studies
from autorl.analysis.compare import tables as compared
from autorl.analysis.scores import arm_name, count, interval, number
from autorl.analysis.tables import Column, Table
from autorl.analysis.tables import render as render_table
from autorl.inner.task_statistics import WORST
from autorl.studies.trial import Json, Trial

Finished = tuple[str, Mapping[str, Any], Json, Sequence[Trial]]
"""Name, resolved specification, result, every trial."""


def summarise(studies: Sequence[Finished], generations: int) -> Json:
    """Return what generations came to: ``studies``, then ``pairs`` and ``warnings`` as `autorl.analysis.compare.compare_studies`.

    Each of ``studies`` is ``{name, generation, seed, headline, method, arms}``: ``generation`` counts from 1 and is None for the control;
    ``arms`` has of each arm ``{score, interval, failed, trainings, env_steps, success, returns, intervals}``: ``env_steps`` are those of
    one test training and of its ancestors, None where these are not known; the last three are of held-out tasks, as
    `autorl.analysis.held_out.held_out_summary`, or None.

    Args:
        studies: The generations in their order, then the control if there is one.
        generations: How many of ``studies`` are generations.
    """
    outcome = compare_studies(
        [(name, specification, trials) for name, specification, _, trials in studies], unlike=True
    )
    rows = [
        _facts(name, specification, result, i + 1 if i < generations else None)
        for i, (name, specification, result, _) in enumerate(studies)
    ]
    return {"studies": rows, "pairs": outcome["pairs"], "warnings": outcome["warnings"], "compared": outcome}


def _facts(name: str, specification: Mapping[str, Any], result: Json, generation: int | None) -> Json:
    held, guides = result.get("held_out") or {}, result.get("guide_env_steps") or {}
    arms = {}
    for arm, own in result["arms"].items():
        seen, ancestors = held.get(arm) or {}, guides.get(arm, 0)
        arms[arm] = {
            **{key: own[key] for key in ("score", "interval", "failed", "trainings")},
            "env_steps": None if ancestors is None else own["env_steps"] + ancestors,
            **{key: seen.get(key) for key in ("success", "returns", "intervals")},
        }
    return {
        "name": name,
        "generation": generation,
        "seed": (specification.get("seeds") or {}).get("study", 0),
        "headline": result["headline"],
        "method": result["method"],
        "arms": arms,
    }


def tables(outcome: Json) -> list[Table]:
    """Return two tables: every arm of every study, and each pair of studies."""
    return [_arms_table(outcome["studies"]), compared(outcome["compared"])[1]]


def render(outcome: Json) -> str:
    """Return the tables and the warnings as text for standard output."""
    parts = [render_table(table) for table in tables(outcome) if table.rows]
    parts += [f"Warning: {warning}" for warning in outcome["warnings"]]
    return "\n".join(parts).rstrip() + "\n"


def _arms_table(studies: Sequence[Json]) -> Table:
    texts = [Column(name, right=False) for name in ("generation", "arm")]
    names = ("test IQM", "95 % interval", "failed", "held-out mean", f"CVaR {WORST:.0%}", "steps of all")
    rows = tuple(
        (
            "in one go" if study["generation"] is None else str(study["generation"]),
            arm_name(arm, study["method"]),
            number(own["score"]),
            interval(own["interval"]),
            f"{own['failed']} of {own['trainings']}",
            *(_held_out(own, name) for name in ("mean", "cvar")),
            "?" if own["env_steps"] is None else count(own["env_steps"]),
        )
        for study in studies
        for arm, own in study["arms"].items()
    )
    note = (
        "Who imitates, imitates at first the one policy that the method's arm of the generation before kept: intervals are over trainings "
        "of this one lineage. Held-out: success over held-out tasks (return, where there is no success), with 95 % bootstrap intervals. "
        "Steps of all: env steps of one test training and of its ancestors', without what their searches took; where they are more than "
        "one training's, it imitates."
    )
    return Table("Generations on test seeds", (*texts, *map(Column, names)), rows, frozenset(), note)


def _held_out(own: Json, name: str) -> str:
    kind = own["returns"] if own["success"] is None else own["success"]
    if kind is None:
        return "-"
    bounds = (own["intervals"] or {}).get(name)
    return number(kind[name]) + ("" if bounds is None else f" {interval(bounds)}")
