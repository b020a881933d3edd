"""The registry of search methods, and the one place that makes them: names, settings and spaces are checked here."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from autorl.errors import IncompatibleError, UnknownNameError, UsageError
from autorl.outer.full_trainings import FullTrainings
from autorl.outer.priors import Prior
from autorl.outer.protocol import Budget, Candidate, SearchMethod
from autorl.outer.settings import check_names
from autorl.registry import Registry, load_attribute
from autorl.spaces import Space


class SearchMethods(Registry[type[SearchMethod[Any]]]):
    """Search methods by name; a user's own as ``module:attribute``, which the names do not list."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and ":" in name)

    def load(self, name: str) -> type[SearchMethod[Any]]:
        """Import and return the method called ``name``.

        Raises:
            UnknownNameError: Neither a name nor ``module:attribute``; the message suggests a name.
            UsageError: What is there is no `SearchMethod`.
        """
        if ":" not in name:
            return super().load(name)
        found = load_attribute(name)
        if not (isinstance(found, type) and issubclass(found, SearchMethod)):
            raise UsageError(
                f"search method {name!r}: {found!r} is no search method. Remedy: a subclass of autorl.outer.protocol.SearchMethod."
            )
        return found


METHODS = SearchMethods(
    "search method",
    {
        "random": "autorl.outer.random_search:RandomSearch",
        "sobol": "autorl.outer.sobol:Sobol",
        "tpe": "autorl.outer.bayesian_tpe:TPE",
        "gp": "autorl.outer.bayesian_gp:GaussianProcess",
        "de": "autorl.outer.differential_evolution:DifferentialEvolution",
        "es": "autorl.outer.evolution_strategy:EvolutionStrategy",
        "evolution": "autorl.outer.regularized_evolution:RegularizedEvolution",
        "pbt": "autorl.outer.population_based:PopulationBasedTraining",
    },
)

NUMERIC = frozenset({"float", "int"})
"""Features of spaces whose dimensions are all numbers."""
MANY_DIMENSIONS = 30
"""Dimensions up to which ``auto`` prefers a Gaussian process: distances say little in more."""
GP_LIMIT = 250
"""Trainings up to which ``auto`` prefers a Gaussian process (its cost grows with the cube of the trials)."""


class PriorError(IncompatibleError):
    """A prior does not fit the method or the space."""


def make_method(
    name: str,
    space: Space,
    budget: Budget,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    starts: Sequence[Candidate] = (),
    prior: Prior | None = None,
) -> SearchMethod[Any]:
    """Make the search method called ``name`` (or the one that ``auto`` stands for).

    Args:
        name: A name of `METHODS`, ``module:attribute`` of a user's own, or ``auto`` (see `resolve_auto`).
        space: What may be proposed.
        budget: Work granted to the search.
        seed: The study's seed for the search.
        settings: Settings of the method, by name; those left out take the method's defaults.
        starts: Candidates to propose first.
        prior: Draws the candidates that would be drawn at random.

    Raises:
        UnknownNameError: No such method.
        IncompatibleError: The method cannot search the space; the message says why and which methods can.
        UsageError: An unknown setting, a setting's value that makes no sense, or a space with nothing to search.
        MissingDependencyError: The method needs an optional package that is not installed.
    """
    if name != "auto" and name not in METHODS:
        raise UnknownNameError("search method", name, [*METHODS, "auto"])
    if not space.features():
        raise UsageError(
            f"search space {space.name!r}: nothing to search, every dimension is fixed. Remedy: give one a range or choices."
        )
    chosen = resolve_auto(space, budget) if name == "auto" else name
    method = METHODS.load(chosen)
    missing = space.features() - method.searches
    if missing:
        raise IncompatibleError(
            f"search method {chosen!r} cannot search space {space.name!r}: it has {', '.join(sorted(missing))} dimensions. "
            f"Methods that can: {', '.join(fitting(space)) or 'none'}."
        )
    given = dict(settings or {})
    check_names(f"search method {chosen!r}", given, method_settings(chosen))
    make: Any = method
    made: SearchMethod[Any] = make(space, budget, seed, **given)
    if prior is not None:
        made = _guided(made, space, prior)
    if not starts:
        return made
    begin = getattr(made, "starting_with", None)
    if begin is None:
        able = [n for n in fitting(space) if can_start(n)]
        raise IncompatibleError(
            f"search method {chosen!r} cannot begin with given candidates. "
            f"Methods that can: {', '.join(able) or 'none'}."
        )
    begun: SearchMethod[Any] = begin(starts)
    return begun


