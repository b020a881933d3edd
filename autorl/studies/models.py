"""The fields of a specification: the single source of names, types, bounds, defaults and help.

The command line's help, the JSON Schema for editors, the error messages and the documentation are all read from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from autorl.studies.values import (
    Number,
    ObjectiveReference,
    Plain,
    PriorReference,
    Scalar,
    SpaceReference,
    StartReference,
    TaskReference,
    TaskValue,
    Whole,
    as_entries,
    as_interval,
    as_names,
    as_several,
)

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
MOST_ENV_STEPS: Final = 2**31 - 1  # counted in int32 inside the programs
MOST_SEEDS: Final = 100_000
Hyperparameters = Mapping[str, Scalar]


class _Meta(ModelMetaclass):
    """Makes ``Budget(trainings=-1)`` raise the same `SpecificationError` as a file does, never pydantic's own error."""

    def __call__(cls: type[Section], /, *args: Any, **fields: Any) -> Any:  # type: ignore[misc]
        try:
            return super().__call__(*args, **fields)  # type: ignore[misc]
        except ValidationError as error:
            from autorl.studies.validation import python_error

            raise python_error(cls, fields, error) from None


class Section(BaseModel, metaclass=_Meta):
    """Base of all parts of a specification: frozen, no unknown fields, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    shorthand: ClassVar[str | None] = None
    """The field that a bare text stands for: ``learner: ppo``."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, data: Any) -> Any:
        return {cls.shorthand: data} if cls.shorthand is not None and isinstance(data, str) else data


class EnvironmentSettings(Section):
    """One environment, the task in it, and what training there takes."""

    shorthand = "id"
    id: str = Field(min_length=1, description="Name of the environment: gymnax:NAME, or module:attribute for your own.")
    task: Mapping[str, TaskValue] = Field(
        {}, description="Parameters of the task that differ from the environment's own."
    )
    score_range: Annotated[tuple[Number, Number], BeforeValidator(as_interval)] | None = Field(
        None, description="Returns [low, high] that count as 0 and 1. Needed when there are several environments."
    )
    env_steps: Whole | None = Field(
        None,
        ge=1,
        le=MOST_ENV_STEPS,
        description="Environment steps of one whole training here; by default those of the experiment.",
    )
    hyperparameters: Hyperparameters = Field({}, description="Hyperparameters fixed in this environment.")

    @model_validator(mode="after")
    def _check(self) -> EnvironmentSettings:
        if self.score_range is not None and not self.score_range[0] < self.score_range[1]:
            raise at("score_range", "expected [low, high] with low < high")
        return self


class TaskSettings(Section):
    """Which tasks of an environment there are: those that a teacher may propose, and those that agents are scored on."""

    vary: Mapping[str, Annotated[tuple[Number, Number], BeforeValidator(as_interval)] | None] | None = Field(
        None,
        description="Dimensions of the task that a teacher varies, each with its range [low, high] (empty: its own); by default all.",
    )
    held_out: Whole | None = Field(
        None, ge=1, le=100_000, description="Score agents on so many tasks, drawn once as without a curriculum."
    )
    seed: Whole = Field(0, ge=0, lt=2**32, description="Seed of the drawing, apart from all seeds of the study.")
    grid: Whole | None = Field(
        None, ge=2, le=1000, description="Score agents on the grid of so many values in each dimension, ends included."
    )
    named: Annotated[tuple[TaskReference, ...], BeforeValidator(as_entries)] = Field(
        (), description="Score agents on these tasks: each a mapping of parameters, or the name of a level."
    )

    @model_validator(mode="after")
    def _check(self) -> TaskSettings:
        given = [name for name in ("held_out", "grid", "named") if getattr(self, name)]
        if len(given) > 1:
            raise at(given[1], f"expected one of held_out, grid and named, beside {given[0]}")
        return self


