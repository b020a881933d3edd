"""Sequences of tasks by evolution over a rolling horizon: plan a few tasks ahead, commit to the first, plan again from there.

After RHEA-CL (2024, arXiv 2408.06068, curricula by a rolling horizon evolutionary algorithm) and Perez et al. (2013, Rolling Horizon
Evolution versus Tree Search for Navigation in Single-Player Real-Time Games).

A sequence is played by a copy of the student as it is after the committed tasks, and judged by its scores after each task. So a commitment
costs ``generations`` x ``population`` x ``horizon`` lessons beside the one that counts: the ledger of a study must hold them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from autorl.errors import UsageError
from autorl.keys import derive, generator

Plan = tuple[int, ...]
"""Numbers of tasks, in the order of playing."""


@dataclass(frozen=True)
class Horizon:
    """Where a search is.

    Attributes:
        committed: Tasks that the student has been given for good, in order.
        population: The sequences to judge next, each ``horizon`` tasks that would follow the committed ones.
        generation: Generations told since the last commitment.
        best: The best sequence since then, None before any was told.
        value: What it was worth; -inf before.
        lessons: Tasks played in judging, so far.
    """

    committed: Plan
    population: tuple[Plan, ...]
    generation: int = 0
    best: Plan | None = None
    value: float = float("-inf")
    lessons: int = 0


@dataclass(frozen=True)
class RollingHorizon:
    """A pure fold: `init`, then `tell` the scores of the ``population`` of each state.

    Attributes:
        tasks: Number of tasks to choose from.
        horizon: Tasks planned ahead.
        population: Sequences judged in a generation, at least 2.
        generations: Generations before the best sequence's first task is committed.
        discount: Weight of the score after a task, by that after the task before it: a late success counts less.
        mutation: Probability that a position of a child gets a task at random.
        seed: Decides all that is drawn.
    """

    name: ClassVar[str] = "rolling_horizon"
    chooses: ClassVar[str] = (
        "The tasks of one student in order, by evolving what comes next and committing to the first of it."
    )
    reference: ClassVar[str] = (
        "RHEA-CL, 2024, arXiv 2408.06068; Perez et al., 2013, Rolling Horizon Evolution versus Tree Search"
    )

    tasks: int
    horizon: int = 3
    population: int = 8
    generations: int = 3
    discount: float = 0.9
    mutation: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in {"tasks": 1, "horizon": 1, "population": 2, "generations": 1}.items():
            if getattr(self, name) < least:
                raise UsageError(f"rolling horizon: {name}: expected at least {least}, got {getattr(self, name)!r}.")
        for name in ("discount", "mutation"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"rolling horizon: {name}: expected 0 to 1, got {getattr(self, name)!r}.")

    def init(self) -> Horizon:
        """Return the state before anything was played."""
        draws = self._draws((), 0)
        return Horizon((), tuple(self._random(draws) for _ in range(self.population)))

    def tell(self, state: Horizon, scores: Sequence[Sequence[float]]) -> Horizon:
        """Return the state after the population was judged. Pure.

        After the last generation, the first task of the best sequence (of all generations since the last commitment) is committed. The
        rest of that sequence goes on into the next population, which is otherwise new.

        Args:
            state: The state whose ``population`` was played.
            scores: float [population, horizon]; the student's score after each task of each sequence. Not finite: a failure, the worst.

        Raises:
            UsageError: Scores of another shape.
        """
        table = np.asarray(scores, np.float64)
        if table.shape != (self.population, self.horizon):
            raise UsageError(
                f"rolling horizon: scores: expected shape [{self.population}, {self.horizon}], got {list(table.shape)}."
            )
        worth = np.where(np.isfinite(table), table, -np.inf) @ self.discount ** np.arange(self.horizon)
        worth = np.where(np.isnan(worth), -np.inf, worth)
        first = int(np.argmax(worth))
        best, value = state.best, state.value
        if best is None or worth[first] > value:
            best, value = state.population[first], float(worth[first])
        told = replace(
            state,
            generation=state.generation + 1,
            best=best,
            value=value,
            lessons=state.lessons + table.size,
        )
        if told.generation < self.generations:
            return replace(told, population=self._children(told, worth))
        committed = (*state.committed, best[0])
        draws = self._draws(committed, 0)
        going_on = (*best[1:], int(draws.integers(self.tasks)))
        others = tuple(self._random(draws) for _ in range(self.population - 1))
        return Horizon(committed, (going_on, *others), lessons=told.lessons)

    def _children(self, state: Horizon, worth: np.ndarray) -> tuple[Plan, ...]:
        """Return the best so far and children of tournaments of two, by uniform crossover and mutation."""
        draws = self._draws(state.committed, state.generation)
        assert state.best is not None
        made = [state.best]
        while len(made) < self.population:
            parents = [max(draws.integers(self.population, size=2), key=worth.__getitem__) for _ in range(2)]
            pair = np.array([state.population[parent] for parent in parents])
            child = pair[draws.integers(2, size=self.horizon), np.arange(self.horizon)]
            changed = draws.random(self.horizon) < self.mutation
            child = np.where(changed, draws.integers(self.tasks, size=self.horizon), child)
            made.append(tuple(int(task) for task in child))
        return tuple(made)

    def _random(self, draws: np.random.Generator) -> Plan:
        return tuple(int(task) for task in draws.integers(self.tasks, size=self.horizon))

    def _draws(self, committed: Plan, generation: int) -> np.random.Generator:
        return generator(derive(self.seed, "rolling horizon", len(committed), generation))