def can_start(name: str) -> bool:
    """Return whether the method called ``name`` can begin with given candidates."""
    return hasattr(METHODS.load(name), "starting_with")


def draws(name: str) -> bool:
    """Return whether the method called ``name`` draws candidates at random, at least the first ones: a prior can draw them instead."""
    method = METHODS.load(name)
    return issubclass(method, FullTrainings) and method.draws


def _guided(method: SearchMethod[Any], space: Space, prior: Prior) -> SearchMethod[Any]:
    """Return ``method`` drawing by ``prior``; raise `PriorError` if it draws nothing, or the prior knows nothing of the space."""
    if not isinstance(method, FullTrainings) or not method.draws:
        able = [name for name in fitting(space) if draws(name)]
        raise PriorError(
            f"search method {method.name!r} draws nothing that a prior could draw instead. Methods that do: {', '.join(able) or 'none'}."
        )
    if not prior.shared(space):
        raise PriorError(
            f"prior {prior.name!r} knows {', '.join(prior.rulers)}, and nothing of what space {space.name!r} searches. "
            "Remedy: another prior, or none."
        )
    return method.guided_by(prior)


def resolve_auto(space: Space, budget: Budget, *, cut: bool = False, candidates: bool = False) -> str:
    """Return the method that ``auto`` stands for.

    Spaces with loss graphs: ``evolution``. Spaces with arrays: ``es``, or ``random`` where they have nominal dimensions too. Purely
    numeric spaces: ``gp`` where torch is installed, but ``es`` for more than `GP_LIMIT` trainings or `MANY_DIMENSIONS`; see the arguments.
    Everything else (conditional, nominal or ordinal dimensions, no torch): ``tpe``.

    This is the rule of Optuna's AutoSampler (Preferred Networks, 2024) without its CMA-ES. On ARLBench's records (Becktepe et al.,
    2024) model-based search ranks first over 42 tasks, before random search and population-based training, which is
    therefore never chosen unasked.

    Args:
        space: What may be proposed.
        budget: Work granted to the search.
        cut: Whether trainings are cut. Then the many trials of a numeric space are ``tpe``'s, which begins with drawn candidates: a
            prior's, where there is one. On ARLBench's landscapes nothing was better than those (`autorl.outer.auto`), ``es`` takes none.
        candidates: Whether the search is to begin with given candidates or a prior's, or has settings that ``es`` has not. Then ``es`` is
            not chosen where another method can do it.
    """
    features = space.features()
    if "graph" in features:
        return "evolution"
    if "arrays" in features:
        return "es" if features <= METHODS.load("es").searches else "random"
    if not features <= NUMERIC:
        return "tpe"
    many = budget.trainings > GP_LIMIT
    if not candidates and (space.unit_dimension > MANY_DIMENSIONS or (many and not cut)):
        return "es"
    if many:
        return "tpe"
    return "tpe" if importlib.util.find_spec("torch") is None else "gp"


def fitting(space: Space) -> list[str]:
    """Return the names of the methods that can search ``space``."""
    return [name for name in METHODS if space.features() <= METHODS.load(name).searches]


def method_settings(name: str) -> dict[str, Any]:
    """Return the settings of the method called ``name`` with their defaults."""
    parameters = inspect.signature(METHODS.load(name)).parameters
    return {key: p.default for key, p in parameters.items() if key not in ("space", "budget", "seed")}