class EnvironmentChoice(EnvironmentSettings):
    """One environment of a study, and its part in it."""

    tasks: TaskSettings | None = Field(
        None, description="Its tasks, if there are several: those that vary, and those that agents are scored on."
    )

    role: Literal["train", "validation", "held_out"] = Field(
        "train",
        description="train: searched in. validation: scored during the search, and kept apart. held_out: seen in the test alone.",
    )


class LearnerSettings(Section):
    """What learns, and what is the same for all trainings."""

    shorthand = "algorithm"
    algorithm: str = Field(min_length=1, description="Name of the algorithm, such as ppo or dqn.")
    hyperparameters: Hyperparameters = Field({}, description="Hyperparameters that differ from the algorithm's own.")


class LearnerChoice(LearnerSettings):
    """What learns in a study, and what is the same for all candidates."""

    hyperparameters: Hyperparameters = Field({}, description="Hyperparameters fixed for all candidates.")
    objective: ObjectiveReference | None = Field(
        None,
        description="A learned objective to minimise, by name, or a loss graph itself; by default the algorithm's own loss.",
    )


class TeacherChoice(Section):
    """What sets the tasks that agents learn from."""

    shorthand = "name"
    name: str = Field(min_length=1, description="Name of the teacher, such as uniform, alp_gmm or plr.")
    parameters: Mapping[str, Plain] = Field({}, description="Parameters that differ from the teacher's own.")


class ComparedTeacher(TeacherChoice):
    """A teacher that the study's own is compared with."""

    name: str = Field(min_length=1, description="Name of the teacher; none: the environment's task alone.")
    parameters: Mapping[str, Plain] = Field(
        {},
        description="Parameters that differ from the teacher's own, and from those of the study's if it is the same.",
    )


class PolicyChoice(Section):
    """Which trainings are cut short, and when."""

    shorthand = "name"
    name: str = Field(min_length=1, description="Name of the budget policy; whole cuts none.")
    settings: Mapping[str, Plain] = Field({}, description="Settings of the policy.")


class TakenOver(Section):
    """What a study took over from an earlier one."""

    trials: Whole = Field(0, ge=0, description="Trials of its method's search.")
    env_steps: Whole = Field(0, ge=0, description="Environment steps that these trained.")
    random_trials: Whole = Field(0, ge=0, description="Trials of its random search.")
    random_env_steps: Whole = Field(0, ge=0, description="Environment steps that these trained.")
    left_out: Mapping[str, Plain] = Field({}, description="Why trials were left out, and their numbers there.")
    left_out_env_steps: Whole = Field(
        0, ge=0, description="Environment steps that these trained, in earlier studies too."
    )
    configurations: Whole = Field(0, ge=0, description="Configurations that are trained again, first.")
    test_seeds: Whole = Field(0, ge=0, description="Test seeds that were used there.")
    seed: Whole | None = Field(None, ge=0, lt=2**63, description="Seed of the method, where it draws afresh.")
    changed: Annotated[tuple[str, ...], BeforeValidator(as_entries)] = Field(
        (), description="Versions that differ now."
    )


class WarmStart(Section):
    """An earlier study that a search goes on with, or trials of another tool."""

    shorthand = "study"
    study: str = Field(
        min_length=1,
        description="Name or folder of a study; or a file of trials NAME.jsonl, as autorl import optuna --trials writes it.",
    )
    retrain: Whole | None = Field(
        None, ge=1, description="Tell nothing, but train so many of its best configurations again, first: 5 of a file."
    )
    same_metric: bool = Field(
        False,
        description="For a file: its scores are what trainings of this study would have, so they are told, and count as such.",
    )
    taken: TakenOver | None = Field(None, description="What was taken over; it writes this itself.")


