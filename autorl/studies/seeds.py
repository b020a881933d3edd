"""The training seeds of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorl.keys import SeedRole, training_seeds
from autorl.studies.specification import Specification, to_mapping


def seeds_of(specification: Specification, role: SeedRole, repeat: int = 0) -> tuple[int, ...]:
    """Return the training seeds of a role; for a repeat of a search trial as many fresh ones.

    A study that goes on with earlier ones is tested on fresh seeds: the results on theirs were known when it was started.
    """
    seeds = specification.seeds
    count = getattr(seeds, role)
    used = first_test_seed(to_mapping(specification)) if role == "test" else 0
    return training_seeds(seeds.study, role, count, used + count * repeat)


def first_test_seed(specification: Mapping[str, Any]) -> int:
    """Return the place of the first test seed of a study, of its plain specification: those before it were used by earlier ones."""
    taken = ((specification.get("search") or {}).get("warm_start") or {}).get("taken") or {}
    return int(max((specification.get("seeds") or {}).get("test_start") or 0, taken.get("test_seeds") or 0))


def seed_roles(specification: Specification) -> dict[str, Any]:
    """Return the study's seed and the training seeds of every role."""
    roles = list[SeedRole](("search", "tuning", "test"))
    return {"study": specification.seeds.study, **{role: list(seeds_of(specification, role)) for role in roles}}
