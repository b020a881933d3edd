"""Writing files so that a crash leaves the old content or the new, and turning operating-system errors into advice."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from autorl.errors import StudyError, UsageError

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
"""Names of studies and checkpoints: no separators, no leading dot, the same on every file system."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
TEMPORARY_SUFFIX = ".tmp"
_ABANDONED_SECONDS = 3600.0
"""A temporary file that nobody has written to for so long is of a killed process: writing one takes seconds."""


def check_name(what: str, name: str) -> str:
    """Return ``name`` unchanged if it is a safe file name.

    Raises:
        UsageError: Naming ``what`` and the rule, for anything else (separators, ``..``, capitals, over 64 characters).
    """
    if not isinstance(name, str) or NAME_PATTERN.fullmatch(name) is None:
        raise UsageError(
            f"{what} name {name!r} is not allowed: use 1 to 64 of a-z, 0-9, '_', '.', '-', "
            "starting with a letter or a digit."
        )
    return name


def remedy(number: int | None) -> str:
    """Return what to do about operating-system error ``number``, as one sentence."""
    if number in _FULL:
        return "The disk, a quota or a file size limit is full: free some space; what was saved before is intact."
    if number in _FORBIDDEN:
        return "Make the folder writable for you, or use another one."
    if number == errno.ENOENT:
        return "Check the path."
    return "What was saved before is intact; check the disk."


@contextlib.contextmanager
def storage_errors(action: str, path: Path, kind: type[StudyError] = StudyError) -> Iterator[None]:
    """Turn any `OSError` inside into ``kind``: ``cannot ACTION PATH: REASON. REMEDY``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise kind(f"cannot {action} {str(path)!r}: {reason}. {remedy(error.errno)}") from error


def sync_folder(folder: Path) -> None:
    """Flush the folder's entries to disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path, shared: bool = False) -> Iterator[int]:
    """Yield the descriptor of a temporary file beside ``path``; on success it is flushed and renamed over ``path``.

    On any error the temporary file is removed and ``path`` is what it was. A kill may leave the temporary file behind:
    a later write removes it. Links are never followed.

    Args:
        path: What to write.
        shared: Whether others may write ``path`` at the same time: each writer then has a temporary file of its own, and
            the last to end wins. Otherwise there must be one writer at a time (the study's lock sees to that).

    Raises:
        OSError: As the operating system says; wrap in `storage_errors`.
    """
    if shared:
        _remove_abandoned(path)
        temporary = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    else:
        temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files that killed writers of ``path`` left; those of writers still at work stay."""
    ours = re.compile(re.escape(path.name) + r"\.\d+-[0-9a-f]{8}" + re.escape(TEMPORARY_SUFFIX))
    for entry in os.scandir(path.parent):
        if ours.fullmatch(entry.name) is None:
            continue
        with contextlib.suppress(FileNotFoundError):  # another writer removed it, or renamed its own
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_SECONDS:
                os.unlink(entry.path)


def write_text_atomic(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path``: after a crash at any instant the file holds the old text or the new, whole.

    Any number of processes may write the same file at once (a report beside a run that ends): the last one wins.

    Raises:
        StudyError: The disk is full, the folder is read-only or missing; ``path`` is then unchanged.
    """
    path = Path(path)
    data = memoryview(text.encode("utf-8"))
    with storage_errors("write", path), replacing(path, shared=True) as descriptor:
        while data:
            data = data[os.write(descriptor, data) :]
