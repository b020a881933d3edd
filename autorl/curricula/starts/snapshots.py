"""Snapshots of a guide's trajectories: episodes start in them, evenly over kinds of states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import choose, stream
from autorl.curricula.starts.archive import Archive
from autorl.curricula.starts.guide import Guide
from autorl.curricula.starts.protocol import GUIDE, Episodes, GuidedStarter, Starts, afresh
from autorl.declarations import hyperparameters, static, traced

TURNS = 20
"""Of k-means."""


@hyperparameters
class SnapshotsParameters:
    """Of snapshots."""

    guide: str = static("", GUIDE)
    trajectories: int = static(16, "Episodes of the guide.", low=1, high=10_000)
    classes: int = static(8, "Kinds of states, by k-means of their observations.", low=1, high=10_000)
    restored: Array = traced(0.75, "Share of episodes that start in a snapshot at first.", low=0.0, high=1.0)
    fade: Array = traced(10_000, "Episodes after which none does; the share falls linearly.", low=1)
    truncate: Array = traced(
        100, "Steps from a snapshot after which the episode that started in it is truncated.", low=1
    )


class SnapshotsState(NamedTuple):
    """Snapshots and how likely each is.

    Attributes:
        archive: The guide's states.
        weights: float32 [C].
        episodes: int32; so far.
    """

    archive: Archive
    weights: Array
    episodes: Array


@dataclass(frozen=True)
class Snapshots(GuidedStarter[SnapshotsState]):
    """Episodes start in states of a guide's trajectories: any class of states is as likely as another, and any state within it.

    Kept of S3RL: snapshots, their classification, and that the agent's own trajectories from them are truncated, so that many start in a
    short time; value estimates go on beyond the cut, as at any time limit. ``truncate`` is that of its source. Different: there, classes
    are of one number, all snapshots of the teacher's best episodes, and for a fixed number of steps every episode starts in one; and a
    cut may lie beyond the environment's own time limit, which here holds as well. The guide's episodes are played once, before the
    training, and their env steps are taken off the training's budget.
    """

    name: ClassVar[str] = "snapshots"
    reference: ClassVar[str] = (
        "Zhao et al., 2024, Snapshot Reinforcement Learning: Leveraging Prior Trajectories for Efficiency"
    )
    Parameters: ClassVar[type[Any]] = SnapshotsParameters

    def begin(self, params: SnapshotsParameters, guide: Guide, scores: Array, seed: Array) -> SnapshotsState:
        """Return the snapshots, sorted into classes."""
        observations = guide.archive.reached.observation.reshape(guide.archive.room, -1)
        kinds = _classes(observations, guide.archive.filled, params.classes, stream(seed, jnp.int32(0)))
        held = guide.archive.filled.astype(jnp.float32)
        sizes = jnp.zeros(params.classes).at[kinds].add(held)
        return SnapshotsState(guide.archive, held / jnp.maximum(sizes[kinds], 1.0), jnp.int32(0))

    def propose(self, params: SnapshotsParameters, state: SnapshotsState, key: Array, n: int) -> Starts:
        """Return episodes of which a falling share starts in snapshots."""
        keys = jax.random.split(key)
        left = jnp.maximum(1.0 - state.episodes / params.fade, 0.0)
        restored = jax.random.uniform(keys[0], (n,)) < params.restored * left
        return afresh(n, self.dimensions)._replace(restored=restored, places=choose(keys[1], state.weights, n))

    def limit(self, params: SnapshotsParameters) -> Array:
        """Return the steps from a snapshot."""
        return jnp.asarray(params.truncate)

    def watch(self, params: SnapshotsParameters, state: SnapshotsState, visited: Archive) -> SnapshotsState:
        """Return ``state``: nothing is added to the snapshots."""
        return state

    def update(self, params: SnapshotsParameters, state: SnapshotsState, told: Episodes) -> SnapshotsState:
        """Return the state after n episodes."""
        return state._replace(episodes=state.episodes + jnp.sum(told.valid, dtype=jnp.int32))


def _classes(points: Array, filled: Array, count: int, key: Array) -> Array:
    """Return the class of each of N ``points`` [N, D], int32 [N]: k-means over the ``filled`` [N], in units of their deviations."""
    share = (filled / jnp.maximum(filled.sum(), 1))[:, None]
    mean = jnp.sum(share * points, axis=0)
    deviation = jnp.sqrt(jnp.sum(share * jnp.square(points - mean), axis=0))
    scaled = (points - mean) / jnp.where(deviation > 0, deviation, 1.0)

    def nearest(centres: Array) -> Array:
        return jnp.argmin(jnp.square(scaled[:, None] - centres[None]).sum(axis=-1), axis=1).astype(jnp.int32)

    def turn(_: Array, centres: Array) -> Array:
        own = jax.nn.one_hot(nearest(centres), count) * filled[:, None]
        sizes = own.sum(axis=0)[:, None]
        # an empty class keeps its centre
        return jnp.where(sizes > 0, own.T @ scaled / jnp.maximum(sizes, 1.0), centres)

    first = scaled[_apart(scaled, filled, count, key)]
    return nearest(jax.lax.fori_loop(0, TURNS, turn, first))


def _apart(points: Array, filled: Array, count: int, key: Array) -> Array:
    """Return ``count`` of the ``filled`` points, int32 [count]: a random one, then always the farthest from those before."""

    def add(i: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        chosen, distance = now
        place = jnp.argmax(jnp.where(filled, distance, -1.0)).astype(jnp.int32)
        return chosen.at[i].set(place), jnp.minimum(distance, jnp.square(points - points[place]).sum(axis=-1))

    one = choose(key, filled.astype(jnp.float32), 1)[0]
    start = jnp.full(count, one), jnp.square(points - points[one]).sum(axis=-1)
    return jax.lax.fori_loop(1, count, add, start)[0]
