"""What an engine does with a search method, without agents: ask, score, tell, until the budget is spent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from autorl.outer.methods import make_method
from autorl.outer.protocol import Budget, Candidate, Proposal, Result, SearchMethod, Status
from autorl.spaces import (
    ArraySpace,
    Bool,
    Categorical,
    Condition,
    Fixed,
    Float,
    HyperparameterSpace,
    Int,
    ProductSpace,
    Space,
)

Score = Callable[[Proposal], float | None]
"""Score of a proposal, None for a failure."""

CONTINUOUS = HyperparameterSpace("continuous", {"x": Float(-2, 2), "y": Float(1e-4, 1, "log"), "z": Float(0, 1)})
ORDERED = HyperparameterSpace(
    "ordered",
    {"x": Float(0, 1), "n": Int(1, 50, log=True), "c": Categorical((1, 2, 4)), "b": Bool(), "f": Fixed("fixed")},
)
CONDITIONAL = HyperparameterSpace(
    "conditional",
    {"deep": Float(0, 1), "n": Int(1, 9), "b": Bool(), "kind": Categorical(("p", "q", "r")), "x": Float(0, 1)},
    {"n": Condition("b", (True,)), "deep": Condition("n", (1, 2, 3, 4, 5))},
)
SPACES: dict[str, Space] = {
    "continuous": CONTINUOUS,
    "ordered": ORDERED,
    "conditional": CONDITIONAL,
    "arrays": ArraySpace({"w": (2, 2), "b": ()}),
    "product": ProductSpace({"one": CONTINUOUS, "two": ORDERED}),
    "everything": ProductSpace({"hyperparameters": CONDITIONAL, "objective": ArraySpace({"w": (3,)})}),
}
BUDGET = Budget(trainings=13, env_steps=70)
QUICK_BUDGET = Budget(trainings=7, env_steps=70)
SLOW = {"gp"}
"""Methods that think for a second a trial: their budget is `QUICK_BUDGET`."""
SETTINGS: dict[str, dict[str, Any]] = {
    # small enough that the models speak within the budget; a method that is not listed runs with its defaults
    "tpe": {"n_startup_trials": 4, "batch": 3},
    "gp": {"n_startup_trials": 3, "batch": 2},
    "de": {"population_size": 4, "batch": 3},
    "es": {"population_size": 4},
    "evolution": {"population_size": 4, "tournament": 2, "batch": 3},
    "pbt": {"population_size": 4, "intervals": 3},
}


def make(name: str, space: Space, seed: int = 0) -> SearchMethod[Any]:
    """Return a method with the settings and the budget of these tests."""
    return make_method(name, space, QUICK_BUDGET if name in SLOW else BUDGET, seed, SETTINGS.get(name, {}))


def score(proposal: Proposal) -> float:
    """A score that depends on every bit of the candidate."""
    numbers = [float(v) for v in _leaves(proposal.candidate)]
    return -sum((x - 0.3) ** 2 / (1 + abs(x)) for x in numbers)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [leaf for key in sorted(value) for leaf in _leaves(value[key])]
    if isinstance(value, np.ndarray):
        return value.ravel().tolist()
    return [len(value) if isinstance(value, str) else value]


def result(proposal: Proposal, value: float | None) -> Result:
    """Return the result of ``proposal``: completed, or crashed if ``value`` is None."""
    return Result(proposal, Status.CRASHED if value is None else Status.COMPLETED, value)


def steps(method: SearchMethod[Any], score: Score = score) -> list[tuple[Any, list[Result]]]:
    """Run whole batches to the end; return each batch with the state that it was asked from."""
    state, made = method.init(), []
    while not method.finished(state):
        count = method.available(state)
        assert count > 0, "neither finished nor anything to ask for"
        batch = [result(p, score(p)) for p in method.ask(state, count)]
        made.append((state, batch))
        state = method.tell(state, batch)
    assert method.available(state) == 0
    return made


@cache
def reference(name: str, space: str) -> tuple[SearchMethod[Any], list[tuple[Any, list[Result]]]]:
    """Return a method and its whole run on a space of `SPACES`, made once for all tests."""
    method = make(name, SPACES[space])
    return method, steps(method)


def proposals(made: Sequence[tuple[Any, list[Result]]]) -> list[Proposal]:
    """Return all proposals of a run, in the order of asking."""
    return [r.proposal for _, batch in made for r in batch]


def plain(space: Space, asked: Sequence[Proposal]) -> str:
    """Return everything that proposals say, comparable bit for bit."""
    rows = [(p.number, space.to_json(p.candidate), p.env_steps, p.parent, p.generation, p.origin) for p in asked]
    return json.dumps(rows)


def quadratic(candidate: Candidate) -> float:
    """A smooth bowl over `CONTINUOUS`, in its unit cube, best 0."""
    return -float(np.sum((CONTINUOUS.to_unit(candidate) - np.array([0.31, 0.62, 0.77])) ** 2))
