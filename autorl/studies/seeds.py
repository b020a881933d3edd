"""The training seeds of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorl.keys import SeedRole, training_seeds
from autorl.studies.specification import Specification


def seeds_of(specification: Specification, role: SeedRole, repeat: int = 0) -> tuple[int, ...]:
    """Return the training seeds of a role; for a repeat of a search trial as many fresh ones.

    A study that goes on with earlier ones is tested on fresh seeds: the results on theirs were known when it was started.
    """
    seeds = specification.seeds
    count = getattr(seeds, role)
    used = first_test_seed(specification) if role == "test" else 0
    return training_seeds(seeds.study, role, count, used + count * repeat)


def first_test_seed(specification: Specification) -> int:
    """Return the place of the first test seed of a study: those before it were used by earlier ones."""
    search = specification.search
    taken = search and search.warm_start and search.warm_start.taken
    return max(specification.seeds.test_start, taken.test_seeds if taken else 0)


def test_start_of(specification: Mapping[str, Any]) -> dict[str, int]:
    """Return ``{"test_start": place}`` of a study's plain specification, as its winner's experiment has it; empty where it is 0."""
    taken = ((specification.get("search") or {}).get("warm_start") or {}).get("taken") or {}
    place = max((specification.get("seeds") or {}).get("test_start") or 0, taken.get("test_seeds") or 0)
    return {"test_start": int(place)} if place else {}


def seed_roles(specification: Specification) -> dict[str, Any]:
    """Return the study's seed and the training seeds of every role."""
    roles = list[SeedRole](("search", "tuning", "test"))
    return {"study": specification.seeds.study, **{role: list(seeds_of(specification, role)) for role in roles}}
