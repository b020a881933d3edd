"""Any algorithm of evosax (Lange, 2022, *evosax: JAX-based Evolution Strategies*) behind three compiled functions.

evosax is called from here only. Its algorithms differ in their constructors, in their parameters, and in how they begin: the
distribution-based ones from a mean, the population-based ones from a first population with its fitness. All of that is read off
the classes themselves, so a new algorithm of evosax needs nothing here.

Everything runs on the host's CPU, wherever the agents train: the work is small, and a CPU gives the same bits every time.
The learned algorithms (LES, LGA, EvoTF_ES, CMAAnchoredLES) load the weights that evosax ships in its own package; a file of the
user's is never loaded.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from evosax.algorithms import algorithms
from evosax.algorithms.population_based.base import PopulationBasedAlgorithm
from evosax.core.fitness_shaping import (
    centered_rank_fitness_shaping_fn,
    identity_fitness_shaping_fn,
    standardize_fitness_shaping_fn,
)
from numpy.typing import NDArray

from autorl.errors import UnknownNameError, UsageError, suggestion

ALGORITHMS: Mapping[str, type[Any]] = {**{kind.__name__: kind for kind in algorithms.values()}, **algorithms}
"""Every algorithm that the installed evosax offers, under evosax's name for it and under its class's name."""

Points = NDArray[np.float32]
Numbers = tuple[tuple[str, float], ...]


class UnsuitableError(UsageError):
    """An algorithm that cannot have this population size or number of coordinates."""


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """One algorithm for one population size and number of coordinates. It minimises.

    States are evosax's, with numpy arrays for leaves: data, and of exact types, so nothing is traced a second time.

    Attributes:
        name: evosax's name.
        population_size, dimensions: Shape of a population.
        from_population: Whether it begins from an evaluated population (`first`) rather than from a mean (`start`).
        params: evosax's parameters.
        functions: The compiled functions.
    """

    name: str
    population_size: int
    dimensions: int
    from_population: bool
    params: Any
    functions: Mapping[str, Callable[..., Any]]

    def start(self, key: int, mean: Points) -> tuple[Points, Any]:
        """Return the first population [population_size, dimensions] around ``mean`` [dimensions], and the state."""
        return self._run("start", key, mean)

    def first(self, key: int, population: Points, fitness: Points) -> tuple[Points, Any]:
        """Return the second population and the state, from the first population and its fitness [population_size]."""
        return self._run("first", key, population, fitness)

    def advance(self, key: int, population: Points, fitness: Points, state: Any) -> tuple[Points, Any]:
        """Return the next population and state, from the population that ``state`` came with and its fitness."""
        return self._run("advance", key, population, fitness, state)

    def again(self, key: int, state: Any) -> tuple[Points, Any]:
        """Return another population from the same state, without having learned anything."""
        return self._run("again", key, state)

    def _run(self, function: str, key: int, *arguments: Any) -> tuple[Points, Any]:
        bits = np.array([key >> 32, key & 0xFFFFFFFF], np.uint32)
        # evosax mixes types freely: whatever the rest of the program asks of jax, it gets jax's usual promotion
        with jax.default_device(_cpu()), jax.numpy_dtype_promotion("standard"):
            population, state = self.functions[function](bits, *arguments, self.params)
            found = np.asarray(population, np.float32), jax.tree.map(np.asarray, state)
        if found[0].shape != (self.population_size, self.dimensions):
            raise UnsuitableError(
                f"{self.name} makes a population of shape {found[0].shape}, not of {self.population_size}"
            )
        return found


def find(name: str) -> type[Any]:
    """Return evosax's class for ``name``; raise `UsageError` with a suggestion if there is none."""
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    plain = {_plain(known): known for known in ALGORITHMS}
    if isinstance(name, str) and _plain(name) in plain:
        raise UsageError(f"unknown evolution strategy {name!r}. Did you mean {plain[_plain(name)]!r}?")
    raise UnknownNameError("evolution strategy", str(name), ALGORITHMS)


