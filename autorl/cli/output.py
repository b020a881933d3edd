"""What verbs print: JSON for programs, tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import typer


def print_json(value: Any) -> None:
    """Print ``value`` as JSON; never NaN or infinity, which are no JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table: drawn by rich in a terminal, tab-aligned plain text elsewhere."""
    texts = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title or None, title_justify="left")
        for name in header:
            table.add_column(name)
        for row in texts:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    if title:
        typer.echo(title)
    widths = [max(len(str(cell)) for cell in column) for column in zip(header, *texts, strict=True)]
    for row in [list(header), *texts]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
