"""``autorl resume STUDY``: go on with a study that was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autorl.cli.names import complete_experiments, complete_studies
from autorl.errors import UsageError

if TYPE_CHECKING:
    from autorl.api import Study


def resume(
    study: Annotated[str, typer.Argument(help="Name or folder of a study.", autocompletion=complete_studies)],
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
    record: Annotated[
        str | None,
        typer.Option(
            help="Experiment that the study is of, as it stands: write NAME.result.json beside it, as run --record does.",
            autocompletion=complete_experiments,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Go on with a study, however it was stopped; it ends as it would have without the stop."""
    from autorl.api import load
    from autorl.cli.finish import announce, check_outcome, record_result, result_path, watch

    opened = load(study, root=root)
    if record is not None:
        result_path(record)
        _check_of(opened, record)
    watch(opened, quiet=quiet or json)
    announce(opened, as_json=json)
    if record is not None:
        record_result(opened, record)
    check_outcome(opened)


def _check_of(study: Study, experiment: str) -> None:
    """Raise `UsageError` unless the study is one of ``experiment`` without any change: its result is written beside it."""
    from autorl.api import specify
    from autorl.engine.auto import self_contained
    from autorl.studies.specification import to_mapping
    from autorl.studies.writing import differing_fields

    wanted, own = to_mapping(self_contained(specify(experiment, root=study.path.parent))), study.plain_specification()
    differ = differing_fields(wanted, own)
    if differ:
        raise UsageError(
            f"--record {experiment}: study {study.folder.name!r} is not of this experiment as it stands: different "
            f"{', '.join(differ)}. Remedy: name the experiment that it was started from, or leave out --record."
        )
