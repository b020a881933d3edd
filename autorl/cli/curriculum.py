"""``autorl curriculum show STUDY``: which tasks a study's teacher had played, what came of them, and what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autorl.cli.names import complete_studies
from autorl.errors import StudyError
from autorl.studies.folder import ROOT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from autorl.api import Study
    from autorl.studies.trial import Json, Trial

group = typer.Typer(help="Curricula: which tasks were played, and when.", no_args_is_help=True, rich_markup_mode=None)


def show(
    study: Annotated[str, typer.Argument(help="Name or folder of a study.", autocompletion=complete_studies)],
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = ROOT,
    arm: Annotated[str, typer.Option(help="Whose: method, random, default, teacher:NAME.")] = "method",
    trial: Annotated[
        int | None, typer.Option(help="A trial of the search; by default the trainings on test seeds.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a curriculum: a table of the tasks over the training, and in the study's folder of figures heat maps and drawings of levels.

    The figures: what was played over the training in each dimension, what it paid and the learning progress there; curves of training and
    evaluation; success in each held-out task, if there are any; and levels, where tasks are levels.
    """
    from autorl.api import load
    from autorl.cli.output import print_json

    opened = load(study, root=root)
    chosen = _trial(opened, arm, trial)
    found = [
        (i, name, opened.curriculum(chosen, i))
        for i, name in enumerate(choice.id for choice in opened.specification.environments)
    ]
    found = [(i, name, own) for i, name, own in found if own]
    if not found:
        raise StudyError(
            f"study {opened.folder.name!r}: {arm}'s trial {chosen.number} ({chosen.phase}) was trained without a teacher; "
            "add 'teacher' to the experiment, or name another arm with --arm"
        )
    if json:
        from autorl.analysis.gallery import gallery_of
        from autorl.analysis.task_success import task_success

        of, lessons = opened.specification, opened.lessons(chosen)
        shown = {
            n: {**own, "tasks": task_success(of, lessons, i), "levels": gallery_of(of, lessons, i)}
            for i, n, own in found
        }
        print_json({"trial": [arm, chosen.phase, chosen.number], "environments": shown})
        return
    for i, name, own in found:
        _print(opened, arm, chosen, i, name, own)


def _trial(study: Study, arm: str, number: int | None) -> Trial:
    """Return the trial to show: of the search, or tested, or the best that there is so far."""
    phase: Any = "test" if number is None else "search"
    trials = study.trials(arm, phase) or (study.trials(arm, "search") if number is None else [])
    wanted = [t for t in trials if number is None or t.number == number]
    if not wanted:
        what = f"trial {number} of the search" if number is not None else "trial"
        known = sorted({t.arm for t in study.trials(None, None)})
        raise StudyError(
            f"study {study.folder.name!r}: arm {arm!r} has no {what}; arms so far: {', '.join(known) or 'none'}"
        )
    return max(wanted, key=lambda t: (t.score is not None, t.score or 0.0, -t.number))


def _print(study: Study, arm: str, trial: Trial, index: int, environment: str, found: Json) -> None:
    from autorl.analysis import tables
    from autorl.analysis.curriculum import curriculum_table
    from autorl.analysis.curriculum_figures import curriculum_figure, curves_figure
    from autorl.analysis.gallery import gallery_figure, gallery_of
    from autorl.analysis.scores import arm_name, method_name
    from autorl.analysis.task_success import task_success, task_success_figure
    from autorl.environments.check import reports_success
    from autorl.environments.registry import make_environment

    typer.echo(f"{environment}, {arm}, trial {trial.number} of the {trial.phase}")
    typer.echo(tables.render(curriculum_table(found, reports_success(make_environment(environment)))))
    stem = "-".join((arm.replace(":", "-"), trial.phase, str(trial.number), str(index)))
    method, lessons = method_name(study.plain_specification()), study.lessons(trial)
    name = f"{environment}, {arm_name(arm, method)}"
    drawn = [
        ("Figure", "curriculum", curriculum_figure(found, name)),
        ("Curves", "curves", curves_figure({arm: found}, method, name)),
    ]
    if tasks := task_success(study.specification, lessons, index):
        drawn.append(("Held-out tasks", "tasks", task_success_figure({arm: tasks}, method, name)))
    if levels := gallery_of(study.specification, lessons, index):
        drawn.append(("Levels", "levels", gallery_figure(levels, name)))
    for what, kind, figure in drawn:
        typer.echo(f"{what}: {_write(figure, study.folder.figures / f'{kind}-{stem}.png')}")


def _write(figure: Figure, path: Path) -> Path:
    from autorl.analysis.style import to_png
    from autorl.studies.files import replacing, storage_errors

    path.parent.mkdir(parents=True, exist_ok=True)
    picture = to_png(figure)
    with (
        storage_errors("write", path),
        replacing(path, shared=True) as descriptor,
        open(descriptor, "wb", closefd=False) as file,
    ):
        file.write(picture)
    return path
