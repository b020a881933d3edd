"""Weights & Biases: the study is one run; a trial is one line of its history, learning curves are a table.

Where it goes and whether there is a network is said by W&B's own variables (WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE=offline).
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

from autorl.interop.loggers.protocol import Entry, Run


class WeightsAndBiases:
    """See the module."""

    package: ClassVar[str] = "wandb"
    extra: ClassVar[str] = "wandb"

    def __init__(self, run: Run) -> None:
        import wandb

        self._wandb = wandb
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "autorl"),
            name=run.name,
            id=run.identity,
            resume="allow",
            dir=str(run.folder),
            config=dict(run.specification),
        )
        self._groups: set[str] = set()
        self._curves: list[list[Any]] = []

    def trial(self, entry: Entry) -> None:
        """Write one trial that has ended."""
        group = entry.group
        if group not in self._groups:
            self._groups.add(group)
            self._run.define_metric(f"{group}/trial")
            self._run.define_metric(f"{group}/*", step_metric=f"{group}/trial")
        line: dict[str, Any] = {f"{group}/trial": entry.number}
        line |= {f"{group}/{name}": value for name, value in entry.numbers.items()}
        line |= {f"{group}/hyperparameters/{name}": value for name, value in entry.hyperparameters.items()}
        line |= {f"{group}/{name}": text for name, text in entry.texts.items()}
        self._run.log(line)
        self._curves += [[group, entry.number, step, value] for step, value in entry.curve.items()]

    def close(self) -> None:
        """Write the table of learning curves (of this part of the study, if it was resumed), and end the run."""
        if self._curves:
            columns = ["group", "trial", "env_steps", "score"]
            self._run.log({"learning curves": self._wandb.Table(columns=columns, data=self._curves)})
        self._run.finish()
