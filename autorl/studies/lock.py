"""One writer a study: an advisory lock that the kernel releases when its owner ends, however it ends.

Linux and macOS. The lock is the kernel's (``flock``); what the file says is only for people. The file itself stays: removing it
would let two processes lock two files of one name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autorl.errors import StudyError, StudyLockedError
from autorl.studies.files import storage_errors

_FILE = "study.lock"
_PAUSES = (0.02, 0.08, 0.2)  # seconds


@dataclass(frozen=True)
class Owner:
    """Who holds a lock: process id, host, and since when (ISO 8601, UTC)."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        host = "" if self.host == socket.gethostname() else f" on {self.host}"
        return f"process {self.pid}{host} (since {self.since})"


class StudyLock:
    """The lock of one study's folder. A context manager; also `acquire` and `release`."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.path = self.folder / _FILE
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> Self:
        """Take the lock, or raise at once.

        Raises:
            StudyLockedError: Another process (or another part of this one) holds it; names its pid and host.
            StudyError: The file cannot be written, or the file system has no locks.
        """
        if self._descriptor is not None:
            raise StudyLockedError(f"study {self.folder.name!r} is in use by this very object")
        with storage_errors("lock", self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                self._lock(descriptor)
                _write_owner(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor
        _forget_in_children(self)
        return self

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def owner(self) -> Owner | None:
        """Return who holds the lock, or None if it is free (or its owner has not yet signed)."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StudyError(f"cannot read {str(self.path)!r}: {error.strerror}. Make it readable for you.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # succeeds only if nobody holds it
        except BlockingIOError:
            return _read_owner(descriptor)
        finally:
            os.close(descriptor)
        return None

    def __enter__(self) -> Self:
        return self if self.held else self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _lock(self, descriptor: int) -> None:
        try:
            _patiently(descriptor)
        except BlockingIOError as error:
            owner = _read_owner(descriptor) or "another process"
            raise StudyLockedError(
                f"study {self.folder.name!r} is in use by {owner}. Wait for it, stop it, or run under another name."
            ) from error
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise StudyError(
                    f"the file system of {str(self.folder)!r} has no file locks ({error.strerror}). "
                    "Keep studies on a local disk."
                ) from error
            raise


def _patiently(descriptor: int) -> None:
    """Lock, waiting a moment: a killed owner takes time to die, and someone may just be looking who it is (`owner`)."""
    for pause in _PAUSES:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write_owner(descriptor: int) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _read_owner(descriptor: int) -> Owner | None:
    try:
        data: dict[str, Any] = json.loads(os.pread(descriptor, 4096, 0))
        return Owner(int(data["pid"]), str(data["host"]), str(data["since"]))
    except (ValueError, KeyError, TypeError):
        return None  # its owner is signing just now, or the file was edited


def _forget_in_children(lock: StudyLock) -> None:
    """Close the descriptor in forked children: one of them outliving the owner would hold the study locked."""
    reference = weakref.ref(lock)

    def close() -> None:
        found = reference()
        if found is not None and found.held:
            with contextlib.suppress(OSError):
                found.release()  # closing a copy of the descriptor leaves the parent's lock alone

    os.register_at_fork(after_in_child=close)
