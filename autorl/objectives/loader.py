"""Objectives from the catalogue ``learned_objectives``: a folder each, with ``graph.json`` and ``provenance.json``. No code runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from autorl import catalogue
from autorl.errors import AutoRLError
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.provenance import check_provenance
from autorl.objectives.strict_json import ObjectiveFileError, read_json

GRAPH: Final = "graph.json"
PROVENANCE: Final = "provenance.json"


@dataclass(frozen=True)
class LearnedObjective:
    """An objective as kept in the catalogue.

    Attributes:
        name: Name of its folder.
        graph: The loss, checked.
        provenance: As `autorl.objectives.provenance` describes it; empty for a graph file of one's own.
        folder: Where it lies.
    """

    name: str
    graph: Graph
    provenance: Mapping[str, Any] = field(compare=False)
    folder: Path = field(compare=False)


def names() -> dict[str, Path]:
    """Return every objective of the catalogue with its folder, sorted; a user's own folders come first."""
    return catalogue.names("learned_objectives")


def load_objective(name_or_path: str | os.PathLike[str]) -> LearnedObjective:
    """Return an objective by name, or by the path of its folder or of a single graph file ending in ``.json``.

    A text is a path where it contains a slash or ends in ``.json``. A single graph file needs no provenance.

    Raises:
        UnknownNameError: No such name; says which one is near.
        ObjectiveFileError: A file is missing, malformed or malicious; names the file and the field.
        GraphError: The same, for what is wrong with the graph itself.
    """
    text = os.fspath(name_or_path)
    if isinstance(name_or_path, str) and os.sep not in text and not text.endswith(".json"):
        return _load_folder(catalogue.find("learned_objectives", text))
    path = Path(text).expanduser()
    if path.suffix == ".json":
        return LearnedObjective(path.stem, _graph(path, path.parent), {}, path.parent.absolute())
    if not path.is_dir():
        raise ObjectiveFileError(f"{path}: no folder of an objective; for one of the catalogue give its name alone")
    return _load_folder(path)


def described(name: str) -> str:
    """Return what an objective of the catalogue says of itself, in a sentence; why it cannot be read, if it cannot."""
    try:
        folder = catalogue.find("learned_objectives", name)
        path = folder / PROVENANCE
        return str(check_provenance(read_json(path, folder), str(path), folder.name)["description"])
    except AutoRLError as error:
        return f"cannot be read: {str(error).splitlines()[0]}"


def _load_folder(folder: Path) -> LearnedObjective:
    folder = Path(os.path.abspath(folder))  # its own name, though it be a link; "." has one too
    graph, path = _graph(folder / GRAPH, folder), folder / PROVENANCE
    provenance = check_provenance(read_json(path, folder), str(path), folder.name, graph.family)
    return LearnedObjective(folder.name, graph, provenance, folder)


def _graph(path: Path, folder: Path) -> Graph:
    return graph_from_json(read_json(path, folder), str(path))
