"""``autorl schema``: the JSON Schema of an experiment, for editors."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of experiment files (for editors: '# yaml-language-server: $schema=FILE')."""
    from autorl.cli.output import print_json
    from autorl.studies.specification import json_schema

    print_json(json_schema())
