"""What a logger is: told of a study at its start, of each trial when it has ended, and of the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from autorl.interop.curves import mean_curve
from autorl.spaces.columns import values
from autorl.studies.trial import Trial

LONGEST_TEXT = 250
"""Characters of a text that is a hyperparameter; services refuse or cut longer ones."""


@dataclass(frozen=True)
class Run:
    """One study, as a logger sees it.

    Attributes:
        name: Name of the study.
        identity: The same after a resume, unlike that of any other study.
        folder: Where files of the logger may be kept, in the study's folder.
        specification: The resolved specification as plain data.
    """

    name: str
    identity: str
    folder: Path
    specification: Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """What is written of one trial.

    Attributes:
        group: ``search``, ``finalists`` or ``test``, with the arm before it unless that is the study's own method.
        number: Of the trial in its group.
        hyperparameters: Plain values; arrays and loss graphs are left out.
        numbers: ``score`` (if it completed, else absent), ``failed`` (0 or 1; neither for a pruned trial), and the ledger.
        texts: ``status``, ``origin`` and ``message``, where there is one.
        curve: Env steps to score, mean over environments and seeds.
    """

    group: str
    number: int
    hyperparameters: Mapping[str, bool | int | float | str]
    numbers: Mapping[str, float]
    texts: Mapping[str, str]
    curve: Mapping[int, float]


class Logger(Protocol):
    """A place where trials are written. Made with a `Run`; may raise anything: whoever calls goes on without it then."""

    package: ClassVar[str]
    """Module that must be installed."""
    extra: ClassVar[str]
    """Extra of autorl that brings it."""

    def trial(self, entry: Entry) -> None:
        """Write one trial that has ended."""

    def close(self) -> None:
        """Write what is still to be written; no trial comes after this, until the study is resumed."""


def entry_of(trial: Trial) -> Entry:
    """Return what is to be written of an ended trial."""
    texts = {"status": str(trial.status), "origin": trial.origin, "message": trial.message}
    ledger = trial.ledger
    numbers: dict[str, float] = {} if trial.score is None else {"score": trial.score}
    if trial.status != "pruned":
        numbers["failed"] = float(trial.score is None)
    numbers |= {
        "train_env_steps": ledger.train_env_steps,
        "evaluation_env_steps": ledger.evaluation_env_steps,
        "updates": ledger.updates,
        "compile_seconds": ledger.compile_seconds,
        "wall_seconds": ledger.wall_seconds,
    }
    group = trial.phase if trial.arm == "method" else f"{trial.arm.replace(':', '/')}/{trial.phase}"
    plain = {k: v[:LONGEST_TEXT] if isinstance(v, str) else v for k, v in values(trial.candidate).items()}
    return Entry(
        group=group,
        number=trial.number,
        hyperparameters=plain,
        numbers=numbers,
        texts={key: text for key, text in texts.items() if text},
        curve=mean_curve(trial.curves),
    )
