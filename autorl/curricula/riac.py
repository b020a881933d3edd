"""RIAC: a tree of boxes, split where learning progress differs; tasks from the boxes where it is greatest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, choose, learned_from, one_by_one, stream
from autorl.declarations import hyperparameters, static, traced

ROUNDS = 20
"""Times as many cuts as wanted that are drawn before a region counts as one that cannot be cut."""


@hyperparameters
class RiacParameters:
    """Of RIAC; defaults are the reference implementation's, whose mutation does not grow with the box."""

    region_share: Array = traced(0.7, "Share of the tasks drawn from a region.", low=0.0, high=1.0)
    uniform_share: Array = traced(0.2, "Share of the tasks drawn from the whole box.", low=0.0, high=1.0)
    mutation: Array = traced(0.1, "Standard deviation of a mutation, in sides of the box.", low=0.0, high=1.0)
    least_share: Array = traced(
        0.05, "Least number of episodes in a half, as a share of region_size.", low=0.0, high=0.5
    )
    least_side: Array = traced(1 / 15, "Least side of a region, as a share of the box's.", low=0.0, high=0.5)
    discarded: Array = traced(
        0.25, "Share of region_size, the oldest, that a leaf forgets if no cut is allowed.", low=0.0, high=1.0
    )
    region_size: int = static(200, "Episodes that a leaf holds before it is cut.", low=4, high=10_000)
    split_attempts: int = static(50, "Cuts tried.", low=1, high=10_000)
    regions: int = static(511, "Room for regions; once it is used up, no region is cut.", low=1, high=100_000)


class RiacState(NamedTuple):
    """The tree, R nodes of at most S = ``region_size`` + 1 episodes each; the root, which is the whole box, is the first.

    Attributes:
        seed: uint32 [2], decides the cuts that are tried.
        episodes: int32, episodes so far.
        used: int32, number of nodes.
        low: float32 [R, D], corners of the boxes, in [0, 1].
        high: float32 [R, D].
        points: float32 [R, S, D], tasks of each, the newest last.
        returns: float32 [R, S].
        held: int32 [R], episodes held.
        progress: float32 [R], absolute learning progress; 0 for nodes not used.
        child: int32 [R], number of the lower half, the upper half's is one more; 0 for a leaf.
        axis: int32 [R], coordinate in which the halves differ.
    """

    seed: Array
    episodes: Array
    used: Array
    low: Array
    high: Array
    points: Array
    returns: Array
    held: Array
    progress: Array
    child: Array
    axis: Array


class _Cut(NamedTuple):
    """The best cut of a region: its coordinate and place, which episodes are below, whether it is allowed."""

    axis: Array
    place: Array
    below: Array
    allowed: Array


