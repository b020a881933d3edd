"""``autorl list [KIND]``: what there is to choose from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from autorl import catalogue


class Kind(StrEnum):
    """What can be listed."""

    SPACES = "spaces"
    OBJECTIVES = "objectives"
    EXPERIMENTS = "experiments"
    METHODS = "methods"
    LEARNERS = "learners"
    ENVIRONMENTS = "environments"
    STUDIES = "studies"


_CATALOGUES: dict[Kind, catalogue.Kind] = {
    Kind.SPACES: "search_spaces",
    Kind.OBJECTIVES: "learned_objectives",
    Kind.EXPERIMENTS: "experiments",
}


def list_(
    kind: Annotated[Kind | None, typer.Argument(help="What to list; everything when left out.")] = None,
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List spaces, objectives, experiments, methods, learners, environments and studies."""
    from autorl.cli.output import print_json, print_table

    kinds = [kind] if kind is not None else list(Kind)
    found = {k.value: _rows(k, root) for k in kinds}
    if json:
        print_json(found)
        return
    for index, (name, rows) in enumerate(found.items()):
        if index:
            typer.echo()
        columns = list(rows[0]) if rows else ["name"]
        print_table(name, columns, [list(row.values()) for row in rows] or [["none"]])


def _rows(kind: Kind, root: Path) -> list[dict[str, Any]]:
    if kind is Kind.METHODS:
        return _methods()
    if kind is Kind.LEARNERS:
        from autorl.inner.algorithms import ALGORITHMS

        return [{"name": name} for name in ALGORITHMS]
    if kind is Kind.ENVIRONMENTS:
        from autorl.environments.registry import environment_names

        return [{"name": name} for name in (*environment_names(), "module:attribute (your own)")]
    if kind is Kind.STUDIES:
        return _studies(root)
    return _catalogue(_CATALOGUES[kind])


def _methods() -> list[dict[str, Any]]:
    from autorl.outer.methods import METHODS

    loaded = [METHODS.load(name) for name in METHODS]
    return [{"name": m.name, "searches": ", ".join(sorted(m.searches)), "reference": m.reference} for m in loaded]


def _studies(root: Path) -> list[dict[str, Any]]:
    from autorl.api import Study
    from autorl.studies.folder import list_studies

    rows = []
    for folder in list_studies(root):
        study = Study(folder)
        ended = [t for t in study.trials() if t.status != "running"]
        rows.append({"name": folder.name, "trials": len(ended), "finished": "yes" if study.finished else "no"})
    return rows


def _catalogue(kind: catalogue.Kind) -> list[dict[str, Any]]:
    return [{"name": n, "description": _described(path)} for n, path in catalogue.names(kind).items()]


def _described(path: Path) -> str:
    """Return what a catalogued file says of itself: the first comment of YAML, the provenance of an objective."""
    if path.is_dir():
        from json import loads

        provenance = path / "provenance.json"
        return str(loads(provenance.read_text()).get("description", "")) if provenance.is_file() else ""
    for text in path.read_text(encoding="utf-8").splitlines():
        words = text.lstrip("# ").removeprefix(f"experiments/{path.name}:").strip()
        if not text.startswith("#"):
            break
        if words and not words.startswith("yaml-language-server"):
            return words
    return ""
