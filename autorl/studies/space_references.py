"""The search space that an experiment refers to: it exists, and its dimensions are hyperparameters of the learner."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from autorl.errors import UsageError
from autorl.spaces.plain_values import of_teacher
from autorl.studies.consistency import Finding
from autorl.studies.problems import Path

if TYPE_CHECKING:
    from autorl.spaces import Space

_SPACE_PREFIX = re.compile(r"(?:^|; )search space '[^']*': ")
_DIMENSION = re.compile(r"dimension '([^']+)'")


def space_at(path: Path, reference: str | Mapping[str, Any]) -> tuple[Space | None, list[Finding]]:
    """Return the space that stands at ``path``, or all that is wrong with it; of an inline one, each problem at its dimension."""
    from autorl.spaces import load_space

    try:
        return load_space(reference), []
    except UsageError as error:
        text = str(error)
    if isinstance(reference, str):
        return None, [Finding(path, text, reference)]
    found = []
    for problem in filter(None, _SPACE_PREFIX.split(text)):
        match = _DIMENSION.match(problem)
        found.append(Finding((*path, "dimensions", match[1]) if match else path, problem, reference))
    return None, found


def unfit_dimensions(
    path: Path, space: Space, algorithm: str, hyperparameters: type, *, inline: bool
) -> Iterator[Finding]:
    """Yield why candidates of a space without loss graphs cannot train a learner.

    Args:
        path: Where the space stands.
        space: Of hyperparameters, or so it should be.
        algorithm: Name of the learner.
        hyperparameters: The learner's.
        inline: Whether the space is written out at ``path``, so that a problem stands at its dimension.
    """
    dimensions: Mapping[str, Any] = getattr(space, "dimensions", {})
    if not dimensions:
        message = (
            "its candidates are no hyperparameters, so a learner cannot train with them; "
            "leave learner and environment out, and use ask and tell"
        )
        yield Finding(path, message, space.name)
    from autorl.inner.protocol import problems  # imports jax, which a study without a learner does not need

    known: Mapping[str, Any] = hyperparameters.__dataclass_fields__  # type: ignore[attr-defined]
    # a teacher's are looked at with the teachers
    dimensions = {name: dimension for name, dimension in dimensions.items() if not of_teacher(name)}
    unknown, meant = [name for name in dimensions if name not in known], getattr(space, "learner", None)
    if unknown and meant not in (None, algorithm):
        yield Finding(path, _for_another(space, str(meant), algorithm, unknown), space.name)
        return
    for name, dimension in dimensions.items():
        wrong = [found for value in _extremes(dimension) for found in problems(hyperparameters, {name: value})]
        for _, message in wrong[:1]:
            place: Path = (*path, "dimensions", name) if inline else path
            yield Finding(place, f"{algorithm} cannot take dimension {name!r}: {message}", space.name)


def _for_another(space: Space, meant: str, algorithm: str, unknown: list[str]) -> str:
    """Return what is wrong with a space of another learner, and the catalogue's spaces for the one that there is."""
    from autorl import catalogue
    from autorl.spaces import load_space

    fitting = []
    for name in catalogue.names("search_spaces"):
        try:
            if getattr(load_space(name), "learner", None) == algorithm:
                fitting.append(name)
        except UsageError:
            continue  # a broken file of the user's own: not one to propose
    remedy = f" Spaces for it: {', '.join(fitting)}." if fitting else ""
    return f"space {space.name!r} is for {meant}; {algorithm} has no {', '.join(unknown)}.{remedy}"


def _extremes(dimension: Any) -> list[Any]:
    """Return values of a dimension that are in range only if all of them are."""
    choices = getattr(dimension, "choices", None)
    return list(choices) if choices is not None else [dimension.from_unit(0.0), dimension.from_unit(1.0)]
