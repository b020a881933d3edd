"""``autorl run EXPERIMENT [a.b=value ...]``: run a whole study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autorl.cli.names import complete_experiments


def run(
    experiment: Annotated[
        str,
        typer.Argument(
            help="Name of an experiment (autorl list experiments) or path of a YAML file.",
            autocompletion=complete_experiments,
        ),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to it, such as search.method=tpe budget.trainings=64.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study; by default the experiment's.")] = None,
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
    record: Annotated[bool, typer.Option("--record", help="Write NAME.result.json beside the experiment.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_python: Annotated[bool, typer.Option("--as-python", help="Print the same run in Python and exit.")] = False,
) -> None:
    """Run an experiment: search, finalists on fresh seeds, the result on test seeds, the report."""
    from autorl.api import create
    from autorl.cli.finish import announce, record_result, watch

    if as_python:
        typer.echo(f'import autorl\n\nstudy = autorl.run("{experiment}", {list(overrides or ())!r})')
        typer.echo("print(study.best, study.result)\nprint(study.report())")
        return
    study = create(experiment, overrides or (), name=name, root=root)
    watch(study, quiet=quiet or json)
    if record:
        record_result(study, experiment)
    announce(study, as_json=json)
