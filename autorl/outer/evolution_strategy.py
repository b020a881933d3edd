"""Evolution strategies: a population drawn from a distribution (or bred from its parents) that follows the scores.

Any algorithm of evosax by name (Lange, 2022, *evosax: JAX-based Evolution Strategies*). The default is SNES (Wierstra et al., 2014,
*Natural Evolution Strategies*): it adapts one spread for each coordinate at linear cost, so it serves nine hyperparameters and
ten thousand weights alike. Over noisy nine-dimensional test functions it ended nearest to the optimum, on average, of
the twelve algorithms tried with 64 evaluations, and second to CMA-ES with 32.

It searches the unit cube, named arrays, and products of both; how a point becomes a candidate, and what happens at the
bounds, stands in `autorl.outer.coordinates`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import jax
import numpy as np
from numpy.typing import NDArray

from autorl.errors import UsageError
from autorl.keys import derive
from autorl.outer.coordinates import Coordinates
from autorl.outer.evosax_algorithms import Algorithm, UnsuitableError, build, find, takes
from autorl.outer.protocol import Budget, Candidate, Proposal, Result, SearchMethod, Status, finite_scores
from autorl.outer.settings import number, whole_number, wrong_setting
from autorl.spaces import Space

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class EvolutionState:
    """State of an evolution strategy after some results. Compares by value.

    Attributes:
        generation: Generation being evaluated, from 0.
        population: Its points, float32 [population_size, coordinates].
        origin: How it was made: ``sample`` (the first), ``model``, or ``restart``.
        algorithm: evosax's state, numpy leaves; None while a population-based algorithm has no evaluated population yet.
        told: Results of this generation so far, by number, candidates left out.
        extremes: The worst and the best completed result of all earlier generations; empty if there was none.
        best: Coordinates of the best one.
    """

    generation: int
    population: NDArray[np.float32]
    origin: str
    algorithm: Any | None
    told: tuple[Result, ...] = ()
    extremes: tuple[Result, ...] = ()
    best: NDArray[np.float32] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EvolutionState):
            return NotImplemented
        ours, theirs = (_leaves(state) for state in (self, other))
        return ours[1] == theirs[1] and all(_same(a, b) for a, b in zip(ours[0], theirs[0], strict=True))

    __hash__ = None  # type: ignore[assignment]


class EvolutionStrategy(SearchMethod[EvolutionState]):
    """Ask, evaluate and tell whole generations of an evosax algorithm.

    Trial ``n`` is member ``n % population_size`` of generation ``n // population_size``; a generation is asked for once the one
    before is told. If the budget is no multiple of the population, the last generation is cut.

    Scores are maximised. Failed trials count as worse than everything that completed in any generation so far. A generation in
    which nothing completed teaches nothing: another is drawn from the same distribution. An algorithm whose numbers overflow
    begins anew around the best point so far; the first trials after that have the origin ``restart``.
    """

    name: ClassVar[str] = "es"
    reference: ClassVar[str] = (
        "Lange, 2022, evosax: JAX-based Evolution Strategies; by default SNES (Wierstra et al., 2014, Natural Evolution Strategies)"
    )
    searches: ClassVar[frozenset[str]] = frozenset({"float", "int", "ordinal", "conditional", "arrays"})
    replays: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        algorithm: str = "SNES",
        population_size: int | None = None,
        std: float | None = None,
        learning_rate: float | None = None,
        params: Mapping[str, float] | None = None,
    ) -> None:
        """Prepare a search.

        Args:
            space: What may be proposed.
            budget: Work granted to the search.
            seed: The study's seed for the search.
            algorithm: evosax's name of an algorithm, such as ``SNES``, ``CMA_ES``, ``Open_ES``, ``DifferentialEvolution``.
            population_size: Members of a generation; None for ``4 + 3 ln(coordinates)`` (Hansen, 2016), at most a quarter of the
                trainings but at least 4, and then the nearest size that the algorithm can have.
            std: Standard deviation to begin with, in units of the range of a dimension (None: 0.2); for spaces of arrays only, of an
                entry (None: the space's ``init_scale``).
            learning_rate: Step of the mean in the same units, for algorithms with a gradient optimiser (None: half of ``std``, with Adam)
                or a natural gradient (None: 1).
            params: Numeric parameters of the algorithm, by evosax's names, that replace its defaults.

        Raises:
            UsageError: Unknown names, settings out of range, or sizes that the algorithm cannot have.
        """
        if not isinstance(algorithm, str):
            raise wrong_setting(self.name, "algorithm", algorithm, "the name of an algorithm")
        find(algorithm)
        if budget.trainings < 2:
            raise UsageError("search method 'es' needs at least 2 trainings. Remedy: raise budget.trainings.")
        if std is not None:
            std = number(self.name, "std", std, 0.0, above=True)
        if learning_rate is not None:
            learning_rate = number(self.name, "learning_rate", learning_rate, 0.0, above=True)
            if not takes(algorithm, "optimizer"):
                raise UsageError(
                    f"search method 'es': setting 'learning_rate': {algorithm} has none. Remedy: leave it out, or choose an "
                    "algorithm with an optimiser, such as Open_ES."
                )
        params = {} if params is None else params
        numbers = isinstance(params, Mapping) and all(isinstance(value, int | float) for value in params.values())
        if not numbers:
            raise wrong_setting(self.name, "params", params, "a mapping of names to numbers")
        self.space = space
        self.budget = budget
        self.seed = seed
        self.starts: tuple[Candidate, ...] = ()
        self.coordinates = Coordinates(space, derive(seed, "es"), std)
        if self.coordinates.size == 0:
            raise UsageError("search method 'es': the search space has nothing to search.")
        self._overrides = tuple(sorted(params.items()))
        self._learning_rate = learning_rate
        self._name = algorithm
        self.algorithm = self._sized(population_size)
        self.population_size = self.algorithm.population_size

    def starting_with(self, starts: Sequence[Candidate]) -> Self:
        """Return this method with ``starts`` as the first members of its first generation; it learns from them as from its own.

        Raises:
            UsageError: There are more than members.
        """
        if len(starts) > self.population_size:
            raise UsageError(
                f"search method 'es' can begin with at most as many candidates as its population has members, {self.population_size}, "
                f"got {len(starts)}. Remedy: fewer of them, or a larger population_size."
            )
        made = copy.copy(self)
        made.starts = tuple(starts)
        return made

    @property
    def form(self) -> Any:
        """The algorithm and all that shapes its populations, some of which the budget may decide."""
        ahead = self._generations(self.population_size)
        return self._name, self.population_size, self.coordinates.std, self._learning_rate, ahead, self._overrides

    def _generations(self, size: int) -> int:
        # only those that plan ahead are told: the others are then one program for all budgets
        return math.ceil(self.budget.trainings / size) if takes(self._name, "num_generations") else 1

    def _build(self, size: int) -> Algorithm:
        return build(
            self._name,
            size,
            self.coordinates.size,
            self.coordinates.std,
            self._learning_rate,
            self._generations(size),
            self._overrides,
        )

    def _sized(self, size: int | None) -> Algorithm:
        """Return the algorithm with ``size`` members, or with the fitting size that is nearest to the default."""
        trainings = self.budget.trainings
        if size is not None:
            size = whole_number(self.name, "population_size", size, 2, trainings)
            try:
                return self._build(size)
            except UnsuitableError as error:
                near = self._nearest(size)
                wrong = wrong_setting(
                    self.name, "population_size", size, f"a size that {self._name} can have ({error})"
                )
                remedy = f"set it to {near.population_size}" if near else "choose another algorithm"
                raise UsageError(f"{wrong} Remedy: {remedy}.") from error
        default = 4 + int(3 * math.log(self.coordinates.size))
        found = self._nearest(min(default, max(4, trainings // 4), trainings))
        if found is None:
            raise UsageError(
                f"search method 'es': {self._name} has no population of 2 to {trainings} members that it can work with here. "
                "Remedy: raise budget.trainings, or choose another algorithm."
            )
        return found

    def _nearest(self, size: int) -> Algorithm | None:
        reach = sorted(
            range(max(2, size - 8), min(self.budget.trainings, size + 8) + 1), key=lambda n: (abs(n - size), -n)
        )
        for other in reach:
            try:
                return self._build(other)
            except UnsuitableError:
                continue
        return None

    def init(self) -> EvolutionState:
        """Return the state before any result, with generation 0 drawn."""
        population, algorithm = self._begin(0, np.zeros(self.coordinates.size, np.float32))
        if self.starts:
            given = [self.coordinates.encode(start) for start in self.starts]
            population = np.concatenate([np.stack(given), population[len(given) :]])
        return EvolutionState(0, population, "sample", algorithm)

    def available(self, state: EvolutionState, pending: Sequence[Proposal] = ()) -> int:
        """Return how many members of the current generation are neither told nor pending."""
        return len(self._free(state, pending))

    def ask(self, state: EvolutionState, count: int, pending: Sequence[Proposal] = ()) -> list[Proposal]:
        """Return the next ``count`` members of the current generation."""
        free = self._free(state, pending)
        if not 0 <= count <= len(free):
            raise ValueError(f"count must be between 0 and {len(free)}, got {count}")
        first, begun = state.generation * self.population_size, len(self.starts)
        return [
            Proposal(
                number=n,
                candidate=self.starts[n] if n < begun else self.coordinates.decode(state.population[n - first]),
                env_steps=self.budget.env_steps,
                generation=state.generation,
                origin="start" if n < begun else state.origin,
            )
            for n in free[:count]
        ]

    def tell(self, state: EvolutionState, results: Sequence[Result]) -> EvolutionState:
        """Return the state after ``results``; a generation's last result makes the next generation.

        A result counts for the candidate that was trained: where earlier results are told with other scores than when it was asked for (as
        under a budget policy that finds another place to compare trials at), the generation drawn from them has others in its place.
        """
        told = {result.proposal.number: result for result in state.told}
        for result in sorted(results, key=lambda result: result.proposal.number):
            position = result.proposal.number
            if position in told or position not in self._numbers(state):
                raise ValueError(f"trial {position} was told before or never asked for")
            state = self._as_trained(state, result.proposal)
            told[position] = replace(result, proposal=replace(result.proposal, candidate={}))
            if len(told) == self.population_size:
                state = self._next(replace(state, told=_ordered(told)))
                told = {}
        return replace(state, told=_ordered(told))

    def _as_trained(self, state: EvolutionState, proposal: Proposal) -> EvolutionState:
        """Return the state with a proposal's own candidate in its place of the population."""
        place = proposal.number - state.generation * self.population_size
        trained = self.coordinates.encode(proposal.candidate)
        if np.array_equal(trained, self.coordinates.encode(self.coordinates.decode(state.population[place]))):
            return state
        population = state.population.copy()
        population[place] = trained
        return replace(state, population=population)

    def finished(self, state: EvolutionState, pending: Sequence[Proposal] = ()) -> bool:
        """Return whether all trainings of the budget were asked for."""
        last = (state.generation + 1) * self.population_size >= self.budget.trainings
        return last and not self._free(state, pending)

    def _numbers(self, state: EvolutionState) -> range:
        """Return the numbers of the current generation's trials."""
        first = state.generation * self.population_size
        return range(first, min(first + self.population_size, self.budget.trainings))

    def _free(self, state: EvolutionState, pending: Sequence[Proposal]) -> list[int]:
        taken = {result.proposal.number for result in state.told} | {proposal.number for proposal in pending}
        return [n for n in self._numbers(state) if n not in taken]

    def _begin(self, generation: int, mean: NDArray[np.float32]) -> tuple[NDArray[np.float32], Any | None]:
        """Return a population that owes nothing to earlier ones (but its mean), and evosax's state if it has one already."""
        key = derive(self.seed, "es", generation, "begin")
        if self.algorithm.from_population:
            return self.coordinates.spread(key, self.population_size), None
        return self.algorithm.start(key, mean)

    def _next(self, state: EvolutionState) -> EvolutionState:
        """Return the state with the next generation drawn, all of the current one being told."""
        generation = state.generation + 1
        learned = self._remember(state)
        if generation * self.population_size >= self.budget.trainings:
            return replace(learned, generation=generation)
        population, algorithm = self._draw(state, generation)
        origin = state.origin if algorithm is None else "model"
        if not np.isfinite(population).all():
            mean = np.zeros(self.coordinates.size, np.float32) if learned.best is None else learned.best
            origin = "restart"
            population, algorithm = self._begin(generation, mean)
        return replace(learned, generation=generation, population=population, origin=origin, algorithm=algorithm)

    def _draw(self, state: EvolutionState, generation: int) -> tuple[NDArray[np.float32], Any | None]:
        """Return the next population and evosax's state, having told it the generation's results if they teach anything."""
        key = derive(self.seed, "es", generation)
        if all(result.status is not Status.COMPLETED for result in state.told):
            if state.algorithm is None:
                return self._begin(generation, np.zeros(self.coordinates.size, np.float32))
            return self.algorithm.again(key, state.algorithm)
        # the extremes of earlier generations go along, so that a failure ranks behind what completed then, too
        scores = finite_scores([*state.extremes, *state.told])[len(state.extremes) :]
        fitness = -np.clip(np.asarray(scores, np.float64), -_LARGEST, _LARGEST).astype(np.float32)
        if state.algorithm is None:
            return self.algorithm.first(key, state.population, fitness)
        return self.algorithm.advance(key, state.population, fitness, state.algorithm)

    def _remember(self, state: EvolutionState) -> EvolutionState:
        """Return ``state`` with the extremes of all its results, the generation's results put away."""
        completed = [*state.extremes, *(r for r in state.told if r.status is Status.COMPLETED)]
        if not completed:
            return replace(state, told=())
        worst, best = min(completed, key=_score), max(completed, key=_score)
        if best in state.extremes:
            return replace(state, told=(), extremes=(worst, best))
        point = state.population[best.proposal.number - state.generation * self.population_size]
        return replace(state, told=(), extremes=(worst, best), best=point)


def _ordered(told: Mapping[int, Result]) -> tuple[Result, ...]:
    return tuple(told[position] for position in sorted(told))


def _score(result: Result) -> float:
    assert result.score is not None
    return result.score


def _leaves(state: EvolutionState) -> tuple[list[Any], Any]:
    leaves, structure = jax.tree.flatten(tuple(getattr(state, field.name) for field in fields(state)))
    return leaves, structure


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()  # bit for bit, NaN included
    return bool(a == b)
