"""``autorl export STUDY``: the best candidate as an experiment of its own, or for another library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autorl.cli.names import complete_studies


def export(
    study: Annotated[str, typer.Argument(help="Name or folder of a study.", autocompletion=complete_studies)],
    to: Annotated[
        str, typer.Option("--to", help="experiment, sb3 (Python), rl-zoo (YAML) or cleanrl (a command line).")
    ] = "experiment",
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output if not given.")
    ] = None,
) -> None:
    """Print the best candidate (or schedule) as YAML that 'autorl run' trains and tests as it is.

    With --to it is printed for another library; what has no counterpart there is said in a comment.
    """
    from autorl.api import load
    from autorl.studies.folder import write_text_atomic

    text = load(study, root=root).export(to)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text_atomic(output, text)
        typer.echo(output)