@dataclass(frozen=True)
class Riac(Teacher[RiacState]):
    """Robust intelligent adaptive curiosity.

    The progress of a region is the absolute difference between the mean returns of the older and the newer half of its episodes. A leaf
    that holds more than ``region_size`` is cut, by the best of ``split_attempts`` random cuts: that with the greatest difference
    between its halves' progress. Of the tasks, 70 % are uniform in a region chosen in proportion to progress (inner nodes too), 20 %
    are uniform, and 10 % mutate the task with the least return of a region chosen so.

    The score of a cut is meant to grow with both halves' numbers of episodes as well. The reference multiplies by constants
    instead, and its figures were measured so; so it is here. Two of its slips are not copied: new halves get their own progress, not
    that of the cut tried last, and the search for a cut ends where no cut is possible.
    """

    name: ClassVar[str] = "riac"
    reference: ClassVar[str] = (
        "Baranes and Oudeyer, 2009, R-IAC: Robust Intrinsically Motivated Exploration and Active Learning; as a teacher: "
        "Portelas et al., 2019"
    )
    Parameters: ClassVar[type[Any]] = RiacParameters

    def _init(self, params: RiacParameters, seed: Array) -> RiacState:
        nodes, room, d = params.regions, params.region_size + 1, self.space.dimensions
        none, number = jnp.zeros(nodes), jnp.zeros(nodes, jnp.int32)
        low, high = jnp.zeros((nodes, d)), jnp.zeros((nodes, d)).at[0].set(1.0)
        points, returns = jnp.zeros((nodes, room, d)), jnp.zeros((nodes, room))
        return RiacState(seed, jnp.int32(0), jnp.int32(1), low, high, points, returns, number, none, number, number)

    def _propose(self, params: RiacParameters, state: RiacState, key: Array, n: int) -> Proposal:
        keys = jax.random.split(key, 5)
        d, room = self.space.dimensions, params.region_size + 1
        used = jnp.arange(params.regions) < state.used
        node = choose(keys[0], jnp.where(state.progress.sum() > 0, state.progress, used.astype(jnp.float32)), n)
        low, high, returns = state.low[node], state.high[node], state.returns[node]
        within = low + jax.random.uniform(keys[1], (n, d)) * (high - low)
        held = jnp.arange(room) >= room - state.held[node][:, None]
        worst = state.points[node, jnp.argmin(jnp.where(held, returns, jnp.inf), axis=1)]
        mutated = jnp.clip(worst + params.mutation * jax.random.normal(keys[2], (n, d)), low, high)
        uniform = self.space.draw(keys[3], n)
        mode = jax.random.uniform(keys[4], (n, 1))
        anywhere = (mode < params.region_share + params.uniform_share) | (state.held[node] == 0)[:, None]
        tasks = jnp.where(mode < params.region_share, within, jnp.where(anywhere, uniform, mutated))
        return learned_from(jnp.where(state.episodes == 0, uniform, tasks))

    def _update(
        self, params: RiacParameters, state: RiacState, points: Array, channels: Channels, valid: Array
    ) -> RiacState:
        def step(before: RiacState, point: Array, own: Channels) -> RiacState:
            grown, leaf = self._grown(params, before, point, own["returns"])
            full = grown.held[leaf] > params.region_size
            return jax.lax.cond(full, lambda: self._relieved(params, grown, leaf), lambda: grown)

        return one_by_one(step, state, points, channels, valid)

    def _grown(self, params: RiacParameters, state: RiacState, point: Array, value: Array) -> tuple[RiacState, Array]:
        """Return the state with one more episode in each region that holds ``point``, and the number of the leaf."""
        room = params.region_size + 1

        def add(node: Array, state: RiacState) -> RiacState:
            # a leaf with all its places taken is relieved at once; an inner node forgets its oldest
            points = jnp.roll(state.points[node], -1, axis=0).at[-1].set(point)
            returns = jnp.roll(state.returns[node], -1).at[-1].set(value)
            count = jnp.minimum(state.held[node] + 1, room)
            return state._replace(
                points=state.points.at[node].set(points),
                returns=state.returns.at[node].set(returns),
                held=state.held.at[node].set(count),
                progress=state.progress.at[node].set(_progress(returns, jnp.arange(room) >= room - count)),
            )

        def descend(carry: tuple[Array, RiacState]) -> tuple[Array, RiacState]:
            node, state = carry
            child, axis = state.child[node], state.axis[node]
            lower = child + (point[axis] > state.high[child, axis])
            return lower, add(lower, state)

        start = (jnp.int32(0), add(jnp.int32(0), state._replace(episodes=state.episodes + 1)))
        leaf, grown = jax.lax.while_loop(lambda carry: carry[1].child[carry[0]] > 0, descend, start)
        return grown, leaf

    def _relieved(self, params: RiacParameters, state: RiacState, leaf: Array) -> RiacState:
        """Return the state with the full ``leaf`` cut, or its oldest episodes forgotten."""
        cut = self._cut(params, state, leaf)
        possible = cut.allowed & (state.used + 2 <= params.regions)
        return jax.lax.cond(
            possible, lambda: self._divided(state, leaf, cut), lambda: self._forgotten(params, state, leaf)
        )

    def _divided(self, state: RiacState, leaf: Array, cut: _Cut) -> RiacState:
        lower, upper = state.used, state.used + 1
        low, high = state.low[leaf], state.high[leaf]
        changes = {
            "used": state.used + 2,
            "child": state.child.at[leaf].set(lower),
            "axis": state.axis.at[leaf].set(cut.axis),
            "low": state.low.at[lower].set(low).at[upper].set(low.at[cut.axis].set(cut.place)),
            "high": state.high.at[lower].set(high.at[cut.axis].set(cut.place)).at[upper].set(high),
        }
        divided = state._replace(**changes)
        room = state.returns.shape[1]
        for half, inside in ((lower, cut.below), (upper, ~cut.below)):
            order = jnp.argsort(inside, stable=True)  # those inside last, in their order
            count = inside.sum(dtype=jnp.int32)
            returns = state.returns[leaf][order]
            divided = divided._replace(
                points=divided.points.at[half].set(state.points[leaf][order]),
                returns=divided.returns.at[half].set(returns),
                held=divided.held.at[half].set(count),
                progress=divided.progress.at[half].set(_progress(returns, jnp.arange(room) >= room - count)),
            )
        return divided

    def _forgotten(self, params: RiacParameters, state: RiacState, leaf: Array) -> RiacState:
        lost = jnp.maximum((params.region_size * params.discarded).astype(jnp.int32), 1)
        count, room = state.held[leaf] - lost, params.region_size + 1
        progress = _progress(state.returns[leaf], jnp.arange(room) >= room - count)
        return state._replace(held=state.held.at[leaf].set(count), progress=state.progress.at[leaf].set(progress))

    def _cut(self, params: RiacParameters, state: RiacState, leaf: Array) -> _Cut:
        """Return the best of the first ``split_attempts`` random cuts that leave enough episodes on both sides."""
        drawn = ROUNDS * params.split_attempts
        which, where = jax.random.split(stream(state.seed, state.episodes))
        low, high, points = state.low[leaf], state.high[leaf], state.points[leaf]
        axes = jax.random.randint(which, (drawn,), 0, self.space.dimensions)
        places = low[axes] + jax.random.uniform(where, (drawn,)) * (high - low)[axes]
        counts = (points.T[axes] <= places[:, None]).sum(axis=1)
        least = params.least_share * params.region_size
        enough = (counts >= least) & (params.region_size + 1 - counts >= least)
        tried = jnp.nonzero(enough, size=params.split_attempts, fill_value=drawn)[0]
        exists = tried < drawn
        axes, places = axes[tried], places[tried]
        wide = jnp.minimum(places - low[axes], high[axes] - places) >= params.least_side
        below = points.T[axes] <= places[:, None]
        progress = jax.vmap(_progress, in_axes=(None, 0))
        gain = jnp.abs(progress(state.returns[leaf], below) - progress(state.returns[leaf], ~below))
        best = jnp.argmax(jnp.where(exists & wide, gain, -1.0))
        return _Cut(axes[best], places[best], below[best], (exists & wide)[best])


def _progress(returns: Array, inside: Array) -> Array:
    """Return the absolute difference of the means of the older and the newer half of the ``returns`` [S] that are ``inside``.

    Of an odd number the oldest is left out. It is 0 for two or fewer.
    """
    rank = jnp.cumsum(inside)  # from 1, oldest first
    count = rank[-1]
    half = count // 2
    newer = inside & (rank > count - half)
    older = inside & (rank > count - 2 * half) & ~newer
    difference = jnp.sum(jnp.where(newer, returns, 0.0)) - jnp.sum(jnp.where(older, returns, 0.0))
    return jnp.where(count > 2, jnp.abs(difference) / jnp.maximum(half, 1), 0.0)
