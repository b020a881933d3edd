"""Policies that were trained on tasks one chose, on disk: one line of JSON each. No jax."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple

from autorl.errors import StudyError
from autorl.studies.files import storage_errors
from autorl.studies.trial import Json

_FIELDS: Final = {
    "key": str,
    "seed": int,
    "tasks": list,
    "status": str,
    "shown": list,
    "judged": list,
    "train_env_steps": int,
    "evaluation_env_steps": int,
}


class Source(NamedTuple):
    """What a policy comes from.

    Attributes:
        seed: Of its training.
        tasks: Numbers of the tasks it was trained on, one after another.
    """

    seed: int
    tasks: tuple[int, ...]


def read(path: Path, key: str) -> dict[Source, Json]:
    """Return the lines of a file that belong to ``key``. A last line without its end (a kill, or a writer at work) is none.

    Raises:
        StudyError: The file cannot be read, or a line is damaged.
    """
    if not path.exists():
        return {}
    with storage_errors("read", path):
        lines = path.read_bytes().split(b"\n")[:-1]
    found: dict[Source, Json] = {}
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            if not isinstance(line, dict) or not all(isinstance(line.get(k), kind) for k, kind in _FIELDS.items()):
                raise ValueError("not a policy")
            if line["key"] == key:
                found[Source(line["seed"], tuple(int(task) for task in line["tasks"]))] = line
        except (ValueError, TypeError, RecursionError):
            raise StudyError(
                f"{path}, line {number} is damaged, or of an older version; remove it, or the file, to go on without"
            ) from None
    return found
