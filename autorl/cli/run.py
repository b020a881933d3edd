"""``autorl run EXPERIMENT [a.b=value ...]``: run a whole study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autorl.cli.names import ExperimentArgument, complete_studies
from autorl.errors import UsageError
from autorl.studies.folder import ROOT

if TYPE_CHECKING:
    from autorl.api import Study


def run(
    experiment: ExperimentArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to it, such as search.method=tpe budget.trainings=64.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study; by default the experiment's.")] = None,
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = ROOT,
    earlier: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Go on with this study, in a larger budget.trainings or another space: its trials are told first, and count "
            "(search.warm_start).",
            autocompletion=complete_studies,
        ),
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Write NAME.result.json beside the experiment.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    log: Annotated[
        list[str] | None,
        typer.Option("--log", help="Also write trials to tensorboard, wandb or mlflow; may be repeated."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_python: Annotated[bool, typer.Option("--as-python", help="Print the same run in Python and exit.")] = False,
) -> None:
    """Run an experiment: search, finalists on fresh seeds, the result on test seeds, the report.

    A comparison (an experiment with 'objectives') trains every objective and prints its tables; the same command resumes it. With --record
    each of its scores is also kept in NAME.scores.jsonl beside the experiment, so that it goes on elsewhere.
    """
    from autorl.studies.comparison import is_comparison

    overrides = [*(overrides or ()), *([f"log=[{', '.join(log)}]"] if log else [])]
    if earlier is not None:  # last, so that it counts, and beside what else is said of the warm start
        beside = any(one.startswith(("search.warm_start.", "search.warm_start={")) for one in overrides)
        overrides = [*overrides, f"search.warm_start{'.study' if beside else ''}={earlier}"]
    if is_comparison(experiment):
        from autorl.cli.comparison import run_comparison

        if name is not None:
            raise UsageError("--name: a comparison makes no study; its scores are kept in objectives/ below --root")
        run_comparison(experiment, overrides, root, record=record, json=json, quiet=quiet, as_python=as_python)
        return
    from autorl.api import create
    from autorl.cli.finish import announce, check_outcome, record_result, result_path, watch

    if as_python:
        typer.echo(_python(experiment, overrides, name, root), nl=False)
        return
    if record:
        result_path(experiment)
    study = create(experiment, overrides, name=name, root=root, to_run=True)
    if not quiet and not json:
        _note_unfinished(study, root)
    watch(study, quiet=quiet or json)
    announce(study, as_json=json)
    if record:
        record_result(study, experiment)
    check_outcome(study)


def _note_unfinished(study: Study, root: Path) -> None:
    """Say which study of the same name, the one before it, is not finished: who was interrupted may have wanted to go on with that."""
    from autorl.api import load
    from autorl.errors import AutoRLError

    base, _, number = study.folder.name.rpartition("-")
    if not number.isdecimal() or not base:
        return
    before = base if number == "2" else f"{base}-{int(number) - 1}"
    try:
        going = (root / before).is_dir() and not load(before, root=root).finished
    except AutoRLError:
        return  # what is there is none of ours, or cannot be read, which is not asked here
    if going:
        typer.echo(
            f"{before} is not finished; autorl resume {before} goes on with it. This is another study.", err=True
        )


def _python(experiment: str, overrides: Sequence[str], name: str | None, root: Path) -> str:
    """Return the program that does what this command line does; a wrong experiment is refused here already."""
    from autorl.cli.finish import in_python
    from autorl.studies.specification import load

    load(experiment, overrides, references=False)
    return (
        f"import autorl\n\nstudy = autorl.run({in_python(experiment, overrides, root, name)})\n"
        'print(study.best)\nprint(study.result["headline"])\nprint(study.folder.report)\n'
    )
