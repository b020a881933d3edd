"""The study as an Optuna storage file, so that ``optuna-dashboard FILE`` and `optuna.load_study` open it.

The record stays the truth: this file is written from it, whole, and put in place atomically. Nothing reads it back, and there is no
pickle in it (Optuna pickles snapshots only for backends that keep them; the file backend keeps none).

A later file of the same study begins with the bytes of an earlier one: trials are written in order of number up to the first that
is still running, and nothing in a line depends on when or by whom it was written. A dashboard that is reading the file therefore simply
sees it grow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorl.interop.curves import mean_curve
from autorl.outer.protocol import Status
from autorl.spaces import Dimension, Space
from autorl.spaces.columns import columns, values
from autorl.spaces.to_optuna import distribution, silent_optuna
from autorl.studies.files import write_text_atomic
from autorl.studies.trial import Arm, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_STUDIES: dict[Arm, str] = {"method": "", "random": " (random search)"}
"""Arms that search, and what their study is called after the name."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write(path: Path | str, name: str, trials: Sequence[Trial], space: Space, started: datetime | None = None) -> None:
    """Write the search trials of a study to ``path``: Optuna study ``name``, and ``name (random search)`` for that arm.

    Args:
        path: Journal file, replaced if there is one.
        name: Name of the study.
        trials: Trials of any arm and phase; those of the searches are written.
        space: The space searched. Its hyperparameters become parameters; arrays have no place in Optuna.
        started: When the study started. Trials are laid end to end from there, each as long as its wall seconds: the
            record holds durations, and members of a population share theirs.

    Raises:
        StudyError: The file cannot be written.
    """
    lines = _Lines()
    clock = (started or _EPOCH).astimezone(UTC)
    for arm, suffix in _STUDIES.items():
        own = _ended([t for t in trials if (t.arm, t.phase) == (arm, "search")])
        if own or arm == "method":
            clock = _write_study(lines, f"{name}{suffix}", own, columns(space), clock)
    write_text_atomic(Path(path), lines.text())


def _write_study(
    lines: _Lines, name: str, trials: Sequence[Trial], dimensions: Mapping[str, Dimension], clock: datetime
) -> datetime:
    """Add one Optuna study; return the time at which its last trial ended."""
    import optuna
    from optuna.study import StudyDirection

    with silent_optuna():
        storage = optuna.storages.JournalStorage(lines.backend())
        identity = storage.create_new_study([StudyDirection.MAXIMIZE], name)
        storage.set_study_user_attr(identity, "written by", "AutoRL; scores are of search seeds, not results")
        distributions = {key: distribution(dimension) for key, dimension in dimensions.items()}
        for trial in trials:
            ended = clock + timedelta(seconds=trial.ledger.wall_seconds)
            storage.create_new_trial(identity, _frozen(trial, dimensions, distributions, clock, ended))
            clock = ended
    return clock


def _frozen(
    trial: Trial,
    dimensions: Mapping[str, Dimension],
    distributions: Mapping[str, BaseDistribution],
    begun: datetime,
    ended: datetime,
) -> FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState

    flat = values(trial.candidate)
    # A value outside its range (a default configuration, say) is no point of the distribution: kept, but as an attribute.
    known = {key: value for key, value in flat.items() if key in dimensions and not dimensions[key].validate(value)}
    state = TrialState.PRUNED if trial.status is Status.PRUNED else TrialState.FAIL
    completed = trial.status is Status.COMPLETED
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=TrialState.COMPLETE if completed else state,
        value=trial.score if completed else None,
        datetime_start=begun,
        datetime_complete=ended,
        params=known,
        distributions={key: distributions[key] for key in known},
        user_attrs=_attributes(trial, {key: value for key, value in flat.items() if key not in known}),
        system_attrs={"fail_reason": trial.message} if trial.message else {},
        intermediate_values=mean_curve(trial.curves),
    )


def _attributes(trial: Trial, outside: Mapping[str, Any]) -> dict[str, Any]:
    """What Optuna has no field for. Absent things are left out."""
    found = {
        "status": str(trial.status),
        "parent": trial.parent,
        "generation": trial.generation,
        "origin": trial.origin,
        "seeds": list(trial.seeds),
        "env_steps": trial.env_steps,
        "train_env_steps": trial.ledger.train_env_steps,
        "wall_seconds": trial.ledger.wall_seconds,
        "failure": trial.message or None,
        "outside the space": dict(outside) or None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _ended(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials by number up to the first that is missing or has not ended."""
    by_number = {t.number: t for t in trials if t.status is not Status.RUNNING}
    listed: list[Trial] = []
    while len(listed) in by_number:
        listed.append(by_number[len(listed)])
    return listed


class _Lines:
    """Collects what Optuna's own `JournalStorage` would append to its file, a line each."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def text(self) -> str:
        """Return the journal. Optuna names the writing process and thread in each line; that is no part of the study."""
        written = ({**log, "worker_id": "autorl"} for log in self.logs)
        return "".join(json.dumps(log, separators=(",", ":"), allow_nan=False) + "\n" for log in written)

    def backend(self) -> Any:
        """Return a journal backend over these lines (a class made here, since Optuna is imported only when needed)."""
        from optuna.storages.journal import BaseJournalBackend

        logs = self.logs

        class Backend(BaseJournalBackend):
            def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
                return logs[log_number_from:]

            def append_logs(self, new: list[dict[str, Any]]) -> None:
                logs.extend(new)

        return Backend()
