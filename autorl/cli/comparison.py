"""``autorl run`` of a comparison: train what is not known yet, print the tables, draw the figures, keep the result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer


def run_comparison(
    experiment: str,
    overrides: Sequence[str],
    root: Path,
    *,
    record: bool,
    json: bool,
    quiet: bool,
    as_python: bool,
) -> None:
    """Run the comparison of that name or path; see `autorl.cli.run.run` for the options."""
    from autorl import comparisons
    from autorl.analysis.comparison import render
    from autorl.cli.finish import scores_path, write_record
    from autorl.cli.heard import heard
    from autorl.cli.live import Live
    from autorl.cli.output import print_json
    from autorl.studies.objective_lines import FILE, FOLDER, read

    if as_python:
        typer.echo(_python(experiment, overrides, root), nl=False)
        return
    beside = scores_path(experiment) if record else None  # refuses what cannot be written before anything is trained
    about = _about() if record else {}
    if beside is not None and (known := len(read(beside))):
        typer.echo(f"{beside} holds {known} scores, which are not trained again. To measure anew, remove it.", err=True)
    with Live(quiet or json) as live, heard():
        result = comparisons.run_comparison(experiment, overrides, root=root, report=live, record=beside)
    if json:
        print_json(result)
    else:
        typer.echo(render(result), nl=False)
        for panel, path in result["figures"].items():
            typer.echo(f"Figure, {panel}: {path}")
        typer.echo(f"Scores: {beside or root / FOLDER / FILE}")
    if record:
        found = {k: v for k, v in result.items() if k not in ("specification", "seeds", "figures")}
        write_record(experiment, result["specification"], found, {**about, "seeds": result["seeds"]})
    work = [own for panel in result["work"].values() for own in panel.values()]
    if all(
        own["failed"] == own["trainings"] for own in work
    ):  # nothing was compared, and a script must not go on as if it had been
        raise typer.Exit(1)


def _about() -> dict[str, Any]:
    """Return the manifest of this run, now that it begins."""
    from autorl.engine.devices import start
    from autorl.studies import manifest

    return manifest.manifest(device=[str(device) for device in start()])


def _python(experiment: str, overrides: Sequence[str], root: Path) -> str:
    """Return the program that does what this command line does; a wrong comparison is refused here already."""
    from autorl.cli.finish import in_python
    from autorl.studies.comparison import load

    load(experiment, overrides, references=False)
    return (
        f"import autorl\n\nresult = autorl.run_comparison({in_python(experiment, overrides, root)})\n"
        'for panel, found in result["panels"].items():\n'
        '    for name, own in found["objectives"].items():\n'
        '        print(panel, name, own["iqm"], own["interval"])\n'
    )
