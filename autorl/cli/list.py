"""``autorl list [KIND]``: what there is to choose from."""

from __future__ import annotations

import itertools
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from autorl import catalogue
from autorl.errors import AutoRLError, UnknownNameError
from autorl.outer.protocol import Status


class Kind(StrEnum):
    """What can be listed."""

    SPACES = "spaces"
    OBJECTIVES = "objectives"
    EXPERIMENTS = "experiments"
    METHODS = "methods"
    POLICIES = "policies"
    LEARNERS = "learners"
    TEACHERS = "teachers"
    TASK_METHODS = "task_methods"
    ENVIRONMENTS = "environments"
    STUDIES = "studies"


_CATALOGUES: dict[Kind, catalogue.Kind] = {
    Kind.SPACES: "search_spaces",
    Kind.OBJECTIVES: "learned_objectives",
    Kind.EXPERIMENTS: "experiments",
}


def complete_kinds(incomplete: str) -> list[str]:
    """Return kinds that begin like ``incomplete``."""
    return [kind for kind in Kind if kind.startswith(incomplete)]


def list_(
    kind: Annotated[
        str | None, typer.Argument(autocompletion=complete_kinds, help="What to list; everything when left out.")
    ] = None,
    root: Annotated[Path, typer.Option(help="Folder that studies are kept in.")] = Path("studies"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List spaces, objectives, experiments, methods, budget policies, learners, teachers, task methods, environments and studies."""
    from autorl.cli.output import print_json, print_table

    if kind is not None and kind not in list(Kind):
        raise UnknownNameError("kind", kind, [known.value for known in Kind])
    kinds = [Kind(kind)] if kind is not None else list(Kind)
    found = {k.value: _rows(k, root) for k in kinds}
    if json:
        print_json(found)
        return
    for index, (name, rows) in enumerate(found.items()):
        if index:
            typer.echo()
        columns = list(rows[0]) if rows else ["name"]
        cells = [["" if cell is None else cell for cell in row.values()] for row in rows]
        print_table(name, columns, cells or [["none"]])
        if name == Kind.ENVIRONMENTS:
            typer.echo("Your own: module:attribute, found from the working directory.")


def _rows(kind: Kind, root: Path) -> list[dict[str, Any]]:
    if kind is Kind.METHODS:
        return _methods()
    if kind is Kind.POLICIES:
        return _policies()
    if kind is Kind.LEARNERS:
        from autorl.inner.algorithms import ALGORITHMS

        return [{"name": name} for name in ALGORITHMS]
    if kind is Kind.TEACHERS:
        return _teachers()
    if kind is Kind.TASK_METHODS:
        return _task_methods()
    if kind is Kind.ENVIRONMENTS:
        from autorl.environments.registry import environment_names

        return [{"name": name} for name in environment_names()]
    if kind is Kind.STUDIES:
        return _studies(root)
    return _catalogue(_CATALOGUES[kind])


def _methods() -> list[dict[str, Any]]:
    from autorl.outer.methods import METHODS

    loaded = [METHODS.load(name) for name in METHODS]
    return [{"name": m.name, "searches": ", ".join(sorted(m.searches)), "reference": m.reference} for m in loaded]


def _teachers() -> list[dict[str, Any]]:
    from autorl.curricula.teachers import ALL_TEACHERS

    found = [ALL_TEACHERS.load(name) for name in ALL_TEACHERS]
    return [
        {"name": t.name, "parameters": ", ".join(t.Parameters.__dataclass_fields__), "reference": t.reference}
        for t in found
    ]


def _task_methods() -> list[dict[str, Any]]:
    from autorl.outer.tasks.methods import ALL_TASK_METHODS

    found = [ALL_TASK_METHODS.load(name) for name in ALL_TASK_METHODS]
    return [{"name": m.name, "chooses": m.chooses, "reference": m.reference} for m in found]


def _policies() -> list[dict[str, Any]]:
    from autorl.outer.budget.policies import POLICIES, policy_settings

    return [
        {
            "name": name,
            "settings": ", ".join(f"{key} {value}" for key, value in policy_settings(name).items()),
            "reference": POLICIES.load(name).reference,
        }
        for name in POLICIES
    ]


def _studies(root: Path) -> list[dict[str, Any]]:
    from autorl.api import Study
    from autorl.cli.finish import state
    from autorl.studies.folder import list_studies

    rows = []
    for folder in list_studies(root):
        try:
            study = Study(folder)
            ended = [t for t in study.trials() if t.status is not Status.RUNNING]
            rows.append({"name": folder.name, "trials": len(ended), "state": state(study)})
        except AutoRLError as error:  # one damaged study hides no other
            rows.append({"name": folder.name, "trials": None, "state": f"cannot be read: {str(error).splitlines()[0]}"})
    return rows


def _catalogue(kind: catalogue.Kind) -> list[dict[str, Any]]:
    return [{"name": n, "description": _described(kind, path)} for n, path in catalogue.names(kind).items()]


def _described(kind: catalogue.Kind, path: Path) -> str:
    """Return what a catalogued file says of itself: its description, or the first sentence of its opening comment."""
    if kind == "learned_objectives":
        from autorl.objectives.loader import described

        return described(path.name)
    if kind == "experiments":
        from autorl.studies import comparison, specification

        try:
            load = comparison.load if comparison.is_comparison(path) else specification.load
            description = load(path, references=False).description
        except AutoRLError as error:
            return f"cannot be read: {str(error).splitlines()[0]}"
        if description:
            return description
    return _first_sentence(path.read_text(encoding="utf-8", errors="replace"), f"{kind}/{path.name}:")


def _first_sentence(text: str, heading: str) -> str:
    """Return the first sentence of the comment that ``text`` begins with, less the file's own name."""
    comment = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    lines = [line.lstrip("# ") for line in comment]
    words = " ".join(w for w in lines if w and not w.startswith("yaml-language-server")).removeprefix(heading).strip()
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])", words, maxsplit=1)[0]
    return sentence[:1].upper() + sentence[1:]
