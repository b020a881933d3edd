"""Policies of a contextual environment, each trained on one task (or on one after another) and tried on a grid of all: see `task_study`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from autorl.engine.lanes import Job, Outcome
from autorl.engine.trainer import Trainer
from autorl.environments.registry import make_environment
from autorl.environments.task_box import TaskBox, task_space
from autorl.environments.task_points import BoxPoints, grid_points, tasks_at
from autorl.errors import StudyError, UsageError
from autorl.inner.algorithms import ALGORITHMS
from autorl.inner.evaluation import TaskSet
from autorl.outer.protocol import Status
from autorl.outer.tasks.protocol import Floats
from autorl.studies.manifest import version
from autorl.studies.policy_lines import Source
from autorl.studies.trial import Json, Stage

HELD = 128
"""Trained agents kept in memory to go on from, the newest; older ones are trained again where they are needed."""


@dataclass(frozen=True)
class Transfer:
    """Everything beside seed and tasks that decides what a policy scores where.

    Attributes:
        environment: Id; it must declare a task space.
        ranges: Dimension -> (low, high), divided evenly; None for its own range, divided on its own scale. The others do not vary.
        side: Grid points of each dimension, ends included: side ** D tasks.
        env_steps: Of a training on one task.
        score_range: Returns that count as 0 and as 1. A training that diverged scores 0 everywhere.
        longest: Most tasks that one policy is trained on; a learning rate that falls does so over ``longest`` trainings.
        attempts: Episodes in each task, an even number: half of them are shown to methods, the other half judges.
        learner: Algorithm.
        hyperparameters: Those that are not the learner's defaults.
    """

    environment: str
    ranges: Mapping[str, tuple[float, float] | None]
    side: int
    env_steps: int
    score_range: tuple[float, float]
    longest: int = 1
    attempts: int = 2
    learner: str = "ppo"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in {"side": 2, "env_steps": 1, "longest": 1, "attempts": 2}.items():
            if getattr(self, name) < least:
                raise UsageError(f"transfer: {name}: expected at least {least}, got {getattr(self, name)!r}.")
        if self.attempts % 2:
            raise UsageError(f"transfer: attempts: expected an even number, got {self.attempts!r}.")
        if not self.score_range[0] < self.score_range[1]:
            raise UsageError(f"transfer: score_range: expected low < high, got {self.score_range!r}.")
        if not self.ranges:
            raise UsageError("transfer: ranges: expected at least one dimension that varies.")

    @property
    def key(self) -> str:
        """A hash of it, and of the versions that decide numbers."""
        plain = {**asdict(self), "versions": [version("autorl"), version("jax")]}
        return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=16).hexdigest()

    @property
    def cells(self) -> Floats:
        """The tasks as methods see them: where each is in the grid, float [N, D], whole numbers."""
        axes = np.meshgrid(*[np.arange(self.side)] * len(self.ranges), indexing="ij")
        return np.stack([axis.reshape(-1) for axis in axes], axis=1).astype(np.float64)


@dataclass
class Training:
    """Trains what `task_study` asks for.

    Attributes:
        transfer: The question.
        devices: As `autorl.engine.devices.start` returns them.
    """

    transfer: Transfer
    devices: Sequence[Any]
    _states: dict[Source, Any] = field(default_factory=dict)

    def __call__(self, sources: Sequence[Source], done: Callable[[int, Json], None]) -> None:
        """Train a policy of each source, see `autorl.engine.task_study.Train`.

        Raises:
            UsageError: The learner cannot be trained so, or a policy would have more tasks than ``longest``.
            StudyError: A training failed by other than diverging.
        """
        longest = max(len(source.tasks) for source in sources)
        if longest > self.transfer.longest:
            raise UsageError(
                f"transfer: longest: expected at least {longest} for what is asked, got {self.transfer.longest}."
            )
        self._have([Source(s.seed, s.tasks[:-1]) for s in sources if len(s.tasks) > 1])
        self._run(sources, lambda index, outcome: done(index, self._line(outcome)))
        for oldest in list(self._states)[:-HELD]:
            del self._states[oldest]

    @cached_property
    def trainer(self) -> Trainer:
        """The trainer; its programs live as long as this."""
        environment, asked = make_environment(self.transfer.environment), self.transfer
        default = environment.default_task()
        points = BoxPoints(_box(environment, asked.ranges))
        tasks = tasks_at(points, default, grid_points(points, asked.side))
        return Trainer(
            learners=[ALGORITHMS.load(asked.learner)(environment)],
            tasks=[default],
            exams=[TaskSet(tasks)],
            horizons=[asked.env_steps * asked.longest],
            episodes=asked.attempts * asked.side ** len(asked.ranges),
            upper_bounds={},
            devices=self.devices,
        )

    def _have(self, sources: Sequence[Source]) -> None:
        """Train the agents that others go on from and that are not in memory any more, or were trained by an earlier process."""
        missing = [source for source in dict.fromkeys(sources) if source not in self._states]
        if missing:
            self._have([Source(s.seed, s.tasks[:-1]) for s in missing if len(s.tasks) > 1])
            self._run(missing, lambda index, outcome: None)

    def _run(self, sources: Sequence[Source], done: Callable[[int, Outcome], None]) -> None:
        jobs = [self._job(source) for source in sources]

        def ended(indices: Sequence[int], outcomes: Sequence[Outcome]) -> None:
            for index, outcome in zip(indices, outcomes, strict=True):
                if outcome.status not in (Status.COMPLETED, Status.DIVERGED):
                    raise StudyError(
                        f"training on task {list(sources[index].tasks)} {outcome.status}: {outcome.message}"
                    )
                if self.transfer.longest > 1:
                    self._states[sources[index]] = outcome.state
                done(index, outcome)

        self.trainer.run(jobs, keep_states=self.transfer.longest > 1, done=ended)

    def _job(self, source: Source) -> Job:
        asked, exams = self.transfer, self.trainer.exams[0].tasks
        last, end = source.tasks[-1], asked.env_steps * len(source.tasks)
        task = {name: np.asarray(values[last]) for name, values in exams.items()}
        parent = self._states[Source(source.seed, source.tasks[:-1])] if len(source.tasks) > 1 else None
        return Job(
            trial=0,
            environment=0,
            seed=source.seed,
            plan=(Stage(end, dict(asked.hyperparameters)),),
            points=(end,),
            start=end - asked.env_steps,
            horizon=asked.env_steps * asked.longest,
            parent_state=parent,
            task=task,
        )

    def _line(self, outcome: Outcome) -> Json:
        count, (low, high) = self.transfer.side ** len(self.transfer.ranges), self.transfer.score_range
        scored = outcome.status is Status.COMPLETED
        halves = outcome.task_halves if scored else ((low,) * count,) * 2
        shown, judged = ([round((x - low) / (high - low), 6) for x in half] for half in halves)
        return {
            "environment": self.transfer.environment,
            "status": str(outcome.status),
            "shown": shown,
            "judged": judged,
            "train_env_steps": outcome.train_env_steps,
            "evaluation_env_steps": outcome.evaluation_env_steps,
            "message": outcome.message,
        }


def _box(environment: Any, ranges: Mapping[str, tuple[float, float] | None]) -> TaskBox:
    box = task_space(environment).only(ranges)
    return TaskBox(tuple(one if ranges[one.name] is None else replace(one, log=False) for one in box.dimensions))
