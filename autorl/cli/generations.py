"""``autorl generations EXPERIMENT``: the same study again and again, each imitating at first what the one before it kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autorl.cli.names import ExperimentArgument
from autorl.errors import StudyInterrupted
from autorl.studies.folder import ROOT

if TYPE_CHECKING:
    from autorl.api import Study


def generations(
    experiment: ExperimentArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to it, such as learner.hyperparameters.distill_share=0.5.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many generations.", min=2)] = 3,
    control: Annotated[
        bool, typer.Option(help="Also train as many env steps in one go, without a search and without imitation.")
    ] = True,
    name: Annotated[str | None, typer.Option(help="Begins the studies' names; by default the experiment's.")] = None,
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = ROOT,
    record: Annotated[
        bool, typer.Option("--record", help="Write NAME.generations.json beside the experiment.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Run generations of an experiment: agents imitate at first the policy that the generation before kept, then learn on.

    The same command goes on after a stop. Each generation is a study: autorl show NAME-generation-2.
    """
    from autorl.analysis.generations import render
    from autorl.cli.finish import result_path, write_generations
    from autorl.cli.output import print_json
    from autorl.generations import lineage, outcome_of

    if record:
        result_path(experiment)
    studies = []
    for study in lineage(experiment, overrides or (), count=count, control=control, name=name, root=root):
        _watched(study, quiet=quiet or json)
        studies.append(study)
    outcome = outcome_of(studies, count)
    if json:
        print_json(outcome)
    else:
        typer.echo(render(outcome))
        typer.echo(f"Reports: {', '.join(str(s.folder.report) for s in studies)}")
    if record:
        write_generations(experiment, studies, outcome)


def _watched(study: Study, *, quiet: bool) -> None:
    """Run a generation under a progress display; after a stop it is this command that goes on, not a resume of the one study."""
    from autorl.cli.finish import watch

    try:
        watch(study, quiet=quiet)
    except StudyInterrupted as stopped:
        error = StudyInterrupted(f"stopped in {study.folder.name}, everything is saved. Go on with: the same command")
        error.exit_code = stopped.exit_code
        raise error from stopped
