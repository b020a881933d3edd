"""What ``run`` and ``resume`` share: watching a study while it runs, and saying how it ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from autorl.api import Study


def watch(study: Study, *, quiet: bool) -> None:
    """Run ``study`` to its end under a progress display."""
    from autorl.cli.live import Live

    if not quiet:
        typer.echo(f"study {study.path}", err=True)
    with Live(quiet) as live:
        study.run(live)


def announce(study: Study, *, as_json: bool) -> None:
    """Print the result: the test scores beside the baselines, the winner, and where the report is."""
    from autorl.cli.output import print_json

    if as_json:
        print_json({"study": study.folder.name, "path": str(study.path), "best": study.best, "result": study.result})
        return
    print_result(study)
    typer.echo(f"\nReport: {study.folder.report}")


def print_result(study: Study) -> None:
    """Print the result tables and the verdict."""
    from autorl.analysis import tables

    typer.echo(tables.render_result(study.result))


def record_result(study: Study, experiment: str) -> Path:
    """Write ``NAME.result.json`` beside the experiment: score, interval, ledger, versions, seeds."""
    from autorl.catalogue import find
    from autorl.studies import manifest
    from autorl.studies.folder import write_text_atomic

    source = find("experiments", experiment)
    path = source.with_name(f"{source.stem}.result.json")
    about = manifest.read(study.folder.manifest)
    outcome = {
        "experiment": source.stem,
        "specification": study.plain_specification(),
        "result": study.result,
        "versions": {"autorl": about["autorl"], "python": about["python"], **about["packages"]},
        "seeds": about["seeds"],
        "cpus": about["cpus"],
        "device": about["device"],
        "started": about["started"],
    }
    write_text_atomic(path, json.dumps(outcome, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    typer.echo(f"Recorded: {path}", err=True)
    return path
