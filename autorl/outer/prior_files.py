"""Priors as plain text: one YAML file, or the same mapping in the specification that a study keeps.

The shipped ones stand beside the search spaces, one a learner: ``search_spaces/priors/LEARNER.yaml``; a user's own ``./search_spaces``
and the folders of ``AUTORL_PATH`` come first, as for spaces. Their figures are fitted; nothing of what they were fitted to is in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autorl import catalogue
from autorl.errors import UsageError
from autorl.outer.priors import Prior, PriorTask, Ruler
from autorl.spaces import Float
from autorl.spaces.dimensions import is_number
from autorl.spaces.files import read_mapping

REMEDY = "Remedy: make it with `autorl prior fit STUDY ... -o FILE`"
FIELDS = ("name", "learner", "source", "noise", "dimensions", "tasks")


def shipped_prior(learner: str) -> Prior | None:
    """Return the prior of the catalogue for ``learner``; None if there is none."""
    for root in catalogue.roots("search_spaces"):
        path = root / "priors" / f"{learner}.yaml"
        if catalogue.NAME.fullmatch(learner) and path.is_file() and path.resolve().is_relative_to(root.resolve()):
            return load_prior(str(path))
    return None


def load_prior(reference: str | Mapping[str, Any]) -> Prior:
    """Return the prior in the ``.yaml`` file of that path, or written inline.

    Raises:
        UsageError: No such file, or one that is no prior; the message lists every problem.
    """
    if isinstance(reference, Mapping):
        return parse_prior(reference, "inline")
    path = Path(reference).expanduser()
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        what = (
            "no such file" if path.suffix in (".yaml", ".yml") else "expected auto, none, or a path that ends in .yaml"
        )
        raise UsageError(f"prior {reference!r}: {what}. {REMEDY}.")
    return parse_prior(read_mapping(path, "prior"), path.name)


def parse_prior(data: Mapping[str, Any], where: str) -> Prior:
    """Return the prior that ``data`` describes; raise `UsageError` that lists everything wrong with it."""
    wrong = list(_problems(data))
    if wrong:
        raise UsageError(f"prior {where!r}: {'; '.join(wrong)}. {REMEDY}.")
    rulers = {name: _ruler(entry) for name, entry in data["dimensions"].items()}
    tasks = tuple(
        PriorTask(
            name,
            tuple(entry["environments"]),
            {dimension: tuple(map(float, entry["effects"][dimension])) for dimension in rulers},
        )
        for name, entry in data["tasks"].items()
    )
    return Prior(data["name"], data.get("learner"), data["source"], float(data["noise"]), rulers, tasks)


def _ruler(entry: Mapping[str, Any]) -> Ruler:
    if "choices" in entry:
        return Ruler(choices=tuple(entry["choices"]))
    if "low" not in entry:
        return Ruler()
    return Ruler(span=(float(entry["low"]), float(entry["high"])), scale=entry.get("scale", "linear"))


def _problems(data: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"unknown field {key!r}" for key in data if key not in FIELDS)
    for key in ("name", "source"):
        if not isinstance(data.get(key), str) or not data[key]:
            yield f"{key}: expected text, got {data.get(key)!r}"
    if not isinstance(data.get("learner"), str | None):
        yield f"learner: expected text or nothing, got {data['learner']!r}"
    if not is_number(data.get("noise")) or data["noise"] < 0:
        yield f"noise: expected a number of at least 0, got {data.get('noise')!r}"
    sizes: dict[str, int] = {}
    for key in ("dimensions", "tasks"):
        if not isinstance(data.get(key), Mapping) or not data[key]:
            yield f"{key}: expected a mapping of names, got {data.get(key)!r}"
            return
    for name, entry in data["dimensions"].items():
        problem = _ruler_problem(entry)
        if problem:
            yield f"dimensions: {name}: {problem}"
        else:
            sizes[name] = _ruler(entry).size
    for name, entry in data["tasks"].items():
        yield from (f"tasks: {name}: {problem}" for problem in _task_problems(entry, sizes))


def _ruler_problem(entry: Any) -> str | None:
    if not isinstance(entry, Mapping) or set(entry) - {"choices", "low", "high", "scale"}:
        return f"expected {{}}, {{choices: [...]}} or {{low, high, scale}}, got {entry!r}"
    if "choices" in entry:
        plain = isinstance(entry["choices"], list | tuple) and len(entry["choices"]) > 0
        good = plain and all(isinstance(c, bool | str) or is_number(c) for c in entry["choices"])
        return None if good and len(entry) == 1 else f"expected a list of choices alone, got {dict(entry)!r}"
    if not entry:
        return None
    try:
        Float(entry.get("low"), entry.get("high"), entry.get("scale", "linear"))  # type: ignore[arg-type]
    except UsageError as error:
        return str(error)
    return None


def _task_problems(entry: Any, sizes: Mapping[str, int]) -> Iterator[str]:
    if not isinstance(entry, Mapping) or set(entry) != {"environments", "effects"}:
        yield f"expected {{environments, effects}}, got {entry!r}"
        return
    where, effects = entry["environments"], entry["effects"]
    if not isinstance(where, list | tuple) or not all(isinstance(name, str) for name in where):
        yield f"environments: expected a list of names, got {where!r}"
    if not isinstance(effects, Mapping):
        yield f"effects: expected a mapping, got {effects!r}"
        return
    for name, size in sizes.items():
        given = effects.get(name)
        if not isinstance(given, list | tuple) or len(given) != size or not all(map(is_number, given)):
            yield f"effects: {name}: expected {size} numbers, got {given!r}"
    yield from (f"effects: {name}: no such dimension" for name in effects if name not in sizes)


def to_mapping(prior: Prior) -> dict[str, Any]:
    """Return the prior as plain data, as its file holds it."""
    rulers: dict[str, Any] = {}
    for name, ruler in prior.rulers.items():
        rulers[name] = {"choices": list(ruler.choices)} if ruler.choices else {}
        if ruler.span is not None:
            rulers[name] = {"low": ruler.span[0], "high": ruler.span[1], "scale": ruler.scale}
    tasks = {
        task.name: {
            "environments": list(task.environments),
            "effects": {name: list(effects) for name, effects in task.effects.items()},
        }
        for task in prior.tasks
    }
    named = {"name": prior.name, "learner": prior.learner, "source": prior.source, "noise": prior.noise}
    return {**named, "dimensions": rulers, "tasks": tasks}


def prior_file(prior: Prior) -> str:
    """Return the text of the prior's file: YAML, which `load_prior` reads back without loss."""
    import yaml

    about = f"{len(prior.tasks)} task{'s' * (len(prior.tasks) > 1)}"
    head = [
        f"# Which configurations of {prior.learner or 'this space'} are likely to be good, learned from {about}.",
        "# An effect is in standard deviations of a task's ranks; numbers have theirs at equally spaced places of their range.",
        "# Dimensions without a range are placed by their position in the range of the space that is searched.",
    ]
    data = {key: value for key, value in to_mapping(prior).items() if value is not None}
    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=None, allow_unicode=True, width=math.inf)
    return "\n".join([*head, text])
