"""Trials of other tools: one JSON object a line, ``{"candidate", "score", "status"}``, as ``autorl import optuna --trials`` writes them.

Scores are better the higher they are; whoever wrote the file has turned the signs of what was minimised. Imports no jax.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from autorl.errors import UsageError
from autorl.outer.prior_fit import Tried
from autorl.outer.protocol import Status
from autorl.spaces import HyperparameterSpace
from autorl.spaces.dimensions import is_number
from autorl.studies.files import storage_errors
from autorl.studies.trial import Trial

SUFFIX: Final = ".jsonl"
LARGEST: Final = 64_000_000
"""Bytes of a file."""
STATUSES: Final = {"completed": Status.COMPLETED, "pruned": Status.PRUNED, "failed": Status.CRASHED}


def is_file(reference: str) -> bool:
    """Return whether what a warm start names is a file of trials, and no study."""
    return reference.endswith(SUFFIX)


def read_trials(path: Path) -> list[Trial]:
    """Return the trials of a file as told ones, numbered by their lines from 0.

    One that failed or was pruned has no score: wherever it is told, it ranks behind all that completed. (A pruned trial's last
    intermediate value is of a shorter training, and can be compared with no score.)

    Raises:
        UsageError: No such file, too large, or a line that is no trial; with its number.
    """
    path = path.expanduser()
    if not path.is_file():
        raise UsageError(
            f"there is no file {str(path)!r}. Remedy: write it with autorl import optuna STORAGE --trials {path.name}"
        )
    with storage_errors("read", path):
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path.name}: larger than {LARGEST} bytes; leave out trials, the worst ones say least")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [
        _trial(line, number, f"{path.name}, line {number + 1}") for number, line in enumerate(lines) if line.strip()
    ]
    if not found:
        raise UsageError(
            f'{path.name}: no trial in it. Remedy: one line for each, {{"candidate": {{...}}, "score": 1.0}}'
        )
    return found


def _trial(line: str, number: int, where: str) -> Trial:
    try:
        data: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{where}: no JSON: {error}. Remedy: one JSON object a line, or leave the line out."
        ) from error
    if not isinstance(data, dict) or not isinstance(data.get("candidate"), dict):
        raise UsageError(f'{where}: expected {{"candidate": {{...}}, "score": ..., "status": ...}}, got {line[:80]!r}')
    score, status = data.get("score"), data.get("status", "completed")
    if not isinstance(status, str) or status not in STATUSES:
        raise UsageError(f"{where}: status: expected one of {', '.join(STATUSES)}, got {status!r}")
    completed = status == "completed"
    if completed and not is_number(score):
        raise UsageError(
            f'{where}: score: expected a finite number, as it completed, got {score!r}. Remedy: "status": "failed" if it did not.'
        )
    kept = float(score) if completed and score is not None else None
    return Trial(
        arm="method",
        phase="search",
        number=number,
        candidate=data["candidate"],
        env_steps=1,
        origin="told",
        status=STATUSES[status],
        scores=((kept,),),
        score=kept,
        message="" if completed else f"{status} where it was tried",
        told=number,
    )


def tried_in_file(path: Path, space: HyperparameterSpace) -> Tried:
    """Return the configurations of a file, ranked, for a prior; those that failed come last, before them those that were pruned.

    Raises:
        UsageError: As `read_trials`; or a candidate is not of ``space``.
    """
    trials = read_trials(path)
    for trial in trials:
        wrong = space.validate(trial.candidate)
        if wrong:
            raise UsageError(
                f"{path.name}, line {trial.number + 1}: {'; '.join(wrong)}. Remedy: the space that it was drawn from."
            )
    scores = sorted({t.score for t in trials if t.score is not None})
    places = {score: float(place) for place, score in enumerate(scores, 2)}
    last = {Status.CRASHED: 0.0, Status.PRUNED: 1.0}
    merits = [last[t.status] if t.score is None else places[t.score] for t in trials]
    return Tried(path.stem, (), space, [space.from_json(t.candidate) for t in trials], merits)
