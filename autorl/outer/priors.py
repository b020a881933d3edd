"""A prior: which configurations of a learner are likely to be good, learned from other tasks, and how far that can be trusted.

A *task*'s model is additive: a configuration's utility is the sum of one effect for each hyperparameter that it has. Utilities are
normal scores of ranks within the task (mean 0, variance 1), so tasks with any returns can be averaged. Numbers have their effects at
`KNOTS` equally spaced places of a range, linear in between; choices have one each. `noise` is how far a task's own utilities lie from
what the others predict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autorl.keys import derive, generator
from autorl.spaces import Candidate, Dimension, Float, HyperparameterSpace, Space, Value
from autorl.spaces.dimensions import Scale, is_number, same

KNOTS = 5
OPTIONS = 8
"""Candidates drawn for each one proposed: the prior, with its noise, picks the best of them."""


@dataclass(frozen=True)
class Ruler:
    """Where the effects of a hyperparameter stand.

    Attributes:
        choices: One effect for each; none for numbers.
        span: Range of numbers, its ends clipped; None: positions within the range of whatever space is searched.
        scale: Of the span.
    """

    choices: tuple[Value, ...] = ()
    span: tuple[float, float] | None = None
    scale: Scale = "linear"

    @property
    def size(self) -> int:
        """Number of effects."""
        return len(self.choices) or KNOTS

    def weights(self, dimension: Dimension, value: Value) -> NDArray[np.float64]:
        """Return the share of each effect that ``value`` of ``dimension`` has, float64 [size]; all 0 for what the ruler cannot place."""
        if self.choices:
            return np.array([float(same(choice, value)) for choice in self.choices])
        if self.span is None:
            unit = dimension.to_unit(value)
        elif is_number(value):
            low, high = self.span
            unit = Float(low, high, self.scale).to_unit(min(high, max(low, float(value))))
        else:
            return np.zeros(KNOTS)
        place = min(1.0, max(0.0, unit)) * (KNOTS - 1)
        made: NDArray[np.float64] = np.maximum(0.0, 1.0 - np.abs(place - np.arange(KNOTS)))
        return made


@dataclass(frozen=True)
class PriorTask:
    """What was learned from one task.

    Attributes:
        name: Of the task.
        environments: Names of the environments that it acted in, as an experiment writes them; none where AutoRL has none of them.
        effects: Hyperparameter to its effects.
    """

    name: str
    environments: tuple[str, ...]
    effects: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Prior:
    """The tasks' models, all counting alike.

    Attributes:
        name: What people call it.
        learner: The learner whose hyperparameters these are, if it is one of AutoRL's.
        source: What it was learned from, and how it is made again.
        noise: Standard deviation of a task's own utilities around the mean of the other tasks' models.
        rulers: Hyperparameter to where its effects stand.
        tasks: At least one.
    """

    name: str
    learner: str | None
    source: str
    noise: float
    rulers: Mapping[str, Ruler]
    tasks: tuple[PriorTask, ...]

    def without(self, environments: Collection[str]) -> Prior | None:
        """Return what was learned elsewhere than in ``environments``; None if that is nothing."""
        kept = tuple(task for task in self.tasks if not set(task.environments) & set(environments))
        return dataclasses.replace(self, tasks=kept) if kept else None

    def shared(self, space: Space) -> list[str]:
        """Return the searched dimensions of ``space`` that it knows something about; none of a space that is no list of hyperparameters."""
        return [name for name in getattr(space, "searched", ()) if name in self.rulers]

    @cached_property
    def effects(self) -> Mapping[str, NDArray[np.float64]]:
        """The mean over tasks of each hyperparameter's effects."""
        return {name: np.mean([task.effects[name] for task in self.tasks], axis=0) for name in self.rulers}

    def utility(self, space: HyperparameterSpace, candidate: Candidate) -> float:
        """Return the expected utility of ``candidate``: 0 on average, in standard deviations."""
        return sum(
            float(self.rulers[name].weights(space.dimensions[name], candidate[name]) @ self.effects[name])
            for name in self.shared(space)
            if name in candidate
        )

    def ordered(self, space: HyperparameterSpace, seed: int, count: int) -> list[Candidate]:
        """Return ``count`` candidates to start with, the most promising first.

        They are the best, by their utility with noise added, of `OPTIONS` times as many drawn at random (those that behave alike count
        once; where too few different ones can be drawn, random ones come after them). The noise is less by the share of the
        different ones that is taken: who takes nearly all has no need to try what the prior thinks little of, only to leave it out.
        """
        drawn = [space.sample(derive(seed, "prior", i)) for i in range(OPTIONS * count)]
        different = list({space.fingerprint(candidate): candidate for candidate in drawn}.values())
        left_out = 1.0 - len(different[:count]) / max(1, len(different))
        noise = generator(derive(seed, "prior noise")).normal(0.0, self.noise * left_out, len(different))
        utilities = noise + [self.utility(space, candidate) for candidate in different]
        chosen = [different[i] for i in np.argsort(-utilities, kind="stable")[:count]]
        return chosen + drawn[: count - len(chosen)]


def features(rulers: Mapping[str, Ruler], space: HyperparameterSpace, candidate: Candidate) -> NDArray[np.float64]:
    """Return the shares of all effects that ``candidate`` has, float64 [sum of their sizes], in the order of ``rulers``."""
    parts = [
        ruler.weights(space.dimensions[name], candidate[name]) if name in candidate else np.zeros(ruler.size)
        for name, ruler in rulers.items()
    ]
    return np.concatenate(parts)
