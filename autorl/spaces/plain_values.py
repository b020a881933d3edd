"""A recorded candidate as the hyperparameters of a learner: parts of a product side by side, a loss graph under one name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autorl.spaces.product import ProductSpace
from autorl.spaces.protocol import Space

OBJECTIVE = "objective"
"""Under this name a loss graph stands among the hyperparameters of a training."""
TEACHER = "teacher"
"""Under this name a teacher stands there: ``{"name": ..., "parameters": {...}}``. In a candidate it is the teacher's name, and parameters
are ``teacher.NAME.PARAMETER``, entries of an array ``teacher.NAME.PARAMETER.0.1``."""

DISTILL_FROM = "distill_from"
"""The hyperparameter of learners that names the policy that they imitate."""
NOBODY = "none"
"""In the place of a policy to imitate: nobody is, as where none is named; so a space may ask whether to imitate."""
NO_TEACHER = "none"
"""The name of having none, where teachers are compared: all episodes are of the environment's task."""


def leaves(space: Space | None) -> Iterator[Space]:
    """Yield the spaces that ``space`` is made of: itself, or a product's parts and theirs."""
    if isinstance(space, ProductSpace):
        for part in space.parts.values():
            yield from leaves(part)
    elif space is not None:
        yield space


def of_teacher(name: str) -> bool:
    """Return whether the dimension ``name`` is a teacher, or a parameter of one."""
    return name == TEACHER or name.startswith(f"{TEACHER}.")


def teacher_entries(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the teacher ``name`` with ``parameters`` as a candidate has it; `with_teacher` undoes it."""
    return {TEACHER: name, **{f"{TEACHER}.{name}.{key}": value for key, value in parameters.items()}}


def with_teacher(values: Mapping[str, Any], fixed: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return ``values`` with the teacher in one entry, if there is one.

    Args:
        values: Hyperparameters, among them the teacher's as candidates have them.
        fixed: The study's teacher, ``{"name": ..., "parameters": {...}}``; what is in ``values`` comes before it.
    """
    rest = {name: value for name, value in values.items() if not of_teacher(name)}
    name = values.get(TEACHER, fixed and fixed["name"])
    if name is None:
        return rest
    parameters = dict((fixed or {}).get("parameters", {})) if fixed and fixed["name"] == name else {}
    prefix = f"{TEACHER}.{name}."
    entries: dict[str, dict[tuple[int, ...], Any]] = {}
    for key in sorted(key for key in values if key.startswith(prefix)):
        parameter, *indices = key.removeprefix(prefix).split(".")
        entries.setdefault(parameter, {})[tuple(map(int, indices))] = values[key]
    parameters |= {parameter: _array(of) for parameter, of in entries.items()}
    return {**rest, TEACHER: {"name": name, "parameters": parameters}}


def _array(entries: Mapping[tuple[int, ...], Any]) -> Any:
    """Return what has ``entries``: a plain value, or nested lists."""
    if () in entries:
        return entries[()]
    below: dict[int, dict[tuple[int, ...], Any]] = {}
    for index, value in entries.items():
        below.setdefault(index[0], {})[index[1:]] = value
    return [_array(below[i]) for i in sorted(below)]


def plain_values(space: Space | None, candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a learner is given for ``candidate``, in the form that `Space.to_json` writes.

    A space of loss graphs has a method ``objective(candidate)`` that returns the graph as data, one of level scores a method
    ``scored(candidate)`` that returns a teacher's parameter; any other candidate is a mapping of hyperparameters already.
    """
    if isinstance(space, ProductSpace):
        return {k: v for part, own in space.parts.items() for k, v in plain_values(own, candidate[part]).items()}
    if space is not None and hasattr(space, "scored"):
        return dict(space.scored(candidate))
    if space is not None and hasattr(space, "objective"):
        return {OBJECTIVE: space.objective(candidate)}
    return dict(candidate)
