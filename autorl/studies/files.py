"""Writing files so that a crash leaves the old content or the new, and turning operating-system errors into advice."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from autorl.errors import StudyError, UsageError

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
"""Names of studies and checkpoints: no separators, no leading dot, the same on every file system."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
TEMPORARY_SUFFIX = ".tmp"


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
def replacing(path: Path) -> Iterator[int]:
    """Yield the descriptor of a temporary file beside ``path``; on success it is flushed and renamed over ``path``.

    On any error the temporary file is removed and ``path`` is what it was. A kill may leave the temporary file behind:
    it is replaced by the next write. One writer at a time (the study's lock sees to that). Links are never followed.

    Raises:
        OSError: As the operating system says; wrap in `storage_errors`.
    """
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


def write_text_atomic(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path``: after a crash at any instant the file holds the old text or the new, whole.

    Raises:
        StudyError: The disk is full, the folder is read-only or missing; ``path`` is then unchanged.
    """
    path = Path(path)
    data = memoryview(text.encode("utf-8"))
    with storage_errors("write", path), replacing(path) as descriptor:
        while data:
            data = data[os.write(descriptor, data) :]
