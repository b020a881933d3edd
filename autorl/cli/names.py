"""Names for shell completion and for ``autorl list``. Cheap: nothing heavy is imported to complete a word."""

from __future__ import annotations

from typing import Annotated

import typer


def complete_experiments(incomplete: str) -> list[str]:
    """Return experiments that begin like ``incomplete``."""
    from autorl.catalogue import names

    return [name for name in names("experiments") if name.startswith(incomplete)]


ExperimentArgument = Annotated[
    str,
    typer.Argument(
        help="Name of an experiment (autorl list experiments) or path of a YAML file.",
        autocompletion=complete_experiments,
    ),
]
"""The experiment that a verb is about."""


def complete_studies(incomplete: str) -> list[str]:
    """Return studies below the working directory that begin like ``incomplete``, by name and by path."""
    from autorl.studies.folder import list_studies

    found = list_studies()
    return [text for s in found for text in (s.name, str(s.path)) if text.startswith(incomplete)]


def complete_objectives(incomplete: str) -> list[str]:
    """Return learned objectives that begin like ``incomplete``."""
    from autorl.catalogue import names

    return [name for name in names("learned_objectives") if name.startswith(incomplete)]
