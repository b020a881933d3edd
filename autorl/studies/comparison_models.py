"""The fields of a comparison: objectives trained in the same environments, on the same seeds, for the same number of steps.

A comparison is told from a study by its key ``objectives``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from autorl.studies.models import (
    MOST_ENV_STEPS,
    MOST_SEEDS,
    NAME,
    EnvironmentSettings,
    Evaluation,
    LearnerSettings,
    Section,
)
from autorl.studies.values import SpaceReference, Whole, as_entries, as_several


class ComparisonSeeds(Section):
    """The comparison's seed, and how many training seeds each phase has. The phases' seeds never overlap."""

    study: Whole = Field(0, ge=0, lt=2**63, description="Seed of the whole comparison.")
    tuning: Whole = Field(
        1, ge=1, le=MOST_SEEDS, description="Training seeds on which the configurations of the tuning are tried."
    )
    test: Whole = Field(10, ge=1, le=MOST_SEEDS, description="Training seeds of everything that is reported.")


class Tuning(Section):
    """The same small tuning of every objective in every environment: the same configurations, the same seeds."""

    space: SpaceReference = Field(description="Name of a search space, the path of its file, or the space itself.")
    configurations: Whole = Field(
        ge=2, le=1_000, description="Configurations tried: the given one, then points of the space."
    )


class Comparison(Section):
    """Objectives side by side, at equal work: with the hyperparameters given, and each with the same small tuning."""

    name: str = Field("comparison", pattern=f"^{NAME}$", description="Name; by default that of the file.")
    description: str = Field("", description="What the comparison is for.")
    objectives: Annotated[tuple[str, ...], BeforeValidator(as_entries)] = Field(
        description="Learned objectives that are compared, by name or path; all others stand against the first."
    )
    learner: LearnerSettings = Field(description="What learns, the same for all objectives.")
    environments: Annotated[tuple[EnvironmentSettings, ...], BeforeValidator(as_several)] = Field(
        alias="environment", description="Where the agents act: one environment or a list of them."
    )
    env_steps: Whole | None = Field(
        None,
        ge=1,
        le=MOST_ENV_STEPS,
        description="Environment steps of one whole training, in environments that give none of their own.",
    )
    seeds: ComparisonSeeds = Field(ComparisonSeeds(), description="Seeds: disjoint sets for tuning and test.")
    evaluation: Evaluation = Field(Evaluation(), description="How trained agents are scored.")
    tuning: Tuning | None = Field(
        None,
        description="The same small tuning of every objective; without it only the given hyperparameters are used.",
    )

    @model_validator(mode="after")
    def _check(self) -> Comparison:
        from autorl.studies.comparison_consistency import ComparisonSections, contradictions

        found = contradictions(ComparisonSections.of(self))
        if found:
            raise PydanticCustomError("autorl_findings", "inconsistent", {"findings": found})
        return self

    def steps(self, environment: EnvironmentSettings) -> int:
        """Return the env steps of one whole training in ``environment``."""
        steps = environment.env_steps or self.env_steps
        assert steps is not None  # _check refuses an environment without
        return steps
