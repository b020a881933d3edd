"""Scores of objectives: any of them × environments × seeds, trained with one learner, kept line by line, trained once.

A score is kept under everything that decides it: the graph itself (not its name), learner, hyperparameters with the learner's defaults,
environment, task, env steps, evaluation, seed, and the versions of this package, of jax and of the library that the environment comes
from (but of no other one, nor of the machine; an environment of a user's own has no version). So a run that was stopped goes on, and a
larger one trains only what is new.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from autorl.engine.inflight import InflightSaver
from autorl.engine.lanes import Job, Outcome, evaluation_points
from autorl.engine.methods import learner_defaults
from autorl.engine.objectives import Objectives
from autorl.engine.progress import Meter, Reporter, silent
from autorl.engine.session import Stopper
from autorl.engine.trainer import Trainer
from autorl.errors import UsageError
from autorl.objectives.graphs.canonical import key
from autorl.objectives.graphs.files import graph_to_json
from autorl.objectives.loader import LearnedObjective
from autorl.outer.protocol import Status
from autorl.spaces.plain_values import OBJECTIVE
from autorl.studies import checkpoint
from autorl.studies.json_lines import append, locked, mend
from autorl.studies.manifest import version
from autorl.studies.objective_lines import FILE, FOLDER, labelled, read
from autorl.studies.trial import Json, Stage

LIBRARIES: Mapping[str, str] = MappingProxyType(
    {"gymnax": "gymnax", "contextual": "gymnax", "bsuite": "gymnax", "minigrid": "xminigrid", "xminigrid": "xminigrid"}
)
"""What environments are made of that are not written here, by the prefix of their ids."""
AGAIN = "Give the same command again to go on."


@dataclass(frozen=True)
class Place:
    """One environment, and what training there takes.

    Attributes:
        environment: Id.
        env_steps: Of one whole training.
        task: Parameters of the task that differ from the environment's own.
        hyperparameters: Of the learner, the same for all objectives; the rest are its defaults.
    """

    environment: str
    env_steps: int
    task: Mapping[str, Any] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The environment and its task, as tables name them."""
        return labelled(self.environment, self.task)


