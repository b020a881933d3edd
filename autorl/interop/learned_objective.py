"""A study's winning loss for the catalogue ``learned_objectives``: the graph, and where it comes from."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from autorl import catalogue
from autorl.errors import StudyError, UsageError
from autorl.interop.export import best_schedule, winner_values
from autorl.objectives.graphs.files import graph_from_json, graph_to_json
from autorl.objectives.graphs.formula import formula_text
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.loader import GRAPH, PROVENANCE
from autorl.objectives.provenance import check_provenance
from autorl.spaces.plain_values import OBJECTIVE, of_teacher
from autorl.studies.files import storage_errors
from autorl.studies.specification import Specification
from autorl.studies.trial import OBJECTIVE_ARM, Trial


def graph_file(specification: Specification, best: Trial | None, trials: Sequence[Trial]) -> str:
    """Return the graph of the winner's loss as JSON, which ``autorl objective`` takes in a file ``NAME.json``.

    Raises:
        StudyError: No trial has completed yet.
        UsageError: No loss graph was searched.
    """
    return _written(_graph(specification, best, trials))


def write(
    folder: Path,
    specification: Specification,
    best: Trial | None,
    trials: Sequence[Trial],
    result: Mapping[str, Any],
    about: Mapping[str, Any],
) -> Path:
    """Write the winner's loss as a folder of the catalogue; return the folder.

    Args:
        folder: Its last part is the name of the objective.
        specification: The study's.
        best: The winner.
        trials: The search trials of the study's own method.
        result: Of the study: what the winner scored where it was tested, and others beside it.
        about: The study's manifest.

    Raises:
        StudyError, UsageError: As `graph_file`; or a name that the catalogue cannot have, or a folder that is there already or cannot be
            written.
    """
    name = folder.absolute().name
    if not catalogue.NAME.fullmatch(name):
        raise UsageError(f"objective {name!r}: expected a name of a-z, 0-9, '_', '-' and '.' (at most 64 characters)")
    graph = _graph(specification, best, trials)
    assert best is not None
    command, number = _command(specification, about), best.number if best.source is None else best.source
    searched = next((t for t in trials if t.number == number), None)
    found: dict[str, Any] = {
        "study": specification.name,
        "command": command,
        "environments": [e.id for e in specification.environments if e.role == "train"],
        "seeds": [specification.seeds.study],
        "trial": number,
        "trials": len(trials),
        "version": str(about["packages"]["autorl"]),
    }
    if searched is not None and searched.score is not None:
        found["score"] = searched.score
    provenance = {
        "name": name,
        "title": f"Found by the search {specification.name}",
        "description": f"loss = {formula_text(graph)}",
        "family": graph.family,
        "created": str(about["started"])[:10],
        "found_by": found,
        "tested": _tested(specification, result, command, _trained_with(specification, best)),
    }
    check_provenance(provenance, name, name, graph.family)
    _store(folder, {GRAPH: _written(graph), PROVENANCE: json.dumps(provenance, indent=2, ensure_ascii=False) + "\n"})
    return folder


def _store(folder: Path, files: Mapping[str, str]) -> None:
    """Write a folder at once: a kill leaves none, or all of it."""
    if folder.exists():
        raise UsageError(
            f"{str(folder)!r} is there already, and an objective is not written over. Remedy: another name, or remove it"
        )
    part = folder.with_name(f".{folder.name}.part")
    with storage_errors("write", folder):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, text in files.items():
            (part / name).write_text(text, encoding="utf-8")
        part.rename(folder)


def _graph(specification: Specification, best: Trial | None, trials: Sequence[Trial]) -> Graph:
    if best is None:
        raise StudyError("nothing to export yet: no trial has completed. Go on with: autorl resume")
    values = {} if specification.learner is None else winner_values(specification, best.candidate)
    found = values.get(OBJECTIVE)
    if not isinstance(found, Mapping) or best_schedule(best, trials) is not None:
        named = f"; its winner has {found!r}, which the catalogue has" if isinstance(found, str) else ""
        raise UsageError(
            f"study {specification.name!r} searched no loss graph{named}. Remedy: autorl export without --to"
        )
    return graph_from_json(found, OBJECTIVE)


def _written(graph: Graph) -> str:
    """Return a graph as JSON, a line for each node."""
    data = graph_to_json(graph)
    head = "".join(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in data.items() if key != "nodes")
    nodes = ",\n".join(f"    {json.dumps(node)}" for node in data["nodes"])
    return f'{{\n{head}  "nodes": [\n{nodes}\n  ]\n}}\n'


def _command(specification: Specification, about: Mapping[str, Any]) -> str:
    """Return the command that began the study, without where the program lies."""
    parts = [str(part) for part in about.get("command") or ()]
    if parts and PurePath(parts[0]).name == "autorl":
        return shlex.join(["autorl", *parts[1:]])
    return f"autorl run {specification.name}"


def _trained_with(specification: Specification, best: Trial) -> dict[str, Any]:
    """Return the hyperparameters that were searched together with the loss, and those that the experiment fixes."""
    assert specification.learner is not None
    given = {**specification.learner.hyperparameters, **winner_values(specification, best.candidate)}
    return {name: value for name, value in given.items() if name != OBJECTIVE and not of_teacher(name)}


def _tested(
    specification: Specification, result: Mapping[str, Any], command: str, hyperparameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return what the winner scored in each environment of the test, and what other losses did there."""
    own = result["arms"].get("method")
    if own is None or specification.learner is None:
        return []
    held_out = [e for e in specification.environments if e.role == "held_out"]
    where = held_out or [e for e in specification.environments if e.role == "train"]
    rows = []
    for i, environment in enumerate(where[: len(own["environment_scores"])]):
        row: dict[str, Any] = {
            "environment": environment.id,
            "learner": specification.learner.algorithm,
            "seeds": len(own["seeds"]),
            "env_steps": environment.env_steps or own["env_steps"],
            **({"hyperparameters": dict(hyperparameters)} if hyperparameters else {}),
            "score": own["environment_scores"][i],
            "command": command,
        }
        row |= {} if environment.score_range is None else {"score_range": list(environment.score_range)}
        others = _others(result["arms"], i)
        rows.append(row | ({"against": others} if others else {}))
    return rows


def _others(arms: Mapping[str, Any], environment: int) -> str:
    found = []
    for arm, own in arms.items():
        if arm != "method" and len(own["environment_scores"]) > environment:
            found.append(f"{arm.removeprefix(OBJECTIVE_ARM)} {own['environment_scores'][environment]:.4g}")
    return ", ".join(found)
