"""Trains configurations of a landscape and keeps what came of each as one line of JSON, so that a run may stop at any time."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _parity_tasks import EPISODES, ParityTask, make_learner
from _repeats import keep

from autorl.errors import UsageError

LANES = 32
"""Trainings of one chunk at most: the lanes of a program on a CPU."""


@dataclass(frozen=True)
class Trained:
    """What came of one configuration.

    Attributes:
        configuration: Its number in the landscape.
        returns: [seeds][points] mean returns; a training that diverged has fewer points or None.
        statuses: Of the trainings.
        cpu_seconds: Processor seconds, its share of the chunk it was trained in, compilation included.
    """

    configuration: int
    returns: tuple[tuple[float | None, ...], ...]
    statuses: tuple[str, ...]
    cpu_seconds: float


def read(path: Path, task: str, variant: str) -> dict[int, Trained]:
    """Return what is known of a task in a variant, by configuration.

    Raises:
        UsageError: A line is not what `append` wrote.
    """
    found: dict[int, Trained] = {}
    lines = path.read_text().split("\n")[:-1] if path.exists() else []  # the last has no end if a kill cut it short
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            if (entry["task"], entry["variant"]) == (task, variant):
                returns = tuple(tuple(curve) for curve in entry["returns"])
                trained = Trained(entry["configuration"], returns, tuple(entry["statuses"]), entry["cpu_seconds"])
                found[trained.configuration] = trained
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}, line {number}: not a result ({error}). Remedy: remove the line.") from error
    return found


def append(path: Path, task: str, variant: str, trained: Sequence[Trained]) -> None:
    """Add lines to the results."""
    for one in trained:
        entry = {
            "task": task,
            "variant": variant,
            "configuration": one.configuration,
            "returns": [[None if r is None else round(r, 3) for r in curve] for curve in one.returns],
            "statuses": list(one.statuses),
            "cpu_seconds": round(one.cpu_seconds, 2),
        }
        keep(path, entry)


def chunks(task: ParityTask, due: Mapping[int, Mapping[str, Any]]) -> list[list[int]]:
    """Return the configurations in groups that fill one program's lanes: those of a group share all that shapes programs."""
    shaping = {"ppo": "minibatch_size"}.get(task.algorithm, "buffer_batch_size")
    size = max(1, LANES // task.seeds)
    by_shape: dict[Any, list[int]] = {}
    for number in due:
        by_shape.setdefault(due[number][shaping], []).append(number)
    return [group[i : i + size] for group in by_shape.values() for i in range(0, len(group), size)]


class Trainings:
    """Trains configurations of one task; the compiled programs are kept from chunk to chunk."""

    def __init__(self, task: ParityTask, variant: str, upper_bounds: Mapping[str, float]) -> None:
        from autorl.engine.devices import start
        from autorl.engine.trainer import Trainer

        devices = start()
        learner = make_learner(task, variant)
        self._task = task
        self._trainer = Trainer(
            learners=[learner],
            tasks=[learner.environment.default_task()],
            horizons=[task.env_steps],
            episodes=EPISODES,
            upper_bounds=upper_bounds,
            devices=devices,
        )

    def train(self, configurations: Mapping[int, Mapping[str, Any]]) -> list[Trained]:
        """Train each configuration on the task's seeds, all together."""
        from autorl.engine.lanes import Job
        from autorl.studies.trial import Stage

        began, points = time.process_time(), self._task.points
        jobs = [
            Job(number, 0, seed, (Stage(points[-1], self._task.hyperparameters(values)),), points)
            for number, values in configurations.items()
            for seed in range(self._task.seeds)
        ]
        outcomes = self._trainer.run(jobs)
        wrong = [o.message for o in outcomes if o.status.value not in ("completed", "diverged")]
        if wrong:
            raise UsageError(f"{self._task.name}: {wrong[0]}")
        share = (time.process_time() - began) / len(configurations)
        found = []
        for i, number in enumerate(configurations):
            own = outcomes[i * self._task.seeds : (i + 1) * self._task.seeds]
            statuses = tuple(o.status.value for o in own)
            found.append(Trained(number, tuple(tuple(o.returns) for o in own), statuses, share))
        return found