def takes(name: str, argument: str) -> bool:
    """Return whether the algorithm's constructor has ``argument``, such as ``optimizer`` or ``num_generations``."""
    return argument in inspect.signature(find(name)).parameters


@functools.lru_cache(maxsize=64)
def build(
    name: str,
    population_size: int,
    dimensions: int,
    std: float,
    learning_rate: float | None = None,
    generations: int = 1,
    overrides: Numbers = (),
) -> Algorithm:
    """Make an algorithm. Equal arguments give the same object, which is compiled once.

    Args:
        name: A name of `ALGORITHMS`.
        population_size: Members of a generation.
        dimensions: Number of coordinates.
        std: Initial standard deviation, for algorithms that have one.
        learning_rate: Step of the mean, for algorithms with an optimiser; None for the default (see `_optimizer`).
        generations: Generations there will be, for algorithms that plan ahead.
        overrides: Numeric parameters of evosax's constructor or parameters, by name.

    Raises:
        UnsuitableError: The algorithm cannot have this population size or number of coordinates.
        UsageError: Unknown names.
    """
    kind = find(name)
    options = _options(name, kind, dict(overrides))
    arguments = _arguments(kind, dimensions, std, learning_rate, generations) | options
    size = population_size
    if "num_populations" in inspect.signature(kind).parameters:
        groups = arguments.setdefault("num_populations", 2)
        if size % groups or size // groups < 2:
            raise UnsuitableError(f"it needs {groups} populations of equal size, at least 2")
        size //= groups
    with jax.default_device(_cpu()), jax.numpy_dtype_promotion("standard"):
        try:
            strategy = kind(population_size=size, solution=jnp.zeros(dimensions), **arguments)
            params = jax.tree.map(lambda leaf: np.asarray(jnp.asarray(leaf)), strategy.default_params)
        except (AssertionError, ValueError, ZeroDivisionError) as error:
            raise UnsuitableError(str(error) or type(error).__name__) from error
    if any(np.isnan(leaf).any() for leaf in jax.tree.leaves(params)):
        raise UnsuitableError("its parameters are not defined for so small a population")
    given = {key: value for key, value in overrides if key not in options}
    params = params.replace(**_fields(name, params, given, [*arguments], std))
    from_population = isinstance(strategy, PopulationBasedAlgorithm)
    return Algorithm(name, population_size, dimensions, from_population, params, _functions(strategy, std))


def _arguments(
    kind: type[Any], dimensions: int, std: float, learning_rate: float | None, generations: int
) -> dict[str, Any]:
    """Return the constructor's arguments that follow from ours."""
    known = inspect.signature(kind).parameters
    shaping = known["fitness_shaping_fn"].default
    arguments: dict[str, Any] = {}
    if "std_schedule" in known:
        arguments["std_schedule"] = optax.constant_schedule(std)
    if "sampling_fn" in known:
        arguments["sampling_fn"] = lambda key: jax.random.uniform(key, (dimensions,), minval=-0.5, maxval=0.5)
    if "num_generations" in known:
        arguments["num_generations"] = max(2, generations)
    if "optimizer" in known:
        arguments |= _optimizer(known["optimizer"].default, shaping, std, learning_rate)
    if "fitness_mapping" in known:  # an exponential of the fitness: its scale must not depend on the returns'
        arguments["fitness_shaping_fn"] = standardize_fitness_shaping_fn
    return arguments


def _optimizer(default: Any, shaping: Any, std: float, learning_rate: float | None) -> dict[str, Any]:
    """Return the optimiser, and the fitness shaping that makes its steps independent of the scale of the scores.

    Algorithms that recombine by weights (SimpleES, SNES, xNES, DES) have a natural learning rate, evosax's 1. The others estimate a
    gradient of the fitness: they get Adam with half a standard deviation a step, and ranks in place of the fitness.
    """
    if shaping not in (identity_fitness_shaping_fn, centered_rank_fitness_shaping_fn):
        return {"optimizer": default if learning_rate is None else optax.sgd(learning_rate)}
    rate = std / 2 if learning_rate is None else learning_rate
    return {"optimizer": optax.adam(rate), "fitness_shaping_fn": centered_rank_fitness_shaping_fn}