class Search(Section):
    """What is searched, and how."""

    space: SpaceReference = Field(description="Name of a search space, the path of its file, or the space itself.")
    method: str = Field(
        "auto",
        min_length=1,
        description="Name of the search method, or module:attribute of your own; auto picks one that fits.",
    )
    settings: Mapping[str, Plain] = Field({}, description="Settings of the method.")
    policy: PolicyChoice | None = Field(
        None,
        description="Budget policy, which cuts trainings short: halving, race ... Without it all are whole, but auto chooses one.",
    )
    start: Annotated[tuple[StartReference, ...], BeforeValidator(as_entries)] = Field(
        (), description="Configurations to try first; default is the learner's own."
    )
    prior: PriorReference | None = Field(
        None,
        description="Draws configurations where the method would at random: auto (that of the learner, learned in other environments), "
        "none, or the path of a file that autorl prior fit wrote. By default auto where the method is auto, else none.",
    )
    warm_start: WarmStart | None = Field(
        None,
        description="An earlier study to go on with, in a larger budget or another space: it is told first, and counts.",
    )
    batch: Whole | None = Field(None, ge=1, description="Trials asked for at once; by default the method's own number.")
    chosen: str | None = Field(None, description="What auto chose and why; it writes this itself.")


class Hurdle(Section):
    """Where a trial of the search stops unless it has done well enough. Its score there is kept apart."""

    environments: Whole | None = Field(
        None, ge=1, description="Training environments, the first of them, that come before the hurdle; by default all."
    )
    env_steps: Whole | None = Field(
        None,
        ge=1,
        le=MOST_ENV_STEPS,
        description="Environment steps of a training that come before it; by default all.",
    )
    score: Number | None = Field(None, allow_inf_nan=False, description="Score that passes.")
    quantile: Number | None = Field(
        None, ge=0, lt=1, description="Passes with this quantile of the scores that recent trials had at the hurdle."
    )
    window: Whole = Field(200, ge=1, le=100_000, description="How many recent trials the quantile is taken of.")

    @model_validator(mode="after")
    def _check(self) -> Hurdle:
        if (self.score is None) == (self.quantile is None):
            raise at("score", "expected either score or quantile, which say what passes")
        if self.environments is None and self.env_steps is None:
            raise at("env_steps", "expected environments or env_steps, which say where the hurdle stands")
        return self


class ScheduleEntry(Section):
    """One stage of a schedule of hyperparameters that is replayed."""

    until: Whole = Field(
        ge=1, le=MOST_ENV_STEPS, description="Environment steps (counted from 0) up to which it holds."
    )
    hyperparameters: Hyperparameters = Field({}, description="Hyperparameters of this stage.")


class Budget(Section):
    """The work that the search may spend: trainings times env_steps."""

    trainings: Whole = Field(
        1, ge=1, le=10_000_000, description="Whole trainings that the search may spend; 1 without a search."
    )
    env_steps: Whole = Field(
        1, ge=1, le=MOST_ENV_STEPS, description="Environment steps of one whole training, for each seed."
    )


class Seeds(Section):
    """The study's seed, and how many training seeds each phase has. The phases' seeds never overlap."""

    study: Whole = Field(0, ge=0, lt=2**63, description="Seed of the whole study.")
    search: Whole = Field(1, ge=1, le=MOST_SEEDS, description="Training seeds of each trial during the search.")
    tuning: Whole = Field(5, ge=1, le=MOST_SEEDS, description="Fresh seeds on which the finalists are compared.")
    test: Whole = Field(10, ge=1, le=MOST_SEEDS, description="Untouched seeds on which the winner is reported.")
    test_start: Whole = Field(0, ge=0, le=2**28, description="Test seeds passed over: earlier studies had them.")


class Evaluation(Section):
    """How trained agents are scored."""

    episodes: Whole = Field(64, ge=1, le=1_000_000, description="Whole episodes of each evaluation.")
    points: Whole = Field(
        5, ge=1, le=10_000, description="Evaluations of a training, spread evenly, the last at its end."
    )
    averaged: Whole = Field(
        3,
        ge=1,
        le=10_000,
        description="Last evaluations whose mean is the score of a training; the test of a study counts the last one alone.",
    )
    tasks: Literal["mean", "iqm", "cvar"] = Field(
        "mean",
        description="What an evaluation on held-out tasks comes to: mean, iqm (of the middle half), cvar (mean of the worst tenth).",
    )
    measure: Literal["return", "success"] = Field(
        "return",
        description="What of each held-out task: the return, or the success that the environment reports, within [0, 1].",
    )


