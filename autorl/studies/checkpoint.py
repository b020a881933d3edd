"""Checkpoints: trained arrays on disk, written whole or not at all, and never trusted when read.

A checkpoint is one uncompressed npz file that `numpy.load` opens too: a member for each array, and ``index.json`` with each
array's path, dtype, shape and SHA-256 beside the caller's own JSON. Nothing is pickled. Reading checks every size against the
file's before any memory is taken, and every hash before anything is returned: the exact arrays, or an error.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from autorl.errors import StudyError, UsageError
from autorl.studies.exact_json import dump_json
from autorl.studies.files import TEMPORARY_SUFFIX, check_name, replacing, storage_errors

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]

VERSION = 1
_SUFFIX = ".npz"
_INDEX = "index.json"
_DTYPE = re.compile(r"[<>|](b1|[iu][1248]|f[248]|c8|c16)")  # what means the same on every machine; no objects, no text
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal content makes equal files
_MAX_PATH = 512
_DAMAGE = (
    zipfile.BadZipFile,
    struct.error,
    ValueError,  # includes JSON and text decoding
    TypeError,
    KeyError,
    AttributeError,
    EOFError,
    OverflowError,
    RuntimeError,  # zipfile: encrypted member, other compression; json: nested too deeply
)
"""What zipfile, json and numpy raise on damaged bytes."""


class CheckpointError(StudyError):
    """A checkpoint that is missing, damaged or unsafe."""


def save(folder: Path | str, name: str, arrays: Mapping[str, Any], meta: Any = None) -> Path:
    """Write a checkpoint, in place of any of the same name; after a crash there is the old one or the new one, whole.

    Args:
        folder: An existing folder.
        name: 1 to 64 of ``a-z0-9_.-``, starting with a letter or digit.
        arrays: Flat mapping of paths ("params/Dense_0/kernel") to arrays of numbers or booleans.
        meta: Any JSON value, returned by `load`.

    Returns:
        The path of the file.

    Raises:
        UsageError: A name, path or dtype that cannot be stored.
        CheckpointError: The disk is full or the folder cannot be written; the old checkpoint is then still there.
    """
    path = _path(folder, name)
    prepared = {key: _storable(key, value) for key, value in arrays.items()}
    leaves = [
        {"path": key, "dtype": array.dtype.str, "shape": list(array.shape), "sha256": _digest(array)}
        for key, array in prepared.items()
    ]
    index = dump_json({"version": VERSION, "leaves": leaves, "meta": meta}, f"meta of checkpoint {name!r}")
    with (
        storage_errors("write checkpoint", path, CheckpointError),
        replacing(path) as descriptor,
        open(descriptor, "wb", closefd=False) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        archive.writestr(zipfile.ZipInfo(_INDEX, _EPOCH), index)
        for key, array in prepared.items():
            with archive.open(zipfile.ZipInfo(f"{key}.npy", _EPOCH), "w", force_zip64=True) as member:
                member.write(_header(array.dtype, array.shape))
                member.write(_bytes(array))
    return path


def load(folder: Path | str, name: str) -> tuple[Arrays, Any]:
    """Return (arrays by path, meta) exactly as they were saved. The arrays are writable and in C order.

    Raises:
        UsageError: A name that is not allowed.
        CheckpointError: Missing, a link, or damaged in any way; names the file and what is wrong with it.
    """
    path = _path(folder, name)
    with storage_errors("read checkpoint", path, CheckpointError), _damage(path), _opened(path) as (archive, size):
        return _read(archive, size)


def digest_of(parts: Iterable[Any]) -> str:
    """Return a hash of arrays of numbers and JSON values, in their order."""
    found = hashlib.sha256()
    for part in parts:
        array = isinstance(part, np.ndarray)
        found.update(f"{part.dtype.str}{part.shape}".encode() if array else b"json")
        found.update(_bytes(np.ascontiguousarray(part)) if array else dump_json(part, "part of a hash").encode())
    return found.hexdigest()


def names(folder: Path | str) -> list[str]:
    """Return the names of the checkpoints in ``folder``, sorted. Unfinished files and foreign ones are not listed."""
    with storage_errors("list", Path(folder), CheckpointError):
        files = sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    found = [file.removesuffix(_SUFFIX) for file in files if file.endswith(_SUFFIX)]
    return [name for name in found if _allowed(name)]


def prune(folder: Path | str, keep: Collection[str]) -> list[str]:
    """Delete all checkpoints but those named in ``keep``, and what killed writes left; return the names deleted, sorted."""
    folder = _folder(folder)
    kept = frozenset(keep)
    gone = [name for name in names(folder) if name not in kept]
    with storage_errors("delete checkpoints in", folder, CheckpointError):
        for name in gone:
            (folder / f"{name}{_SUFFIX}").unlink(missing_ok=True)
        for leftover in folder.glob(f"*{_SUFFIX}{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)
    return gone


def _allowed(name: str) -> bool:
    try:
        return bool(check_name("checkpoint", name))
    except UsageError:
        return False


def _folder(folder: Path | str) -> Path:
    folder = Path(folder)
    if folder.is_symlink():  # a copied study must not make us write, or delete, somewhere else
        raise CheckpointError(
            f"{str(folder)!r} is a symbolic link; checkpoints are kept in a real folder. Replace the link."
        )
    return folder


def _path(folder: Path | str, name: str) -> Path:
    path = _folder(folder) / f"{check_name('checkpoint', name)}{_SUFFIX}"
    if path.is_symlink():
        raise CheckpointError(f"checkpoint {str(path)!r} is a symbolic link; links are not followed. Remove it.")
    return path


def _storable(key: str, value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    problem = _path_problem(key)
    if problem:
        raise UsageError(f"array path {key!r} {problem}")
    array = np.asarray(value, order="C")
    if _DTYPE.fullmatch(array.dtype.str) is None:
        raise UsageError(
            f"array {key!r} has dtype {array.dtype}; only booleans and numbers can be stored. Convert it first "
            "(random keys with jax.random.key_data, bfloat16 to float32)."
        )
    return array


def _path_problem(key: object) -> str | None:
    if not isinstance(key, str) or not key or len(key) > _MAX_PATH:
        return f"must be text of 1 to {_MAX_PATH} characters"
    if not key.isprintable() or "\\" in key:
        return "must have printable characters and no backslash"
    if key.startswith("/") or ".." in key.split("/"):
        return "must be relative, without '..'"
    return None


def _digest(array: np.ndarray[Any, np.dtype[Any]]) -> str:
    return hashlib.sha256(_bytes(array)).hexdigest()


def _bytes(array: np.ndarray[Any, np.dtype[Any]]) -> memoryview:
    """Return the bytes of an array in C order, not copied."""
    return array.reshape(-1).view(np.uint8).data


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the npy header, format 1.0, of an array in C order. Reading compares with it: nothing is parsed."""
    text = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    start = b"\x93NUMPY\x01\x00"
    padding = -(len(start) + 2 + len(text) + 1) % 64
    return start + struct.pack("<H", len(text) + padding + 1) + f"{text}{' ' * padding}\n".encode("latin-1")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, int]]:
    """Yield (archive, bytes of the file)."""

    def no_link(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe of that name must not make us wait

    with open(path, "rb", opener=no_link) as file, zipfile.ZipFile(file) as archive:
        yield archive, os.fstat(file.fileno()).st_size


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what damaged bytes raise into `CheckpointError`; other errors of the operating system pass through."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # zipfile seeks where a damaged offset says
            raise
        reason = str(error) or type(error).__name__
        raise CheckpointError(
            f"checkpoint {str(path)!r} is damaged: {reason}. Remove it to go on from an earlier one, or restore it."
        ) from error


def _read(archive: zipfile.ZipFile, size: int) -> tuple[Arrays, Any]:
    """Read a whole archive; raise one of `_DAMAGE` on the first thing that is not as `save` writes it."""
    members = archive.infolist()
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"member {member.filename!r} is compressed")
    if sum(member.file_size for member in members) > size:
        raise ValueError("its members claim more bytes than the file has")
    index = json.loads(archive.read(_INDEX))
    if index["version"] != VERSION:
        raise ValueError(f"it has version {index['version']!r}; this AutoRL reads {VERSION}")
    leaves = {leaf["path"]: leaf for leaf in index["leaves"]}
    expected = [_INDEX, *(f"{leaf['path']}.npy" for leaf in index["leaves"])]
    if [member.filename for member in members] != expected or len(leaves) != len(index["leaves"]):
        raise ValueError("its members are not those of its index")
    arrays: Arrays = {}
    for key, member in zip(leaves, members[1:], strict=True):
        problem = _path_problem(key)
        if problem:
            raise ValueError(f"array path {key!r} {problem}")
        with archive.open(member) as file:
            arrays[key] = _read_array(file, leaves[key], member.file_size)
    return arrays, index["meta"]


