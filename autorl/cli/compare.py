"""``autorl compare STUDY STUDY ...``: several studies side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autorl.cli.names import complete_studies


def compare(
    studies: Annotated[list[str], typer.Argument(help="Names or folders of studies.", autocompletion=complete_studies)],
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
    report: Annotated[
        Path | None, typer.Option(help="HTML file to write: with performance profiles and anytime performance.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare the test results of studies, with intervals; says where their work or their questions differ."""
    from autorl.analysis.compare import compare_studies, render
    from autorl.api import load
    from autorl.cli.output import print_json

    opened = [load(study, root=root) for study in studies]
    names = [s.folder.name for s in opened]
    if len(set(names)) < len(names):  # the same name in two folders
        names = [str(s.path) for s in opened]
    given = [(n, s.plain_specification(), s.trials(None, None)) for n, s in zip(names, opened, strict=True)]
    outcome = compare_studies(given)
    if json:
        print_json(outcome)
    else:
        typer.echo(render(outcome))
    if report is not None:
        from autorl.analysis.compare_page import write_page

        write_page(report, given)
        typer.echo(f"Report: {report}", err=True)
