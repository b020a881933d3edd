"""Policies that were trained on tasks one chose, on disk: one line of JSON each. No jax."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from autorl.studies import json_lines
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
    """Return the lines of a file that belong to ``key``.

    Raises:
        StudyError: As `autorl.studies.json_lines.read`.
    """
    lines = json_lines.read(path, _FIELDS)
    return {Source(line["seed"], tuple(line["tasks"])): line for line in lines if line["key"] == key}
