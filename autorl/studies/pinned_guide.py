"""The studies that guide teachers and agents, pinned when a study is made: where they are and what they kept, so that a resume is guided
by no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autorl.errors import AutoRLError, UsageError
from autorl.spaces.plain_values import DISTILL_FROM
from autorl.studies.folder import StudyFolder
from autorl.studies.kept_policy import digest_of, parts_of, read
from autorl.studies.specification import Specification

Overrides = Mapping[str, Any] | Sequence[str]


def pinned(reference: str, root: Path | str) -> str:
    """Return ``study:PATH#DIGEST`` for ``study:NAME``; anything else, and what is pinned already, as it is.

    Raises:
        UsageError: There is no such study below ``root`` or at that path, it kept no policy, or it is damaged.
    """
    from autorl.curricula.starts.guide import STUDY

    if not reference.startswith(STUDY):
        return reference
    study, digest = parts_of(reference.removeprefix(STUDY))
    if digest is not None:
        return reference
    try:
        folder = StudyFolder.open(study, root)
        return f"{STUDY}{folder.path.resolve()}#{digest_of(*read(folder))}"
    except AutoRLError as error:
        raise UsageError(f"guide: {error}") from error


def unpinned(reference: Any) -> bool:
    """Return whether ``reference`` names a study without the digest of its policy."""
    from autorl.curricula.starts.guide import STUDY

    return isinstance(reference, str) and reference.startswith(STUDY) and parts_of(reference[len(STUDY) :])[1] is None


def with_pinned_guide(specification: Specification, overrides: Overrides, root: Path | str | None) -> Overrides:
    """Return the ``overrides`` that led to ``specification``, and more that pin the studies below ``root`` that guide teachers and agents.

    They are returned as they are where no study guides, or where ``root`` is None, as for a study that was made already.

    Raises:
        UsageError: As `pinned`.
    """
    if root is None:
        return overrides
    given = [] if specification.teacher is None else [("teacher", specification.teacher)]
    given += [(f"baselines.teachers.{i}", one) for i, one in enumerate(specification.baselines.teachers)]
    guides = {f"{place}.parameters.guide": one.parameters.get("guide") for place, one in given}
    values = {} if specification.learner is None else {"learner": specification.learner.hyperparameters}
    values |= {f"environment.{i}": one.hyperparameters for i, one in enumerate(specification.environments)}
    guides |= {f"{place}.hyperparameters.{DISTILL_FROM}": own.get(DISTILL_FROM) for place, own in values.items()}
    named = {field: (guide, pinned(guide, root)) for field, guide in guides.items() if isinstance(guide, str)}
    changed = {field: found for field, (guide, found) in named.items() if found != guide}
    if not changed:
        return overrides
    if isinstance(overrides, Mapping):
        return {**overrides, **changed}
    written = [f"{field}={json.dumps(found)}" for field, found in changed.items()]
    return [*([overrides] if isinstance(overrides, str) else overrides), *written]
