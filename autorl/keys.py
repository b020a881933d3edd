"""Explicit randomness: keys are plain integers derived from a study's seed and a path of names.

No stream is ever shared, so a draw depends only on its own path: whatever was drawn before, by whatever process,
changes nothing. Inner loops turn such a key into a jax key; everything else into a numpy generator.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np

SeedRole = Literal["search", "tuning", "test"]
_ROLES: dict[SeedRole, int] = {"search": 1, "tuning": 2, "test": 3}
_SPAN = 2**29


def derive(seed: int, *path: str | int) -> int:
    """Return a 63-bit key for ``path`` below ``seed``. Equal arguments give equal keys on every machine."""
    text = "/".join([str(int(seed)), *(f"{type(part).__name__}:{part}" for part in path)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(key: int) -> np.random.Generator:
    """Return a numpy generator whose stream is a function of ``key`` alone."""
    return np.random.Generator(np.random.Philox(key))


def training_seeds(study_seed: int, role: SeedRole, count: int, start: int = 0) -> tuple[int, ...]:
    """Return ``count`` training seeds (non-negative, below 2**31) for ``role``.

    Roles are disjoint by construction: each owns its own range of 2**29 integers. Within a role the seeds are distinct.
    """
    if count < 0 or count + start > _SPAN:
        raise ValueError(f"count must be between 0 and {_SPAN - start}, got {count}")
    base = derive(study_seed, "training seeds", role)
    return tuple(_ROLES[role] * _SPAN + (base + start + i) % _SPAN for i in range(count))


def role_of(training_seed: int) -> SeedRole:
    """Return the role that a training seed is of."""
    return next(role for role, number in _ROLES.items() if training_seed // _SPAN == number)
