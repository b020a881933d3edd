"""``autorl show STUDY``: every trial, the best, the result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autorl.cli.names import complete_studies


def show(
    study: Annotated[str, typer.Argument(help="Name or folder of a study.", autocompletion=complete_studies)],
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
    json: Annotated[
        bool, typer.Option("--json", help="Print everything: every trial, the best, the result, as one JSON object.")
    ] = False,
    all_trials: Annotated[bool, typer.Option("--all", help="Print every trial, not only the best twenty.")] = False,
) -> None:
    """Show a study, finished, stopped or running."""
    from autorl.api import load
    from autorl.cli.output import print_json

    opened = load(study, root=root)
    if json:
        print_json(opened.summary())
        return
    from autorl.analysis import tables
    from autorl.analysis.rungs import rungs_table
    from autorl.cli.finish import print_failures, print_result, state

    typer.echo(f"{opened.path} ({state(opened)})")
    if opened.specification.description:
        typer.echo(opened.specification.description)
    if opened.specification.search is not None and opened.specification.search.chosen:
        typer.echo(opened.specification.search.chosen)
    typer.echo()
    trials = opened.trials()
    if trials:
        typer.echo(tables.render_trials(trials, limit=None if all_trials else 20))
        rungs = rungs_table(trials, opened.plain_specification())
        if rungs is not None:
            typer.echo(tables.render(rungs))
    print_failures(opened)
    print_result(opened)
