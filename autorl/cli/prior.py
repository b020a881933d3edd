"""``autorl prior fit``: what finished studies teach the next search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autorl.cli.names import complete_studies
from autorl.errors import UsageError

if TYPE_CHECKING:
    from autorl.outer.prior_fit import Tried
    from autorl.spaces import HyperparameterSpace

group = typer.Typer(help="What finished studies teach the next search.", no_args_is_help=True, rich_markup_mode=None)


def fit(
    studies: Annotated[
        list[str],
        typer.Argument(
            help="Names or folders of studies of one learner, or files of trials (autorl import optuna --trials FILE.jsonl).",
            autocompletion=complete_studies,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, NAME.yaml.")],
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
    space: Annotated[
        str | None,
        typer.Option(help="Space that files of trials were drawn from: a name, or a file as autorl import writes it."),
    ] = None,
) -> None:
    """Learn from studies which configurations are likely to be good, for 'autorl run ... search.prior=FILE'.

    Each study is one task and all count alike. Where several are given, the prior knows how alike tasks are: its noise. Only the order of
    scores counts within a task, so trials of other tools teach as much, whatever their scores measure.
    """
    from autorl.api import load
    from autorl.engine.prior_trials import tried_in
    from autorl.engine.told_trials import is_file, tried_in_file
    from autorl.outer.prior_files import prior_file
    from autorl.outer.prior_fit import fit_prior
    from autorl.studies.folder import write_text_atomic

    if output.suffix != ".yaml":
        raise UsageError(f"--output: a prior's file ends in .yaml, got {str(output)!r}")
    found: list[Tried] = []
    learners: dict[str, list[str]] = {}
    for name in studies:
        if is_file(name):
            searched = _space(space, name)
            learners.setdefault(searched.learner or "none", []).append(name)
            found.append(tried_in_file(Path(name), searched))
            continue
        study = load(name, root=root)
        learner = study.specification.learner
        learners.setdefault("none" if learner is None else learner.algorithm, []).append(study.path.name)
        found.append(tried_in(study.path.name, study.specification, study.trials()))
    if len(learners) > 1:
        shown = "; ".join(f"{key}: {', '.join(names)}" for key, names in learners.items())
        raise UsageError(
            f"the studies are of several learners ({shown}), a prior is of one. Remedy: one file a learner."
        )
    known = next(iter(learners))
    source = f"fitted by `autorl prior fit` to {', '.join(task.name for task in found)}"
    prior = fit_prior(output.stem, None if known == "none" else known, source, found)
    write_text_atomic(output, prior_file(prior))
    typer.echo(output)
    for environments, names in _together(found).items():
        alike = f"{', '.join(names)} are all of {', '.join(environments)}"
        typer.echo(
            f"Note: {alike}, so that they are more alike than tasks are, and the prior's noise is too low.", err=True
        )


def _together(tasks: Sequence[Tried]) -> dict[tuple[str, ...], list[str]]:
    """Return the names of tasks that are of the same environments, where there are several."""
    found: dict[tuple[str, ...], list[str]] = {}
    for task in tasks:
        found.setdefault(tuple(sorted(task.environments)), []).append(task.name)
    return {environments: names for environments, names in found.items() if environments and len(names) > 1}


def _space(name: str | None, file: str) -> HyperparameterSpace:
    """Return the space of a file of trials."""
    from autorl.spaces import HyperparameterSpace, load_space

    if name is None:
        raise UsageError(f"--space: missing; {file!r} does not say what its trials were drawn from")
    found = load_space(name)
    if not isinstance(found, HyperparameterSpace):
        raise UsageError(f"--space: {name!r} is no space of hyperparameters, and a prior is of those")
    return found
