"""Random tasks of a generator whose settings are parameters: what a task is made from, not the task itself, is searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, learned_from
from autorl.curricula.uniform import Nothing
from autorl.declarations import hyperparameters, traced


@hyperparameters
class GeneratorParameters:
    """Of a generator's settings."""

    least: Array = traced(
        0.0, "Least value of each setting, in sides of its range.", low=0.0, high=1.0, shape=("settings",)
    )
    spread: Array = traced(
        1.0, "How far each goes from there, in shares of what is above it.", low=0.0, high=1.0, shape=("settings",)
    )


@dataclass(frozen=True)
class Generator(Teacher[Nothing]):
    """Each task is made at random by the generator of the environment, with settings drawn uniformly between two bounds.

    A maze's generator has one setting, how many walls there are; where tasks are numbers, each is a setting of its own, so this is domain
    randomisation with ranges to be searched. Open loop: what became of earlier tasks changes nothing.
    """

    name: ClassVar[str] = "generator"
    reference: ClassVar[str] = (
        "Jiang et al., 2021, Replay-Guided Adversarial Environment Design (mazes of a random number of walls); "
        "Tobin et al., 2017, Domain Randomization for Transferring Deep Neural Networks"
    )
    Parameters: ClassVar[type[Any]] = GeneratorParameters

    def needs(self, params: GeneratorParameters) -> frozenset[str]:
        """Return none."""
        return frozenset()

    def _init(self, params: GeneratorParameters, seed: Array) -> Nothing:
        return Nothing()

    def _propose(self, params: GeneratorParameters, state: Nothing, key: Array, n: int) -> Proposal:
        drawn, made = jax.random.split(key)
        parts = params.spread * jax.random.uniform(drawn, (n, self.space.settings))
        return learned_from(self.space.generate(made, params.least + (1.0 - params.least) * parts))

    def _update(
        self, params: GeneratorParameters, state: Nothing, points: Array, channels: Channels, valid: Array
    ) -> Nothing:
        return state
