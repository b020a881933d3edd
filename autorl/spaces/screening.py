"""What a search may ask of any space before it trains a candidate: is it worth it, was the like of it trained before, how large is it?

A space answers by methods of its own (`Screens`); for those that have none, every candidate is worth training, and its size is 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from autorl.keys import derive, generator
from autorl.spaces.product import ProductSpace
from autorl.spaces.protocol import Candidate, Space


@runtime_checkable
class Screens(Protocol):
    """A space some of whose candidates are not worth training."""

    def screen(self, candidates: Sequence[Candidate]) -> list[tuple[str, str | None]]:
        """Return the fingerprint of each candidate, and in a word or two why it is not worth training (None if it is)."""

    def size(self, candidate: Candidate) -> int:
        """Return how many parts a candidate is made of: of two that score alike, the smaller is better."""


@runtime_checkable
class Starts(Protocol):
    """A space with candidates that a search should begin with."""

    def starts(self) -> tuple[Candidate, ...]:
        """Return them; empty if a search should begin with samples."""


def as_found(space: Space | None) -> tuple[Candidate, ...]:
    """Return what a search of a found loss's constants tunes: the loss as it is; empty for all other spaces, products among them.

    Methods that can begin with it, unless the experiment says with what (``search.start``), and it is a finalist where there are
    several: a search that tunes has to beat what it tunes.
    """
    known = space.starts() if isinstance(space, Starts) else ()
    return () if space is None or "graph" in space.features() else known


def screen(space: Space, candidates: Sequence[Candidate]) -> list[tuple[str, str | None]]:
    """Return the fingerprint of each candidate of any space, and why it is not worth training (None if it is)."""
    if isinstance(space, ProductSpace):
        parts = {p: screen(own, [c[p] for c in candidates]) for p, own in sorted(space.parts.items())}
        return [_together({p: found[i] for p, found in parts.items()}) for i in range(len(candidates))]
    if isinstance(space, Screens):
        return space.screen(candidates)
    return [(space.fingerprint(candidate), None) for candidate in candidates]


def _together(parts: dict[str, tuple[str, str | None]]) -> tuple[str, str | None]:
    text = "|".join(f"{part!r}:{name}" for part, (name, _) in parts.items())
    reasons = [reason for _, reason in parts.values() if reason is not None]
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest(), reasons[0] if reasons else None


def size(space: Space, candidate: Candidate) -> int:
    """Return how many parts a candidate is made of: 0 where the space does not count them, the sum over a product's parts."""
    if isinstance(space, ProductSpace):
        return sum(size(own, candidate[part]) for part, own in space.parts.items())
    return space.size(candidate) if isinstance(space, Screens) else 0


def simplest(space: Space, candidate: Candidate) -> Candidate:
    """Return the smallest candidate found that behaves the same; itself where the space knows no other."""
    if isinstance(space, ProductSpace):
        return {part: simplest(own, candidate[part]) for part, own in space.parts.items()}
    known = getattr(space, "simplest", None)
    found: Candidate = candidate if known is None else known(candidate)
    return found


def starts(space: Space, key: int) -> tuple[Candidate, ...]:
    """Return the candidates that a search of ``space`` should begin with; parts of a product without any are drawn with ``key``."""
    if not isinstance(space, ProductSpace):
        return space.starts() if isinstance(space, Starts) else ()
    own = {part: starts(inner, derive(key, part)) for part, inner in space.parts.items()}
    count = max(len(found) for found in own.values())
    return tuple(
        {p: own[p][i % len(own[p])] if own[p] else s.sample(derive(key, p, i)) for p, s in space.parts.items()}
        for i in range(count)
    )


def mutate_part(space: Space, key: int, candidate: Candidate) -> Candidate:
    """Return a mutant that differs in one part: of a product, a part with anything to search, drawn uniformly."""
    if not isinstance(space, ProductSpace):
        return space.mutate(key, candidate)
    movable = [part for part, own in space.parts.items() if own.features()]
    part = movable[int(generator(derive(key, "part")).integers(len(movable)))]
    return {**candidate, part: mutate_part(space.parts[part], derive(key, part), candidate[part])}
