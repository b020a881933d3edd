"""``autorl objective list | show | export | evaluate``: losses as graphs, from the catalogue or files of one's own."""

from __future__ import annotations

import json as json_module
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autorl.cli.names import complete_objectives
from autorl.errors import AutoRLError, StudyError, UsageError
from autorl.studies.folder import ROOT

if TYPE_CHECKING:
    from autorl.engine.objective_scores import Question
    from autorl.objectives.loader import LearnedObjective

group = typer.Typer(
    help="Losses as graphs: list, show, export and compare them.", no_args_is_help=True, rich_markup_mode=None
)
Name = Annotated[
    str,
    typer.Argument(
        help="Name in the catalogue, or path of an objective's folder or graph file (.json).",
        autocompletion=complete_objectives,
    ),
]
Root = Annotated[Path, typer.Option(help="Folder that studies are kept in.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def list_(json: AsJson = False) -> None:
    """List the learned objectives of the catalogue."""
    from autorl.cli.output import print_json, print_table
    from autorl.objectives.loader import described, names

    rows = [{"name": name, "description": described(name)} for name in names()]
    if json:
        print_json({"objectives": rows})
    else:
        print_table("objectives", ["name", "description"], [list(row.values()) for row in rows])


def show(
    name: Name,
    root: Root = ROOT,
    picture: Annotated[
        Path | None, typer.Option(help="Where to draw the graph (.png or .svg); by default in ROOT/objectives.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Show an objective: its formula, its graph, where it comes from and where it was tested."""
    from autorl.cli.output import print_json
    from autorl.objectives.graphs.files import graph_to_json
    from autorl.objectives.graphs.formula import formula_latex, formula_text, listing
    from autorl.objectives.loader import load_objective

    objective = load_objective(name)
    path, undrawn = picture or root / "objectives" / f"{objective.name}.png", ""
    try:
        _draw(objective, path)
    except StudyError as error:
        if picture is not None:
            raise
        undrawn = f"No picture: {error}. Remedy: --picture FILE.png"
    evaluated = _evaluated(objective, root)
    if not json:
        _print(objective, name, evaluated, undrawn or f"Picture: {path}")
        return
    print_json(
        {
            "name": objective.name,
            "formula": formula_text(objective.graph),
            "latex": formula_latex(objective.graph),
            "family": objective.graph.family,
            "language": objective.graph.language,
            "registers": list(objective.graph.needs),
            "nodes": listing(objective.graph),
            "graph": graph_to_json(objective.graph),
            "provenance": dict(objective.provenance),
            "evaluated": evaluated,
            "picture": None if undrawn else str(path),
            "folder": str(objective.folder),
        }
    )


def export(
    name: Name,
    to: Annotated[str, typer.Option("--to", help="jax, torch, numpy, latex or dot.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path(),
) -> None:
    """Write an objective as files that stand alone, each with an equality test for pytest, and print their paths."""
    from autorl.objectives.graphs.export import export_files
    from autorl.objectives.loader import load_objective

    for file, text in export_files(load_objective(name), to).items():
        typer.echo(_write(output / file, text.encode()))


def evaluate(
    objectives: Annotated[
        list[str], typer.Argument(help="Names or paths of objectives.", autocompletion=complete_objectives)
    ],
    environments: Annotated[
        list[str],
        typer.Option("--environments", "-e", help="Ids with commas between them; may be given several times."),
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each objective in each environment.")] = 10,
    env_steps: Annotated[int, typer.Option(min=1, help="Environment steps of each training.")] = 100_000,
    learner: Annotated[
        str | None, typer.Option(help="Algorithm; by default the one that fits the first objective.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A hyperparameter of the learner, such as learning_rate=1e-4.")
    ] = None,
    ranges: Annotated[
        list[str] | None, typer.Option("--range", help="Scores that count as 0 and 1: ENVIRONMENT=LOW,HIGH.")
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes of the evaluation that scores a training.")] = 64,
    seed: Annotated[int, typer.Option(help="Decides the training seeds.")] = 0,
    root: Root = ROOT,
    json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train objectives at equal work and compare them: interquartile means, P(better), performance profiles.

    Every score is kept in ROOT/objectives/scores.jsonl: what was stopped goes on, and nothing is trained twice.
    Environments with lengths and hyperparameters of their own, and a tuning, are a file: an experiment with 'objectives'.
    """
    from autorl.engine.devices import start
    from autorl.keys import training_seeds
    from autorl.objectives.loader import load_objective

    loaded = tuple(load_objective(name) for name in objectives)
    chosen = tuple(name.strip() for text in environments for name in text.split(",") if name.strip())
    given, limits = _settings(set_ or []), _ranges(ranges or [], chosen)
    devices = start()
    from autorl.engine.objective_scores import Place, Question  # imports jax, which the devices must come before

    places = tuple(Place(name, env_steps, hyperparameters=given) for name in chosen)
    asked = Question(loaded, places, learner or _fitting(loaded[0]), episodes)
    _refuse_unfit(asked)
    work = {
        "learner": asked.learner,
        "hyperparameters": given,
        "seeds": seeds,
        "env_steps": env_steps,
        "episodes": episodes,
    }
    _compare(asked, training_seeds(seed, "test", seeds), root, devices, limits, work, json=json, quiet=quiet)


def _compare(
    asked: Question,
    seeds: Sequence[int],
    root: Path,
    devices: list[Any],
    ranges: dict[str, tuple[float, float]],
    work: dict[str, Any],
    *,
    json: bool,
    quiet: bool,
) -> None:
    """Train what is not known yet, then print the comparison and draw its figure."""
    from autorl.analysis.objectives import objectives_figure, render, summarise_scores
    from autorl.analysis.style import to_png
    from autorl.cli.heard import heard
    from autorl.cli.live import Live
    from autorl.cli.output import print_json
    from autorl.engine.objective_scores import measure
    from autorl.studies.objective_lines import FOLDER

    with Live(quiet or json) as live, heard():
        lines = measure(asked, seeds, root, devices, live)
    found, figure = summarise_scores(lines, ranges), None
    if found["objectives"]:
        figure = _write(root / FOLDER / "evaluation.png", to_png(objectives_figure(found)))
    if json:
        print_json({**found, **work, "figure": None if figure is None else str(figure)})
    else:
        typer.echo(render(found), nl=False)
        each = f"{work['learner']}, {work['env_steps']:,} env steps; {work['seeds']} seeds, {work['episodes']} episodes"
        typer.echo(f"Each training: {each}.")
        if figure is not None:
            typer.echo(f"Figure: {figure}")
    if not found["objectives"]:
        raise AutoRLError("nothing was measured: every training failed, as said above")


def _print(objective: LearnedObjective, name: str, evaluated: list[dict[str, Any]], drawn: str) -> None:
    from autorl.analysis.scores import interval, number
    from autorl.cli.output import print_table
    from autorl.objectives.graphs.export import citation
    from autorl.objectives.graphs.formula import formula_latex, formula_lines, listing

    graph, about = objective.graph, objective.provenance
    typer.echo(f"{objective.name}: {about.get('title', 'a graph of your own')}\n")
    for index, line in enumerate(formula_lines(graph)):
        typer.echo(f"  {'loss = ' if index == 0 else ''}{line}")
    typer.echo(f"\n  LaTeX: {formula_latex(graph)}\n")
    typer.echo(f"Graph ({graph.language}, family {graph.family}, {len(graph.live)} nodes):")
    for line in listing(graph):
        typer.echo(f"  {line}")
    typer.echo()
    for text in citation(about):
        typer.echo(text)
    for key, title in (("formula", "As published"), ("differs", "Against its source"), ("notes", "Notes")):
        if key in about:
            typer.echo(f"{title}: {about[key]}")
    if about.get("hyperparameters"):
        listed = ", ".join(f"{k} {v}" for k, v in about["hyperparameters"].items())
        typer.echo(f"Published with: {listed}")
    tested = [*about.get("tested", []), *evaluated]
    sources = dict.fromkeys(filter(None, map(_made_by, tested)))
    marks = {made: f"({i})" if len(sources) > 1 else "" for i, made in enumerate(sources, 1)}
    rows = [
        [
            e["environment"],
            f"{e['learner']} {marks.get(_made_by(e), '')}".strip(),
            e.get("env_steps", "-"),
            e.get("seeds", "-"),
            number(e.get("score")),
            interval(e.get("interval")),
            "scaled by [{:g}, {:g}]".format(*e["score_range"]) if "score_range" in e else "return",
            _measured_here(e) if "evaluation" in e else e.get("against", "-"),
        ]
        for e in tested
    ]
    header = ["environment", "learner", "env steps", "seeds", "IQM", "95 % interval", "measure", "others there"]
    typer.echo()
    if rows:
        print_table("Tested", header, rows)
        for made, mark in marks.items():
            typer.echo(f"{mark} {made}".strip())
    else:
        typer.echo(f"Not tested yet: autorl objective evaluate {name} --environments ENVIRONMENT")
    typer.echo(drawn)


def _made_by(row: dict[str, Any]) -> str:
    """Return what measured a row, and with which hyperparameters; nothing of what was measured here, which says so itself."""
    if "command" not in row:
        return ""
    settings = row.get("hyperparameters", {}).items()
    given = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings
    )
    return f"Measured by: {row['command']}, with {given or 'the hyperparameters that the experiment says'}"


def _measured_here(row: dict[str, Any]) -> str:
    """Return by how many episodes and versions a row of this machine's own scores was measured."""
    made = " ".join(f"{package} {version}" for package, version in row.get("versions", {}).items())
    return f"(measured here, {row['evaluation'].get('episodes', '?')} episodes{f'; {made}' if made else ''})"


def _evaluated(objective: LearnedObjective, root: Path) -> list[dict[str, Any]]:
    """Return what was measured of this very graph here, a row for each environment, learner, settings and length."""
    from autorl.analysis.objectives import evaluated
    from autorl.objectives.graphs.canonical import key
    from autorl.studies.objective_lines import FILE, FOLDER, read

    return evaluated(read(root / FOLDER / FILE), key(objective.graph))


def _draw(objective: LearnedObjective, path: Path) -> Path:
    import io

    from autorl.analysis.graph_picture import graph_picture
    from autorl.analysis.style import to_png

    if path.suffix not in (".png", ".svg"):
        raise UsageError(f"--picture: expected a file ending in .png or .svg, got {str(path)!r}")
    figure = graph_picture(objective.graph, objective.name)
    if path.suffix == ".png":
        return _write(path, to_png(figure))
    target = io.BytesIO()
    figure.savefig(target, format="svg", metadata={"Date": None})
    return _write(path, target.getvalue())


def _write(path: Path, data: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise StudyError(f"cannot write {str(path)!r}: {error.strerror}") from None
    return path


def _fitting(objective: LearnedObjective) -> str:
    from autorl.inner.objective_choice import learners_of

    fitting = list(learners_of(objective.graph.family))
    if not fitting:
        raise UsageError(f"no learner runs objectives of the family {objective.graph.family!r}")
    return fitting[0]


def _refuse_unfit(asked: Question) -> None:
    """Refuse objectives that the learner does not fill in the registers of, and those that an agent learns nothing by.

    Raises:
        UsageError: There is one.
    """
    from autorl.inner.algorithms import ALGORITHMS
    from autorl.objectives.graphs.files import graph_to_json
    from autorl.objectives.graphs.fingerprint import fingerprint
    from autorl.studies.references import unfit_objective

    known: Any = ALGORITHMS.load(asked.learner)
    for objective in asked.objectives:
        for finding in unfit_objective(("objectives",), graph_to_json(objective.graph), asked.learner, known):
            raise UsageError(f"objective {objective.name!r}: {finding.message}")
        if fingerprint(objective.graph).kind == "zero":
            message = "its loss has no slope in what the network puts out, so that an agent learns nothing by it"
            raise UsageError(f"objective {objective.name!r}: {message}")


def _settings(texts: list[str]) -> dict[str, Any]:
    """Return hyperparameters from ``name=value``; values are numbers, true, false or words."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set: expected name=value, got {text!r}")
        try:
            found[name.strip()] = json_module.loads(value)
        except ValueError:
            found[name.strip()] = value.strip()
    return found


def _ranges(texts: list[str], known: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for text in texts:
        name, _, bounds = text.rpartition("=")
        try:
            low, high = (float(part) for part in bounds.split(","))
        except ValueError:
            raise UsageError(f"--range: expected ENVIRONMENT=LOW,HIGH, got {text!r}") from None
        if name not in known or not -math.inf < low < high < math.inf:
            raise UsageError(
                f"--range: expected one of {', '.join(known)} and finite numbers, LOW below HIGH, got {text!r}"
            )
        found[name] = (low, high)
    return found
