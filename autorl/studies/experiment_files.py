"""The files of experiments: found, read into nodes, named, and told apart."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from autorl import catalogue
from autorl.studies.positions import MAX_BYTES, MappingNode, Node, ScalarNode, decode, read
from autorl.studies.problems import Position, Problem

COMPARED: Final = "objectives"
"""The key that makes an experiment a comparison."""


def read_file(name: str | os.PathLike[str]) -> tuple[Node, list[Problem], str]:
    """Return what stands in an experiment's file, the problems of reading it, and its path as messages show it.

    Args:
        name: In the catalogue, or path of a ``.yaml`` file.

    Raises:
        UsageError: No such experiment or file.
        SpecificationError: It cannot be read.
    """
    path = catalogue.find("experiments", name)
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    display = _display(path)
    return *read_text(decode(data, display), display), display


def read_text(text: str, filename: str) -> tuple[Node, list[Problem]]:
    """Return what stands in ``text``, and the problems of reading it; ``filename`` is for messages."""
    return read(text, Position(filename, 1, 1))


def named(root: Node, filename: str) -> Node:
    """Return ``root`` with the name of its file, if it has none of its own."""
    if not isinstance(root, MappingNode) or "name" in root.entries:
        return root
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(filename).stem).lstrip("_.-")[:64] or "study"
    name = ScalarNode(root.position, stem, plain=False)
    return MappingNode(root.position, {"name": name, **root.entries}, {"name": root.position, **root.keys})


def is_comparison_node(root: Node) -> bool:
    """Return whether what was read is a comparison."""
    return isinstance(root, MappingNode) and COMPARED in root.entries


def _display(path: Path) -> str:
    """Return ``path`` as short as it is clear: relative if it is below the working directory."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
