"""The episodes by which a stage is judged: as they begin, not as they end, for the first to end are the short ones."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array


class Block(NamedTuple):
    """Episodes that begin one after another and are judged together, when all of them have ended.

    Attributes:
        number: int32, of the block; those that begin with another one's are not of it.
        begun: int32, its episodes so far.
        ended: int32, those of them that ended.
        valid: int32, those of them that ended with a score.
        total: float32, sum of their scores.
    """

    number: Array
    begun: Array
    ended: Array
    valid: Array
    total: Array

    @classmethod
    def first(cls) -> Block:
        """Return the first block, before its first episode."""
        none = jnp.int32(0)
        return cls(none, none, none, none, jnp.float32(0.0))

    @property
    def next(self) -> Block:
        """The block after it, before its first episode."""
        return Block.first()._replace(number=self.number + 1)

    @property
    def mean(self) -> Array:
        """Mean score, float32; nan without any."""
        return self.total / self.valid

    def open_to(self, size: Array | int) -> Array:
        """Return the number that an episode which begins now gets, int32: the block's, or -1 where that has ``size`` already."""
        return jnp.where(self.begun < size, self.number, -1)

    def started(self, blocks: Array, which: Array) -> Block:
        """Return the block after those of n episodes of ``blocks`` [n] began that ``which`` [n] says."""
        return self._replace(begun=self.begun + self._count(blocks, which))

    def told(self, blocks: Array, scores: Array, valid: Array, ended: Array) -> Block:
        """Return the block after n episodes of ``blocks`` [n] ended, where ``ended`` [n]; not ``valid`` [n] ones have no score."""
        own = valid & ended & (blocks == self.number)
        return self._replace(
            ended=self.ended + self._count(blocks, ended),
            valid=self.valid + jnp.sum(own, dtype=jnp.int32),
            total=self.total + jnp.sum(jnp.where(own, scores, 0.0)),
        )

    def over(self, size: Array | int) -> Array:
        """Return whether at least ``size`` episodes began, and all of them have ended."""
        return (self.begun >= size) & (self.ended >= self.begun)

    def _count(self, blocks: Array, which: Array) -> Array:
        return jnp.sum(which & (blocks == self.number), dtype=jnp.int32)
