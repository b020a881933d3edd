"""``autorl``: the verbs, and the one place where errors become messages and exit codes.

Exit codes: 0 done; 1 failed; 2 wrong usage or specification; 3 a study that cannot be opened, continued or trusted; 4 a missing optional
package; 130 (143) stopped by Ctrl-C (SIGTERM) with everything saved.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import autorl
from autorl.cli.compare import compare
from autorl.cli.doctor import doctor
from autorl.cli.export import export
from autorl.cli.list import list_
from autorl.cli.report import report
from autorl.cli.resume import resume
from autorl.cli.run import run
from autorl.cli.schema import schema
from autorl.cli.show import show
from autorl.errors import AutoRLError

app = typer.Typer(
    name="autorl",
    help="Search over hyperparameters, loss graphs and curricula of reinforcement learning.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"autorl {autorl.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Search over hyperparameters, loss graphs and curricula of reinforcement learning."""


app.command("run")(run)
app.command("resume")(resume)
app.command("list")(list_)
app.command("show")(show)
app.command("report")(report)
app.command("compare")(compare)
app.command("export")(export)
app.command("schema")(schema)
app.command("doctor")(doctor)


def main() -> None:
    """Run the command line; errors of the user's become one message and an exit code, never a traceback."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a user's own environment, module:attribute; last, so that it shadows nothing
    try:
        app()
    except AutoRLError as error:
        typer.echo(f"{'' if error.exit_code >= 128 else 'error: '}{error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("stopped at once; the record holds every finished trial", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)  # the reader (head, less) has seen enough
