"""A comparison from a file or from a mapping, with overrides; the same way in, and the same checks, as of a specification."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from autorl.studies.comparison_models import Comparison, ComparisonSeeds, Tuning
from autorl.studies.convert import from_python
from autorl.studies.experiment_files import is_comparison_node, named, read_file, read_text
from autorl.studies.overrides import Overrides, apply
from autorl.studies.positions import Node
from autorl.studies.problems import Problem, SpecificationError
from autorl.studies.validation import COMPARISON, PYTHON, experiment_from

__all__ = ["Comparison", "ComparisonSeeds", "Tuning", "from_mapping", "is_comparison", "load", "parse"]


def is_comparison(name: str | os.PathLike[str]) -> bool:
    """Return whether the experiment of that name or path is a comparison: whether it has the key ``objectives``.

    Of a file that cannot be read at all the answer is False: as a study it is refused with what is wrong.

    Raises:
        UsageError: No such experiment or file.
    """
    try:
        root, _, _ = read_file(name)
    except SpecificationError:
        return False
    return is_comparison_node(root)


def load(name: str | os.PathLike[str], overrides: Overrides = (), *, references: bool = True) -> Comparison:
    """Return the comparison of that name in the catalogue, or in the ``.yaml`` file of that path.

    Args:
        name: ``dqnreg_generalises``, or a path.
        overrides: ``["seeds.test=3", ...]`` or ``{"seeds.test": 3, ...}``.
        references: Also check the names that it refers to (objectives, environments, learner, space) and what depends on them.

    Raises:
        UsageError: No such experiment or file.
        SpecificationError: All problems of the file and of the overrides.
    """
    root, problems, display = read_file(name)
    return _finish(named(root, display), problems, overrides, references)


def parse(
    text: str, filename: str = "comparison.yaml", overrides: Overrides = (), *, references: bool = True
) -> Comparison:
    """Return the comparison written in ``text``; ``filename`` is for messages, and its stem the name if there is no other.

    Raises:
        SpecificationError: All problems of the text and of the overrides.
    """
    root, problems = read_text(text, filename)
    return _finish(named(root, filename), problems, overrides, references)


def from_mapping(
    fields: Mapping[str, Any] | Comparison, overrides: Overrides = (), *, references: bool = True
) -> Comparison:
    """Return the comparison in ``fields``, a mapping as a file would have it, or a comparison to be changed by ``overrides``.

    Raises:
        SpecificationError: All problems.
    """
    problems: list[Problem] = []
    return _finish(from_python(fields, PYTHON, problems), problems, overrides, references)


def _finish(root: Node, problems: list[Problem], overrides: Overrides, references: bool) -> Comparison:
    root, more = apply(root, Comparison, overrides)
    if references:
        from autorl.studies.comparison_references import unknown_in_comparison

        return experiment_from(COMPARISON, root, [*problems, *more], unknown_in_comparison)
    return experiment_from(COMPARISON, root, [*problems, *more], lambda sections: [])
