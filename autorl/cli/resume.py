"""``autorl resume STUDY``: go on with a study that was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autorl.cli.names import complete_studies


def resume(
    study: Annotated[str, typer.Argument(help="Name or folder of a study.", autocompletion=complete_studies)],
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Go on with a study, however it was stopped; it ends as it would have without the stop."""
    from autorl.api import load
    from autorl.cli.finish import announce, watch

    opened = load(study, root=root)
    watch(opened, quiet=quiet or json)
    announce(opened, as_json=json)
