"""What ``run`` and ``resume`` share: watching a study while it runs, and saying how it ended."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from autorl.errors import StudyError
from autorl.outer.protocol import Status
from autorl.studies.folder import ROOT

if TYPE_CHECKING:
    from autorl.api import Study


def watch(study: Study, *, quiet: bool) -> None:
    """Run ``study`` to its end under a progress display."""
    from autorl.cli.heard import heard
    from autorl.cli.live import Live

    finished = study.finished
    if not quiet:
        typer.echo(f"study {study.path}{' is finished; this is its result' if finished else ''}", err=True)
        search = study.specification.search
        if search is not None and search.chosen:
            typer.echo(search.chosen, err=True)
    with Live(quiet or finished) as live, heard():
        study.run(live)


def announce(study: Study, *, as_json: bool) -> None:
    """Print the result: the test scores beside the baselines, the winner, and where the report is."""
    from autorl.cli.output import print_json

    if as_json:
        print_json({"study": study.folder.name, "path": str(study.path), "best": study.best, "result": study.result})
        return
    print_result(study)
    print_failures(study)
    typer.echo(f"Report: {study.folder.report}")


def check_outcome(study: Study) -> None:
    """End with exit code 1 if no training of the study's own arm completed: it found nothing, and a script must not go on as if it had."""
    own = study.trials("method", None)
    if own and not any(trial.status is Status.COMPLETED for trial in own):
        raise typer.Exit(1)


def state(study: Study) -> str:
    """Return where a study is, in words."""
    if study.specification.learner is None:
        return "an objective of your own"
    return "finished" if study.finished else "not finished"


def print_result(study: Study) -> None:
    """Print the result tables and the verdict, and an empty line."""
    from autorl.analysis import tables

    typer.echo(tables.render_result(study.result))


def print_failures(study: Study) -> None:
    """Print how many trials failed, each way of failing with an example, and an empty line; nothing if none did."""
    trials = study.trials(None, None)
    pruned = [t for t in trials if t.status is Status.PRUNED]
    if pruned:
        typer.echo(
            f"{len(pruned)} of {len(trials)} trials stopped on the way, such as trial {pruned[0].number}: {pruned[0].message}"
        )
    failed = [t for t in trials if t.status not in (Status.COMPLETED, Status.RUNNING, Status.PRUNED)]
    if not failed:
        return
    typer.echo(f"{len(failed)} of {len(trials)} trials failed; each ranks behind every trial that completed:")
    for status in dict.fromkeys(t.status for t in failed):
        own = [t for t in failed if t.status is status]
        where = "" if (own[0].arm, own[0].phase) == ("method", "search") else f" of {own[0].arm}/{own[0].phase}"
        typer.echo(
            f"  {len(own)} {status.value.replace('_', ' ')}, such as trial {own[0].number}{where}: {own[0].message}"
        )
    typer.echo()


def result_path(experiment: str) -> Path:
    """Return where ``--record`` writes: ``NAME.result.json`` beside the experiment.

    Raises:
        StudyError: That folder cannot be written. Better said before a study than after it.
    """
    from autorl.catalogue import find

    source = find("experiments", experiment)
    if not os.access(source.parent, os.W_OK):
        raise StudyError(
            f"--record: cannot write beside {str(source)!r}. Copy the experiment into a folder of yours and run that."
        )
    return source.with_name(f"{source.stem}.result.json")


def scores_path(experiment: str) -> Path:
    """Return where ``--record`` of a comparison keeps every score, from which another machine goes on: ``NAME.scores.jsonl``."""
    result = result_path(experiment)
    return result.with_name(result.name.removesuffix(".result.json") + ".scores.jsonl")


def record_result(study: Study, experiment: str) -> Path:
    """Write ``NAME.result.json`` beside the experiment: score, interval, ledger, versions, seeds."""
    from autorl.studies import manifest

    about = manifest.read(study.folder.manifest)
    return write_record(experiment, study.plain_specification(), study.result, about)


def in_python(experiment: str, overrides: Sequence[str], root: Path, name: str | None = None) -> str:
    """Return the arguments of the call in Python that does what a command line does."""
    arguments = [repr(experiment)]
    if overrides:
        arguments.append(repr(list(overrides)))
    if name is not None:
        arguments.append(f"name={name!r}")
    if root != ROOT:
        arguments.append(f"root={str(root)!r}")
    return ", ".join(arguments)


def write_record(experiment: str, specification: Any, result: Any, about: Mapping[str, Any]) -> Path:
    """Write ``NAME.result.json`` beside the experiment; ``about`` is a manifest."""
    path = result_path(experiment)
    return _written(path, _outcome(path.name.removesuffix(".result.json"), specification, result, about))


def write_generations(experiment: str, studies: Sequence[Study], outcome: Any) -> Path:
    """Write ``NAME.generations.json`` beside the experiment: what came of its generations, and the first one's specification."""
    from autorl.studies import manifest

    about, path = manifest.read(studies[0].folder.manifest), result_path(experiment)
    stem = path.name.removesuffix(".result.json")
    record = _outcome(stem, studies[0].plain_specification(), outcome, about)
    return _written(path.with_name(f"{stem}.generations.json"), record)


def _outcome(name: str, specification: Any, result: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "experiment": name,
        "specification": specification,
        "result": result,
        "versions": {"autorl": about["autorl"], "python": about["python"], **about["packages"]},
        "seeds": about["seeds"],
        "cpus": about["cpus"],
        "device": about["device"],
        "started": about["started"],
    }


def _written(path: Path, outcome: Any) -> Path:
    from autorl.studies.folder import write_text_atomic

    write_text_atomic(path, json.dumps(outcome, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    typer.echo(f"Recorded: {path}", err=True)
    return path
