"""An archive of environment states of fixed room: what was reached, how long that took, and what it paid."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.environments.protocol import Reached


class Archive(NamedTuple):
    """C places, of which some are filled.

    Attributes:
        reached: [C, ...]; observations and states.
        lengths: int32 [C]; env steps from the start of an episode to there.
        scores: float32 [C]; return from the start of an episode to there.
        filled: bool [C].
    """

    reached: Reached
    lengths: Array
    scores: Array
    filled: Array

    @classmethod
    def empty(cls, room: int, one: Reached) -> Archive:
        """Return the archive of nothing; ``one`` is the shape of an entry, as `jax.eval_shape` gives it."""

        def zeros(leaf: jax.ShapeDtypeStruct) -> Array:
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jnp.broadcast_to(jax.random.key(0), (room, *leaf.shape))
            return jnp.zeros((room, *leaf.shape), leaf.dtype)

        none = jnp.zeros(room, jnp.int32)
        return cls(jax.tree.map(zeros, one), none, none.astype(jnp.float32), none > 0)

    @property
    def room(self) -> int:
        """Places, C."""
        return len(self.lengths)

    def put(self, places: Array, entries: Archive) -> Archive:
        """Return the archive with n ``entries`` at ``places``, int32 [n]; those at ``room`` or beyond, or not filled, are left out.

        No place may occur twice.
        """
        where = jnp.where(entries.filled, places, self.room)
        return jax.tree.map(lambda old, new: old.at[where].set(new, mode="drop"), self, entries)

    def at(self, places: Array) -> Archive:
        """Return the entries at ``places``, int32 [n]."""
        return jax.tree.map(lambda leaf: leaf[places], self)
