"""``autorl import configspace | optuna | carl``: what another tool searches or plays, as a file of ours."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autorl.errors import UsageError

if TYPE_CHECKING:
    from autorl.interop.imports.imported import Imported

group = typer.Typer(
    help="Import a search space from ConfigSpace or Optuna, or tasks from CARL.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Space file to write (NAME.yaml); standard output if not given.")
]
Learner = Annotated[str | None, typer.Option(help="Learner whose hyperparameters these are, such as ppo.")]


def configspace(
    file: Annotated[Path, typer.Argument(help="JSON that ConfigurationSpace.to_json wrote.")],
    output: Output = None,
    learner: Learner = None,
    drop_prefix: Annotated[str, typer.Option(help="Taken off the front of names, such as hp_config.")] = "",
) -> None:
    """Write a search space of ConfigSpace as a space file; what cannot be represented is an error, never left out."""
    from autorl.interop.imports.configspace import read

    _write(read(file, drop_prefix), file.stem, f"ConfigSpace, {file.name}", output, learner)


def optuna(
    storage: Annotated[str, typer.Argument(help="Journal file, or URL of a database such as sqlite:///study.db.")],
    study: Annotated[str | None, typer.Option(help="Name of the study, where there are several.")] = None,
    output: Output = None,
    learner: Learner = None,
    trials: Annotated[
        Path | None,
        typer.Option(
            help="File to write its trials to (NAME.jsonl), one JSON object a line: candidate, score, status."
        ),
    ] = None,
) -> None:
    """Write the space that a study of Optuna searched as a space file, and on request its trials (higher scores are better).

    A study uses such trials in one of three ways: search.warm_start=FILE.jsonl trains its five best configurations again, first;
    'search.warm_start={study: FILE.jsonl, same_metric: true}' tells their scores, where they are what the study's own trainings would
    have; and 'autorl prior fit FILE.jsonl --space SPACE.yaml -o PRIOR.yaml' learns which are likely to be good, whatever was measured.
    """
    from autorl.interop.imports.optuna_study import load, space_of, trials_of
    from autorl.studies.folder import write_text_atomic

    opened = load(storage, study)
    imported = space_of(opened)
    lines = [] if trials is None else [json.dumps(asdict(e), allow_nan=False) for e in trials_of(opened, imported)]
    _write(imported, opened.study_name, f"Optuna, study {opened.study_name!r}", output, learner)
    if trials is not None:
        write_text_atomic(trials, "".join(f"{line}\n" for line in lines))
        typer.echo(trials)


def carl(
    file: Annotated[
        Path,
        typer.Argument(help="JSON of contexts ({id: {feature: value}}), or of their space as ConfigSpace writes it."),
    ],
    environment: Annotated[str, typer.Option(help="Ours of the same features, such as contextual:CartPole-v1.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write (NAME.yaml); standard output if not given.")
    ] = None,
) -> None:
    """Write CARL's contexts as the tasks that agents are scored on, or a context space as what a teacher varies.

    It is the section 'environment' of an experiment. Features may have CARL's names; unknown ones, those that change nothing, and values
    beyond the limits are errors. Back, from a study's tasks to contexts: autorl.interop.carl.held_out_contexts.
    """
    from autorl.interop.carl.files import section
    from autorl.studies.folder import write_text_atomic

    if output is not None and output.suffix != ".yaml":
        raise UsageError(f"--output: an experiment ends in .yaml, got {str(output)!r}")
    text = section(file, environment)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text_atomic(output, text)
        typer.echo(output)


def _write(imported: Imported, name: str, source: str, output: Path | None, learner: str | None) -> None:
    from autorl.inner.algorithms import ALGORITHMS
    from autorl.interop.imports.imported import space_file
    from autorl.studies.folder import write_text_atomic

    if learner is not None and learner not in ALGORITHMS:
        ALGORITHMS.load(learner)  # says which there are
    if output is not None and output.suffix != ".yaml":
        raise UsageError(f"--output: a space file ends in .yaml, got {str(output)!r}")
    text = space_file(imported, name, source, learner)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text_atomic(output, text)
        typer.echo(output)