@dataclass(frozen=True)
class Question:
    """What is to be measured, but for the seeds.

    Attributes:
        objectives: Different names.
        places: Different environments or tasks.
        learner: Algorithm.
        episodes: Of each evaluation.
        points: Evaluations of a training.
        averaged: Last evaluations whose mean is the score.
    """

    objectives: tuple[LearnedObjective, ...]
    places: tuple[Place, ...]
    learner: str = "dqn"
    episodes: int = 64
    points: int = 5
    averaged: int = 1

    def __post_init__(self) -> None:
        names = [objective.name for objective in self.objectives]
        for what, listed in (("objectives", names), ("environments", [place.label for place in self.places])):
            if not listed or len(set(listed)) < len(listed):
                raise UsageError(f"{what}: expected at least one and each once, got {', '.join(listed) or 'none'}")
        numbers = {what: getattr(self, what) for what in ("episodes", "points", "averaged")}
        for what, value in [*numbers.items(), *(("env_steps", place.env_steps) for place in self.places)]:
            if value < 1:
                raise UsageError(f"{what}: expected a whole number from 1, got {value}")
        if any(OBJECTIVE in place.hyperparameters for place in self.places):
            raise UsageError(f"hyperparameters: {OBJECTIVE!r} is what is compared; name it among the objectives")

    def grid(self, seeds: Sequence[int]) -> list[Training]:
        """Return one training for each objective, environment and seed, in this order, with the hyperparameters of the place."""
        return [
            Training(o, p, place.hyperparameters, seed)
            for o in range(len(self.objectives))
            for p, place in enumerate(self.places)
            for seed in seeds
        ]

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The learner's hyperparameters where none are given, but for the objective: a default that changes makes other scores."""
        return {name: value for name, value in learner_defaults(self.learner).items() if name != OBJECTIVE}

    def identity(self, training: Training) -> str:
        """Return a hash of everything that decides one score (see the module)."""
        place = self.places[training.place]
        plain = {
            "graph": key(self.objectives[training.objective].graph),
            "learner": self.learner,
            "hyperparameters": {**self.defaults, **training.hyperparameters},
            "environment": place.environment,
            "task": dict(place.task),
            "env_steps": place.env_steps,
            "evaluation": [self.episodes, self.points, self.averaged],
            "seed": training.seed,
            "versions": versions(place.environment),
        }
        return hashlib.blake2b(json.dumps(plain, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def versions(environment: str) -> dict[str, str | None]:
    """Return the versions that decide scores in an environment: this package's, jax's, and its library's."""
    library = LIBRARIES.get(environment.partition(":")[0])
    return {name: version(name) for name in ("autorl", "jax", *([library] if library else []))}


@dataclass(frozen=True)
class Training:
    """One training of a question: the positions of its objective and place, all hyperparameters that are given, the seed."""

    objective: int
    place: int
    hyperparameters: Mapping[str, Any]
    seed: int


def measure(
    question: Question,
    seeds: Sequence[int],
    root: Path,
    devices: Sequence[Any],
    report: Reporter = silent,
    stopper: Stopper | None = None,
) -> list[Json]:
    """Train what ``root``/objectives/scores.jsonl does not hold yet; return every score, one mapping a training.

    Args:
        question: What to measure.
        seeds: Training seeds.
        root: Folder of studies.
        devices: As `autorl.engine.devices.start` returns them.
        report: Told the progress.
        stopper: Knows whether to stop; by default Ctrl-C stops between two segments.

    Returns:
        In the order of objectives, environments and seeds: ``objective``, ``environment``, ``seed``, ``status``, ``score`` (None where
        the training failed), ``env_steps`` and ``returns`` of its evaluations, ``train_env_steps``, ``message``.

    Raises:
        UsageError: Learner, hyperparameters, environment and objective do not fit together.
        StudyInterrupted: Stopped on request; what has ended is kept.
        StudyError: The file cannot be read or written, or another process is writing it.
    """
    trainings = question.grid(seeds)
    meter = Meter("test", len(trainings), sum(question.places[t.place].env_steps for t in trainings), report)
    with scoring(question, root, devices, meter, stopper) as scores:
        return scores.of(trainings)


@contextlib.contextmanager
def scoring(
    question: Question,
    root: Path,
    devices: Sequence[Any],
    meter: Meter,
    stopper: Stopper | None = None,
    record: Path | None = None,
) -> Iterator[Scores]:
    """Open the scores below ``root``, and those of ``record`` if there is one, as their one writer; see `measure` for what it raises."""
    stopper = stopper or Stopper(AGAIN)
    path = root / FOLDER / FILE
    with locked(path), contextlib.nullcontext() if record is None else locked(record), stopper:
        mend(path)
        recorded: dict[str, Json] = {}
        if record is not None:
            mend(record)
            recorded = read(record)
        trainer = _trainer(question, devices, stopper)
        # the record wins, so that what is concluded follows from what stands in it
        scores = Scores(question, path, meter, trainer, {**read(path), **recorded}, record, set(recorded))
        scores.check(question.grid([0]))  # before anything is trained, so that nothing is in vain
        yield scores


@dataclass
class Scores:
    """The scores that are kept, and the trainer that adds to them.

    Attributes:
        question: What is measured.
        path: File of the scores.
        meter: Told of every training; its plan counts all that is asked for.
        trainer: Its programs live as long as this.
        kept: Line of every training that has ended, by identity.
        record: Another file, to which every score that is asked for is added too.
        recorded: Identities in it.
    """

    question: Question
    path: Path
    meter: Meter
    trainer: Trainer
    kept: dict[str, Json]
    record: Path | None = None
    recorded: set[str] = field(default_factory=set)
    _counted: set[str] = field(default_factory=set)

    @cached_property
    def graphs(self) -> list[Json]:
        """The objectives' graphs as plain data."""
        return [graph_to_json(objective.graph) for objective in self.question.objectives]

    def plan(self, training: Training) -> dict[str, Any]:
        """Return the hyperparameters of a training, its objective among them."""
        return {**training.hyperparameters, OBJECTIVE: self.graphs[training.objective]}

    def check(self, trainings: Sequence[Training]) -> None:
        """Raise `UsageError` if learner, hyperparameters, environment and objective of a training do not fit together."""
        for training in trainings:
            steps = self.question.places[training.place].env_steps
            # alone: a program of its own, as it will be trained
            (made,) = Objectives().made([self.plan(training)], steps)
            self.trainer.hyperparameters(training.place, made)

    def of(self, trainings: Sequence[Training]) -> list[Json]:
        """Return the scores of ``trainings`` in their order, as `measure` does; train those that are not kept yet."""
        identities = [self.question.identity(training) for training in trainings]
        due: dict[str, Training] = {}
        for identity, training in zip(identities, trainings, strict=True):
            steps = self.question.places[training.place].env_steps
            if identity in self._counted:
                self.meter.repeated(steps)
            elif identity in self.kept:
                self.meter.known(self.kept[identity]["score"], steps)
                self._record(identity)
            else:
                due[identity] = training
            self._counted.add(identity)
        self.meter.show()
        for group in dict.fromkeys((t.place, t.objective) for t in due.values()):
            self._train({i: t for i, t in due.items() if (t.place, t.objective) == group})
        return [
            {
                **self.kept[identity],
                "objective": self.question.objectives[training.objective].name,
                "environment": self.question.places[training.place].label,
            }
            for identity, training in zip(identities, trainings, strict=True)
        ]

    def _train(self, due: Mapping[str, Training]) -> None:
        """Train one objective in one environment, as many at once as there are; keep each score as soon as it is known."""
        identities, trainings = list(due), list(due.values())
        steps = self.question.places[trainings[0].place].env_steps
        points = evaluation_points(0, steps, steps, self.question.points)
        jobs = [
            Job(
                trial=0,  # the same whatever else is still to train, so that what was in flight is known again
                environment=t.place,
                seed=t.seed,
                plan=(Stage(steps, self.plan(t)),),
                points=points,
                averaged=self.question.averaged,
                horizon=steps,
            )
            for t in trainings
        ]

        def done(indices: Sequence[int], outcomes: Sequence[Outcome]) -> None:
            for i, outcome in zip(indices, outcomes, strict=True):
                line = self._line(identities[i], trainings[i], outcome)
                self.kept[identities[i]] = line
                if outcome.status is not Status.CRASHED:  # a crash may be the machine's: tried again next time
                    append(self.path, line)
                    self._record(identities[i])
                self.meter.finished(outcome.score)

        # names all that the jobs themselves do not say: what was in flight is used for exactly the same work
        alike = self.question.identity(Training(trainings[0].objective, trainings[0].place, {}, 0))
        self.trainer.run(
            jobs,
            stepped=self.meter.stepped,
            done=done,
            saver=lambda jobs: InflightSaver(self.path.parent, alike, jobs),
        )
        checkpoint.prune(self.path.parent, ())  # what was in flight has landed

    def _record(self, identity: str) -> None:
        if self.record is not None and identity not in self.recorded:
            append(self.record, self.kept[identity])
            self.recorded.add(identity)

    def _line(self, identity: str, training: Training, outcome: Outcome) -> Json:
        objective, place = self.question.objectives[training.objective], self.question.places[training.place]
        return {
            "key": identity,
            "objective": objective.name,
            "graph": key(objective.graph),
            "environment": place.environment,
            "task": dict(place.task),
            "learner": self.question.learner,
            "hyperparameters": dict(training.hyperparameters),
            "steps": place.env_steps,
            "evaluation": {name: getattr(self.question, name) for name in ("episodes", "points", "averaged")},
            "seed": training.seed,
            "versions": versions(place.environment),
            "status": str(outcome.status),
            "score": outcome.score,
            "env_steps": list(outcome.env_steps),
            "returns": list(outcome.returns),
            "train_env_steps": outcome.train_env_steps,
            "evaluation_env_steps": outcome.evaluation_env_steps,
            "updates": outcome.updates,
            "wall_seconds": round(outcome.wall_seconds, 3),
            "message": outcome.message,
        }


def _trainer(question: Question, devices: Sequence[Any], stopper: Stopper) -> Trainer:
    from autorl.environments.registry import make_environment
    from autorl.environments.tasks import make_task
    from autorl.inner.algorithms import ALGORITHMS

    algorithm = ALGORITHMS.load(question.learner)
    made = [make_environment(place.environment) for place in question.places]
    tasks = [make_task(environment, place.task) for environment, place in zip(made, question.places, strict=True)]
    return Trainer(
        learners=[algorithm(environment) for environment in made],
        tasks=tasks,
        horizons=[place.env_steps for place in question.places],
        episodes=question.episodes,
        upper_bounds={},
        devices=devices,
        check=stopper.check,
    )
