"""States as named arrays and back: what a checkpoint holds of a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from numpy.typing import NDArray

from autorl.errors import UsageError

Tree = TypeVar("Tree")


def pack(tree: Any) -> dict[str, NDArray[Any]]:
    """Return every leaf of ``tree`` as a numpy array, named by its path (``mixture/means``)."""
    return {_name(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def unpack(like: Tree, arrays: Mapping[str, NDArray[Any]]) -> Tree:
    """Return the tree that `pack` turned into ``arrays``.

    Args:
        like: A tree of the same structure, of arrays or their shapes (`jax.eval_shape`).
        arrays: By name.

    Raises:
        UsageError: An array that is missing, unknown, or of another shape or type.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [_name(path) for path, _ in paths]
    unknown = sorted(set(arrays) - set(names))
    if unknown:
        raise UsageError(f"arrays of a teacher: unknown {', '.join(map(repr, unknown))}; it has {', '.join(names)}.")
    leaves = []
    for name, (_, wanted) in zip(names, paths, strict=True):
        if name not in arrays:
            raise UsageError(f"arrays of a teacher: {name!r} is missing.")
        found = np.asarray(arrays[name])
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise UsageError(
                f"arrays of a teacher: {name!r}: expected {wanted.dtype} {list(wanted.shape)}, "
                f"got {found.dtype} {list(found.shape)}; was it saved with other static parameters?"
            )
        leaves.append(jax.numpy.asarray(found))
    restored: Tree = jax.tree_util.tree_unflatten(structure, leaves)
    return restored


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
