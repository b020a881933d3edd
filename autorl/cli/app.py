"""``autorl``: the verbs, and the one place where errors become messages and exit codes.

Exit codes: 0 done; 1 failed; 2 wrong usage or specification; 3 a study that does not exist, or cannot be opened, continued or trusted;
4 a missing optional package; 130 (143) stopped by Ctrl-C (SIGTERM) with everything saved.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

import autorl
from autorl.cli import curriculum, import_, objective, prior
from autorl.cli.compare import compare
from autorl.cli.doctor import doctor
from autorl.cli.export import export
from autorl.cli.generations import generations
from autorl.cli.heard import STOPPED_AT_ONCE, leave
from autorl.cli.list import list_
from autorl.cli.report import report
from autorl.cli.resume import resume
from autorl.cli.run import run
from autorl.cli.schema import schema
from autorl.cli.show import show
from autorl.errors import AutoRLError, StoppedAtOnce

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


def _verb(name: str, summary: str, function: Callable[..., None], group: typer.Typer = app) -> None:
    """Add a verb to ``group``; ``summary`` is its line in the list of verbs, short enough for 80 columns."""

    @functools.wraps(function)
    def guarded(*arguments: Any, **options: Any) -> None:
        try:
            function(*arguments, **options)
        except KeyboardInterrupt:  # here, because typer would leave without a word
            raise StoppedAtOnce(STOPPED_AT_ONCE) from None
        except BrokenPipeError:  # the reader (head, less) has seen enough; what Python still holds goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    group.command(name, short_help=summary)(guarded)


_verb("run", "Run an experiment, from the search to the report.", run)
_verb("resume", "Go on with a study that was stopped.", resume)
_verb("generations", "Run generations: each imitates the one before it.", generations)
_verb("list", "List experiments, spaces, methods, studies and more.", list_)
_verb("show", "Show a study: every trial, the best, the result.", show)
_verb("report", "Write the HTML report of a study.", report)
_verb("compare", "Compare the test results of several studies.", compare)
_verb("export", "Print the best candidate as an experiment (YAML).", export)
app.add_typer(import_.group, name="import", short_help="Import a search space, or the tasks of CARL.")
_verb("configspace", "Import a search space that ConfigSpace wrote (JSON).", import_.configspace, import_.group)
_verb("optuna", "Import the space (and trials) of a study of Optuna.", import_.optuna, import_.group)
_verb("carl", "Import CARL's contexts, or their space, as tasks.", import_.carl, import_.group)
app.add_typer(prior.group, name="prior", short_help="Priors: what finished studies teach the next search.")
_verb("fit", "Learn from studies which configurations are good.", prior.fit, prior.group)
app.add_typer(objective.group, name="objective", short_help="Losses as graphs: show, export, evaluate.")
_verb("list", "List the catalogue of learned objectives.", objective.list_, objective.group)
_verb("show", "Show one: formula, picture, source, where it was tested.", objective.show, objective.group)
_verb("export", "Write one as JAX, PyTorch, NumPy, LaTeX or DOT.", objective.export, objective.group)
_verb("evaluate", "Compare several on any environments and seeds.", objective.evaluate, objective.group)
app.add_typer(curriculum.group, name="curriculum", short_help="Curricula: which tasks were played, and when.")
_verb("show", "Show a curriculum: a table and heat maps of its tasks.", curriculum.show, curriculum.group)
_verb("schema", "Print the JSON Schema of experiments, for editors.", schema)
_verb("doctor", "Check that this installation works.", doctor)


def program() -> None:
    """Run the command line as a program of its own."""
    main(leave)


def main(stopped_at_once: Callable[[int], NoReturn] = sys.exit) -> None:
    """Run the command line; errors of the user's become one message and an exit code, never a traceback.

    Args:
        stopped_at_once: How to end with an exit code after a second Ctrl-C, when a compiler may still be at work.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError:
        typer.echo("error: the working directory does not exist any more; change to another one", err=True)
        sys.exit(1)
    if here not in sys.path:
        sys.path.append(here)  # a user's own environment, module:attribute; last, so that it shadows nothing
    try:
        app(prog_name="autorl")
    except AutoRLError as error:
        typer.echo(f"{'' if error.exit_code >= 128 else 'error: '}{error}", err=True)
        (stopped_at_once if isinstance(error, StoppedAtOnce) else sys.exit)(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