class Baselines(Section):
    """What the result is compared with, at equal work."""

    default: bool = Field(True, description="The learner's default configuration.")
    random: bool = Field(True, description="Random search with the same budget.")
    objectives: Annotated[tuple[str, ...], BeforeValidator(as_entries)] = Field(
        (), description="Learned objectives, by name, that are tested with the default configuration."
    )
    teachers: Annotated[tuple[ComparedTeacher, ...], BeforeValidator(as_names)] = Field(
        (), description="Teachers, each once, that are tested with the default configuration."
    )


class Expected(Section):
    """What a run gives, for readers and for regression tests."""

    minutes: Number = Field(gt=0, allow_inf_nan=False, description="Wall time in minutes on two cores.")
    score: Annotated[tuple[Number, Number], BeforeValidator(as_interval)] = Field(
        description="Interval [low, high] in which the test score lies."
    )

    @model_validator(mode="after")
    def _check(self) -> Expected:
        if not self.score[0] <= self.score[1]:
            raise at("score", "expected [low, high] with low <= high")
        return self


class Specification(Section):
    """One experiment: the question that a study answers."""

    name: str = Field("study", pattern=f"^{NAME}$", description="Name; by default that of the file.")
    description: str = Field("", description="What the experiment is for.")
    environments: Annotated[tuple[EnvironmentChoice, ...], BeforeValidator(as_several)] = Field(
        (), alias="environment", description="Where the agent acts: one environment or a list of them."
    )
    learner: LearnerChoice | None = Field(
        None, description="What learns. Left out only where you score the candidates yourself."
    )
    teacher: TeacherChoice | None = Field(
        None, description="What sets the tasks that agents learn from. Without it all episodes are of the same task."
    )
    search: Search | None = Field(
        None, description="What is searched, and how. Without it one configuration is trained."
    )
    schedule: Annotated[tuple[ScheduleEntry, ...], BeforeValidator(as_entries)] | None = Field(
        None, description="A schedule of hyperparameters to replay (without a search)."
    )
    budget: Budget = Field(Budget(), description="The work that the search may spend.")
    hurdle: Hurdle | None = Field(None, description="Where a trial of the search stops unless it has done well enough.")
    seeds: Seeds = Field(Seeds(), description="Seeds: disjoint sets for search, tuning and test.")
    evaluation: Evaluation = Field(Evaluation(), description="How trained agents are scored.")
    finalists: Whole = Field(5, ge=1, le=1_000, description="Best trials that are trained again on the tuning seeds.")
    parsimony: Number = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Taken from a score for each part of a candidate (node of a loss graph) where finalists are chosen and compared.",
    )
    baselines: Baselines = Field(Baselines(), description="What the result is compared with.")
    expected: Expected | None = Field(None, description="What a run gives: minutes on two cores, score.")
    log: Annotated[tuple[str, ...], BeforeValidator(as_names)] = Field(
        (), description="Where trials are also written as they end: tensorboard, wandb, mlflow. Nowhere by default."
    )

    @model_validator(mode="after")
    def _check(self) -> Specification:
        from autorl.studies.consistency import Sections, inconsistencies

        found = inconsistencies(Sections.of(self))
        if found:
            raise PydanticCustomError("autorl_findings", "inconsistent", {"findings": found})
        return self


def at(field: str, message: str) -> PydanticCustomError:
    """Return the error of a check of a whole section that concerns one ``field`` of it."""
    return PydanticCustomError("autorl", "{message}", {"message": message, "field": field})
