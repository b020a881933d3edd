"""Go-Explore's cells: an archive of what was reached, from which episodes go on, rather from what was seen little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.curricula.protocol import choose
from autorl.curricula.starts.archive import Archive
from autorl.curricula.starts.protocol import Episodes, MakeArchive, Starter, Starts, afresh
from autorl.declarations import hyperparameters, static, traced


@hyperparameters
class GoExploreParameters:
    """Of Go-Explore's cells."""

    width: Array = traced(
        0.1, "Side of a cell, in each number of an observation.", low=1e-6, high=1e6, shape=("entries",)
    )
    restored: Array = traced(
        0.75, "Share of episodes that go on from a cell; the rest start afresh.", low=0.0, high=1.0
    )
    seen_power: Array = traced(
        0.5, "Cells are chosen by (times seen + 1) to the power of minus this.", low=0.0, high=10.0
    )
    capacity: int = static(
        1024, "Cells; when all are taken, a new one replaces the one seen most.", low=1, high=1_000_000
    )


class GoExploreState(NamedTuple):
    """C cells.

    Attributes:
        archive: The best way that led into each: of the greatest score, then the shortest.
        cells: uint32 [C]; hashes of what tells cells apart.
        seen: int32 [C]; steps that led into each.
    """

    archive: Archive
    cells: Array
    seen: Array


@dataclass(frozen=True)
class GoExplore(Starter[GoExploreState]):
    """First return, then explore: an episode goes on from a cell, chosen by how little it was seen, with its return and its clock.

    Cells are boxes of observations. Different from the original: the agent itself explores from there, and learns from it, until the
    episode ends, while some episodes start afresh; and the archive has a fixed room. Kept: restoring states, the weights
    ``1 / sqrt(seen + 1)``, and that a cell keeps the way with the greatest score, of equal ones the shortest.
    """

    name: ClassVar[str] = "go_explore"
    reference: ClassVar[str] = "Ecoffet et al., 2021, First return, then explore"
    Parameters: ClassVar[type[Any]] = GoExploreParameters

    def init(self, params: GoExploreParameters, make: MakeArchive, seed: Array) -> GoExploreState:
        """Return the empty archive."""
        none = jnp.zeros(params.capacity, jnp.int32)
        return GoExploreState(make(params.capacity), none.astype(jnp.uint32), none)

    def propose(self, params: GoExploreParameters, state: GoExploreState, key: Array, n: int) -> Starts:
        """Return episodes that go on from cells, and some that start afresh; all afresh while there is no cell."""
        keys = jax.random.split(key)
        weights = jnp.where(state.archive.filled, (state.seen + 1.0) ** -params.seen_power, 0.0)
        restored = (jax.random.uniform(keys[0], (n,)) < params.restored) & jnp.any(state.archive.filled)
        return afresh(n, self.dimensions)._replace(restored=restored, places=choose(keys[1], weights, n))

    def watch(self, params: GoExploreParameters, state: GoExploreState, visited: Archive) -> GoExploreState:
        """Return the archive with what was seen."""
        hashes = _hashes(visited.reached.observation, params.width)
        # runs of one cell, in each the best way first, and those that ended last of all
        order = jnp.lexsort((visited.lengths, -visited.scores, hashes, ~visited.filled))
        hashes, ways = hashes[order], visited.at(order)
        before = jnp.concatenate([jnp.zeros(1, jnp.bool_), hashes[1:] == hashes[:-1]])
        head = ways.filled & ~before
        run = jnp.cumsum(head) - 1
        counts = jnp.zeros(len(head), jnp.int32).at[jnp.where(ways.filled, run, len(head))].add(1, mode="drop")
        counts = jnp.where(head, counts[run], 0)
        same = (hashes[:, None] == state.cells[None]) & state.archive.filled
        known, place = same.any(axis=1) & head, jnp.argmax(same, axis=1).astype(jnp.int32)
        seen = state.seen.at[jnp.where(known, place, params.capacity)].add(counts, mode="drop")
        held = state.archive.at(place)
        better = (ways.scores > held.scores) | ((ways.scores == held.scores) & (ways.lengths < held.lengths))
        archive = state.archive.put(place, ways._replace(filled=known & better))
        return _with_new(GoExploreState(archive, state.cells, seen), ways, hashes, counts, head & ~known)

    def update(self, params: GoExploreParameters, state: GoExploreState, told: Episodes) -> GoExploreState:
        """Return ``state``: how episodes end says nothing that steps did not."""
        return state


def _with_new(state: GoExploreState, ways: Archive, hashes: Array, counts: Array, new: Array) -> GoExploreState:
    """Return the state with the ways [N] that are ``new`` [N]: in empty places, then in those of the cells seen most."""

    def insert() -> GoExploreState:
        room = state.archive.room
        places = jnp.argsort(jnp.where(state.archive.filled, -state.seen, -jnp.iinfo(jnp.int32).max), stable=True)
        number = jnp.cumsum(new) - 1
        where = jnp.where(new & (number < room), places[jnp.minimum(number, room - 1)], room)
        return GoExploreState(
            state.archive.put(where, ways._replace(filled=new)),
            state.cells.at[where].set(hashes, mode="drop"),
            state.seen.at[where].set(counts, mode="drop"),
        )

    return jax.lax.cond(jnp.any(new), insert, lambda: state)


def _hashes(observations: Array, width: Array) -> Array:
    """Return a hash of the cell of each observation [N, ...], uint32 [N]: two cells share one with a chance of about 2 ** -32."""
    flat = observations.reshape(len(observations), -1)
    # observations are often whole numbers: the sides of cells lie beside them, not on them
    cells = jnp.floor(flat / width + 0.25).astype(jnp.int32).astype(jnp.uint32)
    odd = np.random.default_rng(0x60E).integers(0, 2**31, (2, flat.shape[1]), np.uint32) * np.uint32(2) + np.uint32(1)
    one, other = (jnp.sum(cells * row, axis=1, dtype=jnp.uint32) for row in jnp.asarray(odd))
    return one ^ ((other >> 15) | (other << 17))
