"""``autorl export STUDY``: the best candidate as an experiment of its own, or for another library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autorl.cli.names import complete_studies


def export(
    study: Annotated[str, typer.Argument(help="Name or folder of a study.", autocompletion=complete_studies)],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="experiment, sb3 (Python), rl-zoo (YAML), cleanrl (a command line) or objective (a loss graph).",
        ),
    ] = "experiment",
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output if not given.")
    ] = None,
) -> None:
    """Print the best candidate (or schedule) as YAML that 'autorl run' trains and tests as it is.

    With --to it is printed for another library; what has no counterpart there is said in a comment. --to objective is the loss graph that
    a search over losses found: -o NAME.json writes it alone, -o learned_objectives/NAME with its provenance into the catalogue.
    """
    from autorl.api import load
    from autorl.studies.folder import write_text_atomic

    loaded = load(study, root=root)
    if to == "objective" and output is not None and output.suffix != ".json":
        typer.echo(loaded.export_objective(output))
        return
    text = loaded.export(to)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text_atomic(output, text)
        typer.echo(output)
