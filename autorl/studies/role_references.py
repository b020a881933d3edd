"""Environments of validation: they fit the search method and what it is told."""

from __future__ import annotations

from collections.abc import Iterator

from autorl.studies.consistency import Finding, Sections
from autorl.studies.trial import VALIDATION


def validated_apart(s: Sections, name: str) -> Iterator[Finding]:
    """Yield the validation environments of a search by a method that trains on what it has trained."""
    for i, choice in enumerate(s.environments):
        if choice.role == VALIDATION:
            message = f"expected train or held_out: {name!r} trains on what it has trained, and validates no member"
            yield Finding.refused(("environment", i, "role"), message, choice.role, "Change it, or search.method")


def unvalidated(s: Sections) -> Iterator[Finding]:
    """Yield that the score in validation environments is to be optimised where there are none."""
    objectives = s.search.settings.get("objectives") if s.search is not None else None
    validated = any(choice.role == VALIDATION for choice in s.environments)
    if isinstance(objectives, list | tuple) and VALIDATION in objectives and not validated and s.intact("environment"):
        message = "no environment has the role 'validation', so no trial has such a score. Give one that role, or leave it out"
        yield Finding(("search", "settings", "objectives"), message, objectives)
