"""What verbs print: JSON for programs, tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import typer


def print_json(value: Any) -> None:
    """Print ``value`` as one JSON object; never NaN or infinity, which are no JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table: drawn by rich in a terminal, aligned plain text elsewhere."""
    texts = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        import rich.box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        # the look of a study's tables (autorl.analysis.tables)
        table = Table(
            title=Text(title, style="bold") if title else None,
            title_justify="left",
            box=rich.box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_edge=False,
        )
        for index, name in enumerate(header):
            table.add_column(Text(name), overflow="fold", no_wrap=index == 0)
        for row in texts:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    if title:
        typer.echo(title)
    widths = [max(len(cell) for cell in column) for column in zip(header, *texts, strict=True)]
    for row in [list(header), *texts]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
