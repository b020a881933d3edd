"""Scores of objectives on disk: one line of JSON a training, in ``objectives/scores.jsonl`` below the folder of studies. No jax."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from autorl.errors import StudyError, StudyLockedError
from autorl.studies.files import storage_errors
from autorl.studies.trial import Json

FOLDER: Final = "objectives"
"""Below the folder of studies."""
FILE: Final = "scores.jsonl"
_FIELDS: Final = {
    "key": str,
    "objective": str,
    "graph": str,
    "environment": str,
    "task": dict,
    "learner": str,
    "hyperparameters": dict,
    "steps": int,
    "evaluation": dict,
    "seed": int,
    "status": str,
    "score": float | int | None,
    "train_env_steps": int,
}


def labelled(environment: str, task: Mapping[str, Any]) -> str:
    """Return what tables call an environment with a task."""
    return f"{environment} ({', '.join(f'{k}={v}' for k, v in task.items())})" if task else environment


def read(path: Path) -> dict[str, Json]:
    """Return the scores kept in a file, by identity. A last line without its end (a kill, or a writer at work) is none.

    Raises:
        StudyError: The file cannot be read, or a line is damaged.
    """
    if not path.exists():
        return {}
    with storage_errors("read", path):
        lines = path.read_bytes().split(b"\n")[:-1]
    found: dict[str, Json] = {}
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            if not isinstance(line, dict) or not all(isinstance(line.get(k), kind) for k, kind in _FIELDS.items()):
                raise ValueError("not a score")
            found[line["key"]] = line
        except (ValueError, RecursionError):
            raise StudyError(
                f"{path}, line {number} is damaged, or of an older version; remove it, or the file, to go on without"
            ) from None
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
