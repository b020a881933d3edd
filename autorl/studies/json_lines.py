"""Records of one line of JSON each, added one after another by one process at a time, and read again after a kill. No jax."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autorl.errors import StudyError, StudyLockedError
from autorl.studies.files import storage_errors
from autorl.studies.trial import Json


def read(path: Path, fields: Mapping[str, Any]) -> list[Json]:
    """Return the lines of a file, each with ``fields`` (name -> type); none where there is no file.

    A last line without its end (a kill, or a writer at work) is none.

    Raises:
        StudyError: The file cannot be read, or a line is damaged.
    """
    if not path.exists():
        return []
    with storage_errors("read", path):
        lines = path.read_bytes().split(b"\n")[:-1]
    found: list[Json] = []
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            if not isinstance(line, dict) or not all(isinstance(line.get(k), kind) for k, kind in fields.items()):
                raise ValueError("other fields")
        except (ValueError, RecursionError):
            raise StudyError(
                f"{path}, line {number} is damaged, or of an older version; remove it, or the file, to go on without"
            ) from None
        found.append(line)
    return found


def append(path: Path, line: Json) -> None:
    """Add a line; it is on disk when this returns."""
    with storage_errors("write", path), path.open("ab") as file:
        file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def mend(path: Path) -> None:
    """Cut off half a line that a kill left at the end."""
    if path.exists():
        with storage_errors("write", path):
            data = path.read_bytes()
            if not data.endswith(b"\n"):
                os.truncate(path, data.rfind(b"\n") + 1)


@contextlib.contextmanager
def locked(path: Path, doing: str = "evaluating objectives") -> Iterator[None]:
    """Make the folder and hold it for this process alone; ``doing`` tells another one what this one does."""
    with storage_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyLockedError(f"another process is {doing} into {str(path.parent)!r}; wait for it") from None
        yield
    finally:
        os.close(lock)
