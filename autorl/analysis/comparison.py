"""What a comparison found: objectives side by side as given and tuned, what the tuning chose, and the work that each objective got."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autorl.analysis import objectives
from autorl.analysis.scores import count, plural
from autorl.analysis.tables import Column, Table, describe, split
from autorl.analysis.tables import render as render_table
from autorl.studies.comparison import Comparison
from autorl.studies.files import storage_errors
from autorl.studies.objective_lines import FOLDER, labelled
from autorl.studies.trial import Json
from autorl.studies.writing import to_mapping

if TYPE_CHECKING:
    from autorl.engine.comparison import Compared

HEADINGS: Final = {"given": "As given", "tuned": "Tuned"}
"""Of the panels."""


def summarise(comparison: Comparison, found: Compared) -> Json:
    """Return what a comparison found, as plain data.

    Returns:
        ``panels`` (``given``, and ``tuned`` where there is a tuning; each as `autorl.analysis.objectives.summarise_scores` returns it, all
        objectives paired with the first), ``tuning`` (``configurations``: what each changes, the first nothing; ``choices``: for each
        environment and objective the position of its ``configuration``, the ``hyperparameters`` that it changes, and the
        ``scores`` [configurations][tuning seeds]; None without a tuning), ``work`` (by panel and objective), and ``specification``.
    """
    ranges = {
        labelled(choice.id, choice.task): choice.score_range
        for choice in comparison.environments
        if choice.score_range is not None
    }
    reported = {"given": found.given} | ({"tuned": found.tuned} if comparison.tuning is not None else {})
    names = list(dict.fromkeys(line["objective"] for line in found.given))
    spent = {"given": found.given, "tuned": [*found.tuning, *found.tuned]}
    work = {panel: _work(spent[panel], names) for panel in reported}
    choices = [
        {
            "objective": choice.objective,
            "environment": choice.environment,
            "configuration": choice.configuration,
            "hyperparameters": found.configurations[choice.configuration],
            "scores": [list(row) for row in choice.scores],
        }
        for choice in found.choices
    ]
    return {
        "comparison": comparison.name,
        "objectives": names,
        "panels": {
            panel: objectives.summarise_scores(lines, ranges, reference=names[0]) for panel, lines in reported.items()
        },
        "tuning": {"configurations": found.configurations, "choices": choices} if comparison.tuning else None,
        "work": work,
        "specification": to_mapping(comparison),
    }


def _work(lines: Sequence[Json], names: Sequence[str]) -> Json:
    """Return the work of each objective: what it was granted, the same for all, and what it did (a failed training stops early)."""
    summed = ("train_env_steps", "evaluation_env_steps", "updates", "wall_seconds")
    work = {}
    for name in names:
        own = [line for line in lines if line["objective"] == name]
        work[name] = {
            "trainings": len(own),
            "granted_env_steps": sum(line["steps"] for line in own),
            "failed": sum(line["score"] is None for line in own),
            **{key: round(sum(line[key] for line in own), 3) for key in summed},
        }
    granted = {(one["trainings"], one["granted_env_steps"]) for one in work.values()}
    assert len(granted) == 1, f"objectives were granted unequal work: {work}"
    return work


def write_figures(result: Json, root: Path) -> dict[str, str]:
    """Draw each panel into ``root``/objectives; return the paths of the figures by panel.

    Raises:
        StudyError: The folder cannot be written.
    """
    from autorl.analysis.style import to_png

    paths = {}
    for panel, scores in result["panels"].items():
        path = root / FOLDER / f"{result['comparison']}-{panel}.png"
        if not scores["objectives"]:
            continue  # nothing could be compared
        with storage_errors("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(to_png(objectives.objectives_figure(scores, HEADINGS[panel])))
        paths[panel] = str(path)
    return paths


def render(result: Json) -> str:
    """Return the result for standard output: what was asked, each panel, what the tuning chose, the work."""
    parts = [f"{_asked(result)}\n"]
    parts += [objectives.render(scores, HEADINGS[panel]) for panel, scores in result["panels"].items()]
    shown = [*(choice_tables(result) if result["tuning"] is not None else ()), work_table(result)]
    return "\n".join([*parts, *(render_table(table) for table in shown)])


def _asked(result: Json) -> str:
    """Return what was compared, and by which scores, in a sentence or two."""
    given = result["specification"]
    seeds, by = given["seeds"], given["evaluation"]
    last = "the last" if by["averaged"] == 1 else f"the mean of the last {by['averaged']}"
    judged = f"{last} of {plural(by['points'], 'evaluation')} of {plural(by['episodes'], 'episode')}"
    who = f"{given['name']}: {plural(len(given['objectives']), 'objective')} of {given['learner']['algorithm']}"
    where = plural(len(given["environment"]), "environment")
    return f"{who} in {where}, {plural(seeds['test'], 'test seed')}.\nThe score of a training is {judged}."


def choice_tables(result: Json) -> list[Table]:
    """Return the configurations, and which of them each objective got in each environment."""
    tried = result["tuning"]["configurations"]
    rows = tuple((str(i), describe(values) if values else "as given") for i, values in enumerate(tried))
    chosen = {(c["environment"], c["objective"]): str(c["configuration"]) for c in result["tuning"]["choices"]}
    places = dict.fromkeys(environment for environment, _ in chosen)
    grid = tuple((place, *(chosen[place, name] for name in result["objectives"])) for place in places)
    columns = (Column("environment", right=False), *map(Column, result["objectives"]))
    note = "The configuration with the best mean on the tuning seeds. Those choose, and are no result."
    return [
        Table("Configurations", (Column("number"), Column("changes", right=False)), rows),
        *split(Table("Chosen configurations", columns, grid, note=note)),
    ]


def work_table(result: Json) -> Table:
    """Return the work of each objective in each panel."""
    headings = ("trainings", "env steps granted", "env steps trained", "failed")
    columns = (Column("panel", right=False), Column("objective", right=False), *map(Column, headings))
    rows = [
        (
            HEADINGS[panel],
            name,
            str(own["trainings"]),
            count(own["granted_env_steps"]),
            count(own["train_env_steps"]),
            str(own["failed"]),
        )
        for panel, work in result["work"].items()
        for name, own in work.items()
    ]
    return Table("Work", columns, tuple(rows), note=_sentence(result))


def _sentence(result: Json) -> str:
    """Return that the work was equal, in words."""
    parts = []
    for panel, work in result["work"].items():
        one: dict[str, Any] = next(iter(work.values()))
        steps = f"{one['granted_env_steps']:,} env steps"
        parts.append(f"{HEADINGS[panel].lower()} {plural(one['trainings'], 'training')} ({steps})")
    said = f"Equal work: each objective got {', '.join(parts)}."
    if result["tuning"] is None:
        return said
    choices = result["tuning"]["choices"]
    same = sum(choice["configuration"] == 0 for choice in choices)
    return f"{said}\n{same} of {len(choices)} tunings chose the given configuration: its test trainings stand in both panels."
