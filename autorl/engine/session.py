"""A study that is being run: its specification made into objects, its record, and how it stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import FrameType, TracebackType
from typing import Any

from autorl.curricula.starts.guide import STUDY
from autorl.engine.lanes import Outcome
from autorl.engine.lessons import CourseMaker, exam, lesson_of
from autorl.engine.methods import method_of
from autorl.engine.objectives import Objectives, signature_of
from autorl.engine.progress import Reporter, silent
from autorl.engine.trainer import Trainer
from autorl.errors import StudyInterrupted, UsageError
from autorl.keys import SeedRole
from autorl.outer.protocol import SearchMethod
from autorl.spaces import Space, load_space
from autorl.spaces.plain_values import DISTILL_FROM, NO_TEACHER, OBJECTIVE, TEACHER, plain_values, with_teacher
from autorl.studies.folder import StudyFolder
from autorl.studies.kept_policy import Trained, guide_env_steps, keep
from autorl.studies.record import Record
from autorl.studies.seeds import seeds_of
from autorl.studies.specification import EnvironmentChoice, Specification
from autorl.studies.trial import (
    COMPILED,
    OBJECTIVE_ARM,
    STATISTICS,
    TEACHER_ARM,
    Arm,
    Json,
    Phase,
    Stage,
    Trial,
    lessons_key,
)


class Stopper:
    """Turns Ctrl-C (or SIGTERM) into a stop between two segments; a second one stops at once.

    Outside the main thread signals cannot be caught, and the study is stopped by `request`.
    """

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number

    def request(self) -> None:
        """Ask for a stop at the next opportunity, as Ctrl-C does."""
        self._signal = signal.SIGINT

    def check(self) -> None:
        """Raise `StudyInterrupted` if a stop was asked for."""
        if self._signal is not None:
            error = StudyInterrupted(f"stopped, everything is saved. {self._remedy}")
            error.exit_code = 128 + self._signal
            raise error


@dataclass
class Session:
    """What the phases of one study share while it runs. Holds the study's only writer.

    Attributes:
        specification: The resolved experiment.
        folder: The study on disk.
        record: Its open record.
        devices: Devices to train on.
        report: Told the progress.
        stopper: Knows whether to stop.
    """

    specification: Specification
    folder: StudyFolder
    record: Record
    devices: list[Any]
    report: Reporter = silent
    stopper: Stopper = field(default_factory=lambda: Stopper(""))

    @property
    def environments(self) -> list[EnvironmentChoice]:
        """The environments of the study, at least one."""
        return list(self.specification.environments)

    @cached_property
    def space(self) -> Space | None:
        """The space searched, if anything is."""
        search = self.specification.search
        return None if search is None else load_space(search.space)

    @cached_property
    def trainer(self) -> Trainer:
        """The trainer of the study; its programs live as long as the session."""
        learners, tasks = make_learners(self.specification)
        bounds = self.space.upper_bounds() if self.space is not None else {}
        choices = self.environments
        made = [learner.environment for learner in learners]
        return Trainer(
            learners=learners,
            tasks=tasks,
            exams=[exam(*each) for each in zip(choices, made, tasks, strict=True)],
            courses=[CourseMaker.of(*each) for each in zip(choices, made, strict=True)],
            horizons=[self.horizon(e) for e in range(len(self.environments))],
            episodes=self.specification.evaluation.episodes,
            statistic=self.specification.evaluation.tasks,
            measure=self.specification.evaluation.measure,
            upper_bounds=bounds,
            devices=self.devices,
            check=self.stopper.check,
            objectives=Objectives(signature_of(self.space)),
        )

    def in_company(self, trials: Sequence[Trial]) -> None:
        """Say which trials train together from now on, those that have ended already among them."""
        stages = [(t, s) for t in trials for s in (c.candidate for c in t.schedule or (Stage(0, t.candidate),))]
        values = [self.values(candidate, 0, trial.arm) for trial, candidate in stages]
        self.trainer.objectives = self.trainer.objectives.among(values)

    def horizon(self, environment: int) -> int:
        """Return the env steps of one whole training in an environment."""
        return self.environments[environment].env_steps or self.specification.budget.env_steps

    def score_range(self, environment: int) -> tuple[float, float] | None:
        """Return what counts as 0 and 1 where agents are scored by their returns; None: scores are left as they are."""
        scaled = self.specification.evaluation.measure == "return"
        return self.environments[environment].score_range if scaled else None

    def acts_in(self, phase: Phase) -> tuple[int, ...]:
        """Return the environments (indices) of a phase: the held-out ones in the test, if there are any; else those searched in."""
        roles = [choice.role for choice in self.environments]
        if phase == "test":
            held_out = tuple(i for i, role in enumerate(roles) if role == "held_out")
            return held_out or tuple(i for i, role in enumerate(roles) if role == "train")
        return tuple(i for i, role in enumerate(roles) if role == "train")

    @property
    def validation(self) -> tuple[int, ...]:
        """The environments (indices) in which the search looks without optimising for them."""
        return tuple(i for i, choice in enumerate(self.environments) if choice.role == "validation")

    def steps(self, environments: Iterable[int]) -> int:
        """Return the env steps of one trial and seed in ``environments``, together."""
        return sum(self.horizon(e) for e in environments)

    @cached_property
    def continues(self) -> bool:
        """Whether trials continue from trained parents (population-based training)."""
        return self.specification.search is not None and self.method("method").continues

    def method(self, arm: Arm) -> SearchMethod[Any]:
        """Return the search method of an arm: the study's own, or the random-search baseline with the same budget."""
        return method_of(self.specification, arm)

    def seeds(self, role: SeedRole, repeat: int = 0) -> tuple[int, ...]:
        """Return the training seeds of a role; for a repeat of a search trial as many fresh ones."""
        return seeds_of(self.specification, role, repeat)

    def note_statistics(self, arm: Arm, method: SearchMethod[Any], state: Any) -> None:
        """Keep what a search method counted (duplicates, rejections), if it counts anything, for the result (`analysis.proposals`)."""
        counted = getattr(method, "statistics", None)
        if counted is not None:
            self.record.set_meta(f"{STATISTICS}{arm}", counted(state))

    def note_lessons(self, trial: Trial, outcomes: Sequence[Outcome]) -> None:
        """Keep what became of held-out tasks and what a teacher had played, if there is any of it."""
        where = self.acts_in(trial.phase)
        guides = [self._guide_steps(trial, environment) for environment in where]
        if any(guides) or any(outcome.tasks or outcome.diary is not None for outcome in outcomes):
            key, seeds = lessons_key(trial.arm, trial.phase, trial.number), len(trial.seeds)
            found = [
                {**lesson_of(o, where[i // seeds], trial.seeds[i % seeds]), **guides[i // seeds]}
                for i, o in enumerate(outcomes)
            ]
            self.record.set_meta(key, found)

    def _guide_steps(self, trial: Trial, environment: int) -> Json:
        """Return ``{"guide_env_steps": those that trained the guides}`` where a study's policy guided; no ledger has them."""
        values = self.values(trial.candidate, environment, trial.arm)
        named = {(values.get(TEACHER) or {}).get("parameters", {}).get("guide"), values.get(DISTILL_FROM)}
        guides = [one for one in named if isinstance(one, str) and one.startswith(STUDY)]
        if not guides:
            return {}
        made = self.trainer.learners[environment].environment
        steps = [guide_env_steps(guide, made) for guide in guides]
        return {"guide_env_steps": None if None in steps else sum(s for s in steps if s is not None)}

    def keep_policies(self, trial: Trial, outcomes: Sequence[Outcome]) -> None:
        """Keep what the method's first test training in each environment acts by, if these are its test trainings.

        First by seed, of those that ended well: no score has a say, as studies that it guides may be scored on the same seeds.
        """
        if (trial.arm, trial.phase) != ("method", "test"):
            return
        assert self.specification.learner is not None
        where, seeds, first = self.acts_in("test"), len(trial.seeds), dict[int, Trained]()
        for i, outcome in enumerate(outcomes):
            environment, score = where[i // seeds], outcome.score
            if outcome.agent is None or score is None or environment in first:
                continue
            made, algorithm = self.trainer.learners[environment].environment, self.specification.learner.algorithm
            acting, values = outcome.agent
            before = self._guide_steps(trial, environment).get("guide_env_steps", 0)
            steps = None if before is None else before + outcome.train_env_steps
            first[environment] = Trained(made, algorithm, values, trial.seeds[i % seeds], score, steps, acting)
        if first:
            keep(self.folder, list(first.values()))

    def note_programs(self) -> None:
        """Keep what was compiled, in this session and in those before it, for the report."""
        self.record.set_meta(COMPILED, [*self._compiled_before, *self.trainer.compiled_programs()])

    @cached_property
    def _compiled_before(self) -> list[Json]:
        return list(self.record.meta(COMPILED, []))

    def values(self, candidate: Mapping[str, Any], environment: int, arm: Arm = "method") -> dict[str, Any]:
        """Return the hyperparameters of a candidate in an environment.

        What the learner and the environment fix holds for all candidates of a search, and for the arms of learned objectives and teachers,
        whose candidates are ``{"objective": name}`` and ``{"teacher": name, "teacher.NAME.PARAMETER": value}``.
        Without a search the candidate is all there is.
        """
        teacher = self.specification.teacher
        fixed = None if teacher is None else {"name": teacher.name, "parameters": dict(teacher.parameters)}
        if arm == f"{TEACHER_ARM}{NO_TEACHER}":
            candidate, fixed = {}, None
        return with_teacher(self._values(candidate, environment, arm), fixed)

    def _values(self, candidate: Mapping[str, Any], environment: int, arm: Arm) -> dict[str, Any]:
        learner, own = self.specification.learner, self.environments[environment].hyperparameters
        assert learner is not None
        if arm.startswith((OBJECTIVE_ARM, TEACHER_ARM)):
            return {**learner.hyperparameters, **own, **candidate}
        fixed = {OBJECTIVE: learner.objective} if learner.objective is not None and arm != "default" else {}
        if self.specification.search is None:
            return {**fixed, **candidate, **own}
        searched = plain_values(self.space, candidate) if candidate else {}  # nothing: the default configuration
        return {**fixed, **learner.hyperparameters, **own, **searched}


def make_learners(specification: Specification) -> tuple[list[Any], list[Any]]:
    """Return one learner and one task for each environment of ``specification``.

    Raises:
        UsageError: The experiment names no environment or no learner, or they do not fit together.
    """
    from autorl.environments.registry import make_environment
    from autorl.environments.tasks import make_task
    from autorl.inner.algorithms import ALGORITHMS

    chosen = specification.environments
    if specification.learner is None or not chosen:
        raise UsageError("this experiment has no learner or no environment: only ask and tell can drive it")
    algorithm = ALGORITHMS.load(specification.learner.algorithm)
    made = [make_environment(environment.id) for environment in chosen]
    tasks = [make_task(environment, choice.task) for environment, choice in zip(made, chosen, strict=True)]
    return [algorithm(environment) for environment in made], tasks
