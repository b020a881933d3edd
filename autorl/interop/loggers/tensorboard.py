"""TensorBoard's event files, by tensorboardX (no TensorFlow): one line of scalars a trial, and a run of its own for each curve.

Below ``logs/tensorboard`` of the study: the scalars of all trials over their numbers, and in ``search/00012`` trial 12's learning
curve over environment steps with its hyperparameters (the HPARAMS tab compares them).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

from autorl.interop.loggers.protocol import Entry, Run


class TensorBoard:
    """See the module."""

    package: ClassVar[str] = "tensorboardX"
    extra: ClassVar[str] = "tensorboard"

    def __init__(self, run: Run) -> None:
        self._folder = run.folder / "tensorboard"
        self._writer = _writer(self._folder)

    def trial(self, entry: Entry) -> None:
        """Write one trial that has ended."""
        numbers = {f"{entry.group}/{name}": value for name, value in entry.numbers.items()}
        numbers |= {
            f"{entry.group}/hyperparameters/{name}": float(value)
            for name, value in entry.hyperparameters.items()
            if not isinstance(value, str)
        }
        for tag, value in numbers.items():
            self._writer.add_scalar(tag, value, entry.number)
        if entry.texts.get("message"):
            self._writer.add_text(f"{entry.group}/{entry.texts['status']}", entry.texts["message"], entry.number)
        self._writer.flush()
        if entry.curve:
            self._curve(entry)

    def close(self) -> None:
        """Close the files."""
        self._writer.close()

    def _curve(self, entry: Entry) -> None:
        from tensorboardX.summary import hparams

        with _writer(self._folder / entry.group / f"{entry.number:05d}") as writer:
            metrics = {"score": entry.numbers.get("score", math.nan)}
            known = {**entry.hyperparameters, "status": entry.texts["status"]}
            for summary in hparams(known, metrics):
                writer.file_writer.add_summary(summary)
            for step, value in entry.curve.items():
                writer.add_scalar("curve", value, step)
            if "score" in entry.numbers:
                writer.add_scalar("score", entry.numbers["score"], max(entry.curve))


def _writer(folder: Path) -> Any:
    from tensorboardX import SummaryWriter

    return SummaryWriter(logdir=str(folder))
