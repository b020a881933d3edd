"""Between a `Trial` and a row of the record: exact both ways, and strict about what may be stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from autorl.errors import StudyError
from autorl.outer.protocol import Status
from autorl.studies.exact_json import dump_json, load_json
from autorl.studies.trial import Curve, Ledger, Phase, Stage, Trial, is_arm

Row = tuple[Any, ...]
COLUMNS = (
    "arm",
    "phase",
    "number",
    "candidate",
    "env_steps",
    "parent",
    "generation",
    "origin",
    "schedule",
    "source",
    "seeds",
    "status",
    "scores",
    "score",
    "curves",
    "ledger",
    "message",
    "told",
    "ancestor",
    "extra",
)
"""In the order of the fields of `Trial`; ``extra`` holds its ``values``."""
_PHASES = get_args(Phase)


def label(arm: str, phase: str, number: int) -> str:
    """Return how messages name a trial."""
    return f"trial {number} ({arm}, {phase})"


def to_row(trial: Trial) -> Row:
    """Return the row of ``trial``. Non-finite raw scores become null.

    Raises:
        StudyError: A completed trial without a finite score or another with one, an unknown arm or phase, a candidate
            that is not JSON.
    """
    name = label(trial.arm, trial.phase, trial.number)
    if not is_arm(trial.arm) or trial.phase not in _PHASES or trial.number < 0:
        raise StudyError(
            f"{name}: arm must be method, random, default or objective:NAME, teacher:NAME, phase one of {_PHASES}, number 0 or more"
        )
    completed = trial.status is Status.COMPLETED
    if completed != (trial.score is not None and math.isfinite(trial.score)):
        raise StudyError(
            f"{name} is {trial.status.value} with score {trial.score!r}: "
            "a completed trial has a finite score, any other has none"
        )
    schedule = [{"until": int(s.until), "candidate": dict(s.candidate)} for s in trial.schedule or ()]
    curves = [
        [int(c.environment), int(c.seed), [int(n) for n in c.env_steps], [_finite(x) for x in c.scores]]
        for c in trial.curves
    ]
    return (
        trial.arm,
        trial.phase,
        int(trial.number),
        dump_json(dict(trial.candidate), f"candidate of {name}"),
        int(trial.env_steps),
        _whole(trial.parent),
        int(trial.generation),
        _text(trial.origin),
        None if trial.schedule is None else dump_json(schedule, f"schedule of {name}"),
        _whole(trial.source),
        dump_json([int(seed) for seed in trial.seeds], f"seeds of {name}"),
        trial.status.value,
        dump_json([[_finite(x) for x in row] for row in trial.scores], f"scores of {name}"),
        None if trial.score is None else float(trial.score),
        dump_json(curves, f"curves of {name}"),
        dump_json(_ledger_list(trial.ledger), f"ledger of {name}"),
        _text(trial.message),
        _whole(trial.told),
        _whole(trial.ancestor),
        dump_json({str(k): float(v) for k, v in trial.values.items()}, f"values of {name}"),
    )


def from_row(row: Sequence[Any]) -> Trial:
    """Return the trial of a row selected as `COLUMNS`; raise `StudyError` naming trial and column if it is damaged."""
    values = dict(zip(COLUMNS, row, strict=True))
    name = label(values["arm"], values["phase"], values["number"])
    try:
        stages = None if values["schedule"] is None else _load(values, "schedule", name)
        train, evaluation, updates, compiled, wall = _load(values, "ledger", name)
        return Trial(
            arm=values["arm"],
            phase=values["phase"],
            number=values["number"],
            candidate=_load(values, "candidate", name),
            env_steps=values["env_steps"],
            parent=values["parent"],
            generation=values["generation"],
            origin=values["origin"],
            schedule=None if stages is None else tuple(Stage(s["until"], s["candidate"]) for s in stages),
            source=values["source"],
            seeds=tuple(_load(values, "seeds", name)),
            status=Status(values["status"]),
            scores=tuple(tuple(row) for row in _load(values, "scores", name)),
            score=values["score"],
            curves=tuple(Curve(e, s, tuple(x), tuple(y)) for e, s, x, y in _load(values, "curves", name)),
            ledger=Ledger(train, evaluation, updates, compiled, wall),
            message=values["message"],
            told=values["told"],
            ancestor=values["ancestor"],
            values=_load(values, "extra", name),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise StudyError(f"{name} in the record is damaged: {error}. Restore the study from a copy.") from error


def _load(values: Mapping[str, Any], column: str, name: str) -> Any:
    return load_json(values[column], f"{column} of {name}")


def _ledger_list(ledger: Ledger) -> list[float]:
    return [
        int(ledger.train_env_steps),
        int(ledger.evaluation_env_steps),
        int(ledger.updates),
        float(ledger.compile_seconds),
        float(ledger.wall_seconds),
    ]


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _whole(value: int | None) -> int | None:
    return None if value is None else int(value)


def _text(value: str) -> str:
    """Return ``value`` as UTF-8 can hold it: half characters, as in undecodable file names, are spelled out."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
