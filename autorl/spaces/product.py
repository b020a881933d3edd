"""A space made of named spaces: hyperparameters, objective and curriculum can be searched together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autorl.errors import UsageError, suggestion
from autorl.keys import derive
from autorl.spaces.protocol import Candidate, Space


@dataclass(frozen=True)
class ProductSpace:
    """Candidates are ``{part: candidate of that part}``; every part draws from a key of its own.

    Attributes:
        parts: Name to space.
        name: What people call it.

    Raises:
        UsageError: No part.
    """

    parts: Mapping[str, Space]
    name: str = "product"

    def __post_init__(self) -> None:
        if not self.parts:
            raise UsageError(f"search space {self.name!r}: expected at least one part")
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))

    @property
    def unit_dimension(self) -> int:
        """Sum over the parts."""
        return sum(space.unit_dimension for space in self.parts.values())

    def features(self) -> frozenset[str]:
        """Return the features of all parts."""
        return frozenset().union(*(space.features() for space in self.parts.values()))

    def sample(self, key: int) -> Candidate:
        """Return a sample of every part."""
        return {part: space.sample(derive(key, part)) for part, space in self.parts.items()}

    def mutate(
        self, key: int, candidate: Candidate, rate: float | None = None, scale: float | None = None
    ) -> Candidate:
        """Return a mutant of every part that is not fixed."""
        return {
            part: space.mutate(derive(key, part), candidate[part], rate, scale) for part, space in self.parts.items()
        }

    def crossover(self, key: int, a: Candidate, b: Candidate) -> Candidate:
        """Return a crossover of every part."""
        return {part: space.crossover(derive(key, part), a[part], b[part]) for part, space in self.parts.items()}

    def perturb(
        self,
        key: int,
        candidate: Candidate,
        factors: tuple[float, float] = (0.8, 1.2),
        resample_probability: float = 0.25,
    ) -> Candidate:
        """Return every part perturbed."""
        return {
            part: space.perturb(derive(key, part), candidate[part], factors, resample_probability)
            for part, space in self.parts.items()
        }

    def to_unit(self, candidate: Candidate) -> NDArray[np.float64]:
        """Return the coordinates of all parts, one after the other."""
        return np.concatenate([space.to_unit(candidate[part]) for part, space in self.parts.items()])

    def from_unit(self, unit: NDArray[np.float64]) -> Candidate:
        """Return the candidate at ``unit``, float [unit_dimension]; raise UsageError if a part has no unit cube."""
        point = np.asarray(unit, np.float64)
        if point.shape != (self.unit_dimension,):
            raise ValueError(f"expected {self.unit_dimension} numbers, got {unit!r}")
        made: dict[str, Candidate] = {}
        start = 0
        for part, space in self.parts.items():
            made[part] = space.from_unit(point[start : start + space.unit_dimension])
            start += space.unit_dimension
        return made

    def fingerprint(self, candidate: Candidate) -> str:
        """Return 16 hexadecimal digits made of the parts' fingerprints."""
        text = "|".join(f"{part!r}:{self.parts[part].fingerprint(candidate[part])}" for part in sorted(self.parts))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def to_json(self, candidate: Candidate) -> dict[str, Any]:
        """Return every part's JSON under its name."""
        return {part: space.to_json(candidate[part]) for part, space in self.parts.items()}

    def from_json(self, data: Mapping[str, Any]) -> Candidate:
        """Return the candidate that `to_json` wrote; raise UsageError if it is not one of this space."""
        wrong = self._part_problems(data)
        if wrong:
            raise UsageError("; ".join(wrong))
        made: dict[str, Candidate] = {}
        for part, space in self.parts.items():
            try:
                made[part] = space.from_json(data[part])
            except UsageError as error:
                raise UsageError(f"{part}: {error}") from error
        return made

    def _part_problems(self, data: Mapping[str, Any]) -> list[str]:
        wrong = [f"unknown part {p!r}.{suggestion(str(p), self.parts)}" for p in data if p not in self.parts]
        wrong += [f"{p}: missing" for p in self.parts if p not in data]
        return wrong + [
            f"{p}: expected an object, got {data[p]!r}"
            for p in self.parts
            if p in data and not isinstance(data[p], Mapping)
        ]

    def validate(self, candidate: Candidate) -> list[str]:
        """Return the problems of all parts, each with the part's name."""
        wrong = self._part_problems(candidate)
        return wrong or [
            f"{p}.{problem}" for p, space in self.parts.items() for problem in space.validate(candidate[p])
        ]

    def upper_bounds(self) -> dict[str, float]:
        """Return the parts' bounds as ``part.name``."""
        return {f"{part}.{k}": v for part, space in self.parts.items() for k, v in space.upper_bounds().items()}