def _read_array(file: IO[bytes], leaf: Mapping[str, Any], size: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Return one array of a member of ``size`` bytes, which must fit the index before memory is taken for it."""
    key, shape = leaf["path"], tuple(leaf["shape"])
    if _DTYPE.fullmatch(leaf["dtype"]) is None or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"array {key!r} has dtype {leaf['dtype']!r} and shape {shape}")
    dtype = np.dtype(leaf["dtype"])
    header = _header(dtype, shape)
    count = math.prod(shape)  # Python's integers: no overflow
    length = count * dtype.itemsize
    if len(header) + length != size:
        raise ValueError(f"array {key!r} of shape {shape} does not fit its {size} bytes")
    if file.read(len(header)) != header:
        raise ValueError(f"the header of array {key!r} does not agree with the index")
    data = bytearray(length)
    view, position = memoryview(data), 0
    while position < length:
        chunk = file.read(min(length - position, 1 << 20))
        if not chunk:
            raise EOFError(f"array {key!r} ends early")
        view[position : position + len(chunk)] = chunk
        position += len(chunk)
    if file.read(1) or hashlib.sha256(data).hexdigest() != leaf["sha256"]:
        raise ValueError(f"array {key!r} does not have the hash of the index")
    return np.frombuffer(data, dtype, count).reshape(shape)
