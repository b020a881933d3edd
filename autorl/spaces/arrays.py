"""A space of named float32 arrays: the weights of a learned objective, a schedule's knots."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autorl.errors import UsageError, suggestion
from autorl.keys import derive, generator
from autorl.spaces.protocol import Candidate

_LITTLE = np.dtype("<f4")


@dataclass(frozen=True)
class ArraySpace:
    """Unbounded float32 arrays of given shapes. It has no unit cube (`unit_dimension` is 0).

    Attributes:
        shapes: Name to shape.
        init_scale: Standard deviation of sampled entries.
        name: What people call it.

    Raises:
        UsageError: No array, a size below 1, or a scale that is not positive.
    """

    shapes: Mapping[str, tuple[int, ...]]
    init_scale: float = 0.1
    name: str = "arrays"

    def __post_init__(self) -> None:
        shapes = {str(k): tuple(v) for k, v in self.shapes.items()}
        if not shapes:
            raise UsageError(f"search space {self.name!r}: expected at least one array")
        for key, shape in shapes.items():
            if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in shape):
                raise UsageError(
                    f"search space {self.name!r}: array {key!r}: sizes must be whole numbers from 1, got {shape!r}"
                )
        if not (math.isfinite(self.init_scale) and self.init_scale > 0):
            raise UsageError(f"search space {self.name!r}: init_scale must be above 0, got {self.init_scale!r}")
        object.__setattr__(self, "shapes", MappingProxyType(shapes))

    @property
    def unit_dimension(self) -> int:
        """0: arrays are unbounded."""
        return 0

    def features(self) -> frozenset[str]:
        """Return ``arrays``."""
        return frozenset({"arrays"})

    def _noise(self, key: int, name: str, scale: float) -> NDArray[np.float32]:
        draw = generator(derive(key, "noise", name)).standard_normal(self.shapes[name])
        return np.asarray(draw * scale, np.float32)

    def sample(self, key: int) -> Candidate:
        """Return arrays of independent normal entries with standard deviation ``init_scale``."""
        return {name: self._noise(key, name, self.init_scale) for name in self.shapes}

    def mutate(
        self, key: int, candidate: Candidate, rate: float | None = None, scale: float | None = None
    ) -> Candidate:
        """Return the arrays plus normal noise of ``scale`` (``init_scale`` by default) on a fraction ``rate`` of entries (all)."""
        rate, scale = 1.0 if rate is None else rate, self.init_scale if scale is None else scale

        def moved(name: str) -> NDArray[np.float32]:
            chosen = np.asarray(generator(derive(key, "mutate", name)).random(self.shapes[name]) < rate)
            chosen.reshape(-1)[int(generator(derive(key, "forced", name)).integers(chosen.size))] = True
            return np.asarray(
                np.where(chosen, candidate[name] + self._noise(key, name, scale), candidate[name]), np.float32
            )

        return {name: moved(name) for name in self.shapes}

    def crossover(self, key: int, a: Candidate, b: Candidate) -> Candidate:
        """Return arrays that take each entry from ``a`` or ``b`` with equal chance."""

        def mixed(name: str) -> NDArray[np.float32]:
            from_a = generator(derive(key, "crossover", name)).random(self.shapes[name]) < 0.5
            return np.asarray(np.where(from_a, a[name], b[name]), np.float32)

        return {name: mixed(name) for name in self.shapes}

    def perturb(
        self,
        key: int,
        candidate: Candidate,
        factors: tuple[float, float] = (0.8, 1.2),
        resample_probability: float = 0.25,
    ) -> Candidate:
        """Return the arrays plus normal noise of ``init_scale``; ``factors`` and ``resample_probability`` are for numbers."""
        return self.mutate(key, candidate)

    def to_unit(self, candidate: Candidate) -> NDArray[np.float64]:
        """Return an empty array: there is no unit cube."""
        return np.zeros(0, np.float64)

    def from_unit(self, unit: NDArray[np.float64]) -> Candidate:
        """Raise UsageError: there is no unit cube."""
        raise UsageError(f"search space {self.name!r}: arrays are unbounded and have no unit cube")

    def fingerprint(self, candidate: Candidate) -> str:
        """Return 16 hexadecimal digits that depend on names, shapes and every bit (but for the sign of zero)."""
        digest = hashlib.blake2b(digest_size=8)
        for name in sorted(self.shapes):
            values = np.ascontiguousarray(candidate[name], _LITTLE) + np.float32(0.0)  # -0.0 becomes 0.0
            digest.update(f"{name}:{values.shape}:".encode() + values.tobytes())
        return digest.hexdigest()

    def to_json(self, candidate: Candidate) -> dict[str, Any]:
        """Return ``{name: {"$array": {dtype, shape, data}}}``, data being base64 of little-endian float32 in row order."""
        return {name: {"$array": _encode(candidate[name])} for name in self.shapes}

    def from_json(self, data: Mapping[str, Any]) -> Candidate:
        """Return the arrays that `to_json` wrote; nothing is decoded before its size has been checked.

        Raises:
            UsageError: Unknown or missing names, another dtype, shape or size than declared, broken base64, non-finite entries.
        """
        wrong = self._name_problems(data)
        if wrong:
            raise UsageError("; ".join(wrong))
        candidate = {name: _decode(name, data[name], shape) for name, shape in self.shapes.items()}
        wrong = self.validate(candidate)
        if wrong:
            raise UsageError("; ".join(wrong))
        return candidate

    def _name_problems(self, names: Mapping[str, Any]) -> list[str]:
        unknown = [f"unknown array {n!r}.{suggestion(str(n), self.shapes)}" for n in names if n not in self.shapes]
        return unknown + [f"{n}: missing" for n in self.shapes if n not in names]

    def validate(self, candidate: Candidate) -> list[str]:
        """Return every problem: names, types, shapes and non-finite entries."""
        wrong = self._name_problems(candidate)
        for name, shape in self.shapes.items():
            value = candidate.get(name)
            if value is None:
                continue
            if not isinstance(value, np.ndarray) or value.dtype != np.float32 or value.shape != shape:
                got = f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
                wrong.append(f"{name}: expected a numpy array float32{list(shape)}, got {got}")
            elif not np.isfinite(value).all():
                wrong.append(f"{name}: expected finite numbers, got {int((~np.isfinite(value)).sum())} that are not")
        return wrong

    def upper_bounds(self) -> dict[str, float]:
        """Return nothing: arrays are unbounded."""
        return {}


def _encode(array: NDArray[np.float32]) -> dict[str, Any]:
    data = np.ascontiguousarray(array, _LITTLE).tobytes()
    return {"dtype": "float32", "shape": list(array.shape), "data": base64.b64encode(data).decode()}


def _decode(name: str, entry: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = entry.get("$array") if isinstance(entry, Mapping) else None
    if not isinstance(array, Mapping):
        raise UsageError(f"{name}: expected an object with '$array', got {type(entry).__name__}")
    if array.get("dtype") != "float32" or array.get("shape") != list(shape):
        raise UsageError(f"{name}: expected float32{list(shape)}, got {array.get('dtype')!r}{array.get('shape')!r}")
    data, size = array.get("data"), 4 * math.prod(shape)
    if not isinstance(data, str) or len(data) != 4 * math.ceil(size / 3):
        raise UsageError(f"{name}: data: expected base64 of {size} bytes")
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"{name}: data: expected base64, {error}") from error
    if len(raw) != size:
        raise UsageError(f"{name}: data: expected base64 of {size} bytes, got {len(raw)}")
    return np.frombuffer(raw, _LITTLE).reshape(shape).astype(np.float32)
