"""Scores of objectives on disk: one line of JSON a training, in ``objectives/scores.jsonl`` below the folder of studies. No jax."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from autorl.studies import json_lines
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
    """Return the scores kept in a file, by identity.

    Raises:
        StudyError: As `autorl.studies.json_lines.read`.
    """
    return {line["key"]: line for line in json_lines.read(path, _FIELDS)}
