"""``autorl report STUDY``: write the HTML report anew and print its path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autorl.cli.names import complete_studies


def report(
    study: Annotated[str, typer.Argument(help="Name or folder of a study.", autocompletion=complete_studies)],
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
) -> None:
    """Write the report of a study, finished or not: one HTML file, and the storage for optuna-dashboard."""
    from autorl.api import load

    opened = load(study, root=root)
    typer.echo(opened.report())
    if opened.folder.optuna.exists():
        typer.echo(f"Dashboard: optuna-dashboard {opened.folder.optuna}", err=True)