def _options(name: str, kind: type[Any], overrides: Mapping[str, float]) -> dict[str, Any]:
    """Return those of ``overrides`` that are numeric arguments of the constructor, in the types of their defaults."""
    chosen: dict[str, Any] = {}
    for key, parameter in inspect.signature(kind).parameters.items():
        default = 2 if key == "num_populations" else parameter.default
        if key in overrides and isinstance(default, bool | int | float) and key != "num_generations":
            chosen[key] = _as(name, key, np.asarray(default), overrides[key])
    return chosen


def _fields(name: str, params: Any, given: Mapping[str, float], others: list[str], std: float) -> dict[str, Any]:
    """Return the fields of evosax's parameters to replace: the spread it begins with, and those of ``given``."""
    leaves = {field.name: getattr(params, field.name) for field in dataclasses.fields(params)}
    scalars = {key: leaf for key, leaf in leaves.items() if isinstance(leaf, np.ndarray) and leaf.ndim == 0}
    spreads = [key for key in ("std_init", "scale_factor") if key in scalars]
    replaced: dict[str, Any] = {key: np.full_like(scalars.pop(key), std) for key in spreads}
    for key, value in given.items():
        if key not in scalars:
            known = [*scalars, *(other for other in others if other in ("num_populations",))]
            raise UsageError(f"search method 'es': {name} has no parameter {key!r}.{suggestion(key, known)}")
        replaced[key] = np.asarray(_as(name, key, scalars[key], value), scalars[key].dtype)
    return replaced


def _as(name: str, key: str, default: NDArray[Any], value: Any) -> Any:
    """Return ``value`` if it is of the kind of ``default``: a truth value, a count or a number."""
    truth = isinstance(value, bool)
    if default.dtype.kind == "b":
        wanted, fits = "true or false", truth
    elif default.dtype.kind in "iu":
        wanted, fits = "a whole number of at least 1", not truth and isinstance(value, int) and value >= 1
    else:
        wanted, fits = "a finite number", not truth and isinstance(value, int | float) and bool(np.isfinite(value))
    if not fits:
        raise UsageError(f"search method 'es': parameter {key!r} of {name}: expected {wanted}, got {value!r}.")
    return value


def _functions(strategy: Any, std: float) -> dict[str, Callable[..., Any]]:
    """Return the algorithm's compiled functions. Each returns (population, state); randomness is a key's two words of 32 bits."""

    def keys(bits: jax.Array) -> jax.Array:
        # the generator is named, so that the draws do not depend on how the program configured jax
        return jax.random.split(jax.random.wrap_key_data(bits, impl="threefry2x32"), 3)

    def start(bits: jax.Array, mean: jax.Array, params: Any) -> Any:
        spread, begin, ask = keys(bits)
        if hasattr(
            strategy, "num_populations"
        ):  # Stein variational: several means, which must differ to repel each other
            mean = mean + std * jax.random.normal(spread, (strategy.num_populations, mean.size))
        return strategy.ask(ask, strategy.init(begin, mean, params), params)

    def first(bits: jax.Array, population: jax.Array, fitness: jax.Array, params: Any) -> Any:
        _, begin, ask = keys(bits)
        return strategy.ask(ask, strategy.init(begin, population, fitness, params), params)

    def advance(bits: jax.Array, population: jax.Array, fitness: jax.Array, state: Any, params: Any) -> Any:
        _, tell, ask = keys(bits)
        told, _ = strategy.tell(tell, population, fitness, state, params)
        return strategy.ask(ask, told, params)

    def again(bits: jax.Array, state: Any, params: Any) -> Any:
        return strategy.ask(keys(bits)[2], state, params)

    return {function.__name__: jax.jit(function) for function in (start, first, advance, again)}


def _cpu() -> jax.Device:
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError as error:
        raise UsageError(
            f"search method 'es' runs on the CPU, and jax was started without it ({error}). Remedy: JAX_PLATFORMS=cuda,cpu"
        ) from error


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
