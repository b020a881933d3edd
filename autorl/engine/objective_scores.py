"""Scores of objectives: any of them × environments × seeds, trained with one learner, kept line by line, trained once.

A score is kept under everything that decides it: the graph itself (not its name), learner, hyperparameters, environment, env steps,
episodes, seed, versions. So a run that was stopped goes on, and a larger one trains only what is new.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from autorl.engine.lanes import Job, Outcome, evaluation_points
from autorl.engine.progress import Meter, Reporter, silent
from autorl.engine.session import Stopper
from autorl.engine.trainer import Trainer
from autorl.errors import UsageError
from autorl.keys import training_seeds
from autorl.objectives.graphs.canonical import key
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.loader import LearnedObjective
from autorl.outer.protocol import Status
from autorl.spaces.plain_values import OBJECTIVE
from autorl.studies.manifest import version
from autorl.studies.objective_lines import FILE, FOLDER, append, locked, mend, read
from autorl.studies.trial import Json, Stage

POINTS: Final = 5
"""Evaluations of a training; the last one is the score."""


@dataclass(frozen=True)
class Question:
    """What is to be measured.

    Attributes:
        objectives: Different names.
        environments: Ids of environments.
        seeds: Trainings of each objective in each environment.
        env_steps: Of each training.
        learner: Algorithm.
        hyperparameters: Of the learner, the same for all; the rest are its defaults.
        episodes: Of each evaluation.
        seed: Decides the training seeds; test seeds, which no search ever trains with.
    """

    objectives: tuple[LearnedObjective, ...]
    environments: tuple[str, ...]
    seeds: int
    env_steps: int
    learner: str = "dqn"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    episodes: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        names = [objective.name for objective in self.objectives]
        for what, listed in (("objectives", names), ("environments", list(self.environments))):
            if not listed or len(set(listed)) < len(listed):
                raise UsageError(f"{what}: expected at least one and each once, got {', '.join(listed) or 'none'}")
        for what in ("seeds", "env_steps", "episodes"):
            if getattr(self, what) < 1:
                raise UsageError(f"{what}: expected a whole number from 1, got {getattr(self, what)}")
        if OBJECTIVE in self.hyperparameters:
            raise UsageError(f"hyperparameters: {OBJECTIVE!r} is what is compared; name it among the objectives")

    @property
    def training_seeds(self) -> tuple[int, ...]:
        """The seeds of the trainings; of a smaller question the first ones."""
        return training_seeds(self.seed, "test", self.seeds)

    def identity(self, objective: LearnedObjective, environment: str, seed: int) -> str:
        """Return a hash of everything that decides one score."""
        plain = {
            "graph": key(objective.graph),
            "learner": self.learner,
            "hyperparameters": dict(self.hyperparameters),
            "environment": environment,
            "env_steps": self.env_steps,
            "episodes": self.episodes,
            "seed": seed,
            "versions": [version("autorl"), version("jax")],
        }
        return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=16).hexdigest()


def measure(
    question: Question, root: Path, devices: Sequence[Any], report: Reporter = silent, stopper: Stopper | None = None
) -> list[Json]:
    """Train what ``root``/objectives/scores.jsonl does not hold yet; return every score, one mapping a training.

    Args:
        question: What to measure.
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
    stopper = stopper or Stopper("Give the same command again to go on.")
    path = root / FOLDER / FILE
    with locked(path), stopper:
        mend(path)
        kept = read(path)
        trainer = _trainer(question, devices, stopper)
        plans = [{**question.hyperparameters, OBJECTIVE: _loss(o.graph)} for o in question.objectives]
        for environment in range(len(question.environments)):
            for plan in plans:  # before anything is trained, so that nothing is in vain
                trainer.hyperparameters(environment, plan)
        wanted = _wanted(question)
        due = list({w.identity: w for w in wanted if w.identity not in kept}.values())
        count = len({w.identity for w in wanted})
        meter = Meter("test", count, count * question.env_steps, report)
        already = [kept[identity] for identity in {w.identity for w in wanted} & kept.keys()]
        meter.already(len(already), sum(e["score"] is None for e in already), len(already) * question.env_steps, None)
        for group in dict.fromkeys((w.environment, w.objective) for w in due):
            own = [w for w in due if (w.environment, w.objective) == group]
            kept |= _train(question, trainer, plans[group[1]], own, path, meter)
    return [{**kept[w.identity], "objective": question.objectives[w.objective].name} for w in wanted]


@dataclass(frozen=True)
class _Wanted:
    """One training: identity, indices of objective and environment, seed."""

    identity: str
    objective: int
    environment: int
    seed: int


def _wanted(question: Question) -> list[_Wanted]:
    return [
        _Wanted(question.identity(objective, environment, seed), o, e, seed)
        for o, objective in enumerate(question.objectives)
        for e, environment in enumerate(question.environments)
        for seed in question.training_seeds
    ]


def _loss(graph: Graph) -> Any:
    """Return the objective as a program of its own: its bits must not depend on what else is evaluated."""
    from autorl.objectives.graphs.compiled import CompiledLoss
    from autorl.objectives.graphs.compiled_coreyes import CompiledNetworkLoss

    return CompiledNetworkLoss.of(graph) if graph.family == "network" else CompiledLoss.of(graph)


def _trainer(question: Question, devices: Sequence[Any], stopper: Stopper) -> Trainer:
    from autorl.environments.registry import make_environment
    from autorl.environments.tasks import make_task
    from autorl.inner.algorithms import ALGORITHMS

    algorithm = ALGORITHMS.load(question.learner)
    made = [make_environment(environment) for environment in question.environments]
    return Trainer(
        learners=[algorithm(environment) for environment in made],
        tasks=[make_task(environment, {}) for environment in made],
        horizons=[question.env_steps] * len(made),
        episodes=question.episodes,
        upper_bounds={},
        devices=devices,
        check=stopper.check,
    )


def _train(
    question: Question,
    trainer: Trainer,
    plan: Mapping[str, Any],
    wanted: Sequence[_Wanted],
    path: Path,
    meter: Meter,
) -> dict[str, Json]:
    """Train one objective in one environment on several seeds; keep each score as soon as it is known."""
    steps = question.env_steps
    points = evaluation_points(0, steps, steps, POINTS)
    stages = (Stage(steps, plan),)
    jobs = [Job(i, w.environment, w.seed, stages, points, horizon=steps) for i, w in enumerate(wanted)]
    ended: dict[str, Json] = {}

    def done(indices: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        for i, outcome in zip(indices, outcomes, strict=True):
            line = _line(question, wanted[i], outcome)
            ended[line["key"]] = line
            if outcome.status is not Status.CRASHED:  # a crash may be the machine's: tried again next time
                append(path, line)
            meter.finished(outcome.score)

    trainer.run(jobs, stepped=meter.stepped, done=done)
    return ended


def _line(question: Question, wanted: _Wanted, outcome: Outcome) -> Json:
    return {
        "key": wanted.identity,
        "objective": question.objectives[wanted.objective].name,
        "graph": key(question.objectives[wanted.objective].graph),
        "environment": question.environments[wanted.environment],
        "learner": question.learner,
        "hyperparameters": dict(question.hyperparameters),
        "steps": question.env_steps,
        "seed": wanted.seed,
        "status": str(outcome.status),
        "score": outcome.score,
        "env_steps": list(outcome.env_steps),
        "returns": list(outcome.returns),
        "train_env_steps": outcome.train_env_steps,
        "evaluation_env_steps": outcome.evaluation_env_steps,
        "wall_seconds": round(outcome.wall_seconds, 3),
        "message": outcome.message,
    }
