"""Settings of the evolution strategy: defaults, what reaches evosax, and one clear error for each that makes no sense."""

from __future__ import annotations

import numpy as np
import pytest

from autorl.errors import UsageError
from autorl.outer.coordinates import CUBE_STD
from autorl.outer.evolution_strategy import EvolutionStrategy
from autorl.outer.protocol import Budget, Result, Status
from autorl.spaces import Float, HyperparameterSpace

CUBE = HyperparameterSpace("cube", {f"x{i}": Float(0.0, 1.0) for i in range(4)})


def score_x0(p):
    return p.candidate["x0"]


def result(proposal, score):
    return Result(proposal, Status.COMPLETED, score)


def points(trials):
    return np.array([list(p.candidate.values()) for p in trials])


@pytest.mark.parametrize(
    ("dimensions", "trainings", "algorithm", "expected"),
    [
        (9, 512, "SNES", 10),  # 4 + floor(3 ln 9)
        (9, 32, "SNES", 8),  # a quarter of the trainings
        (9, 6, "SNES", 4),
        (9, 3, "SNES", 3),
        (5, 512, "SNES", 8),
        (12, 512, "SNES", 11),
        (12, 512, "Open_ES", 12),  # mirrored: even
        (9, 3, "Open_ES", 2),
    ],
)
def test_default_population(dimensions, trainings, algorithm, expected):
    space = HyperparameterSpace("cube", {f"x{i}": Float(0.0, 1.0) for i in range(dimensions)})
    assert EvolutionStrategy(space, Budget(trainings, 1), 0, algorithm=algorithm).population_size == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"population_size": 1}, "'population_size': expected a whole number from 2 to 32, got 1"),
        ({"population_size": 33}, "from 2 to 32, got 33"),
        ({"population_size": 9, "algorithm": "Open_ES"}, r"even.*got 9. Remedy: set it to 10"),
        ({"population_size": 3, "algorithm": "DifferentialEvolution"}, r">= 4.*got 3. Remedy: set it to 4"),
        ({"population_size": 7, "algorithm": "SV_CMA_ES"}, r"2 populations of equal size.*set it to 8"),
        ({"std": 0}, "'std': expected a number above 0, got 0"),
        ({"std": "big"}, "'std'"),
        ({"learning_rate": -1.0, "algorithm": "Open_ES"}, "'learning_rate': expected a number above 0"),
        ({"learning_rate": 0.1, "algorithm": "CMA_ES"}, "'learning_rate': CMA_ES has none"),
        ({"params": 3}, "'params': expected a mapping of names to numbers, got 3"),
        ({"params": {"weights": [1, 2]}}, "'params'"),
        ({"params": {"weights": 1.0}}, "SNES has no parameter 'weights'"),
        ({"params": {"lr_std_int": 1.0}}, r"no parameter 'lr_std_int'. Did you mean 'lr_std_init'\?"),
        ({"params": {"std_init": 1.0}}, "no parameter 'std_init'"),
        ({"params": {"elitism": 1}, "algorithm": "DifferentialEvolution"}, "'elitism'.*expected true or false, got 1"),
        ({"params": {"num_diff": 1.5}, "algorithm": "DifferentialEvolution"}, "'num_diff'.*whole number.*got 1.5"),
        ({"params": {"c_std": float("inf")}, "algorithm": "CMA_ES"}, "'c_std'.*finite number, got inf"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(UsageError, match=message):
        EvolutionStrategy(CUBE, Budget(32, 1000), 0, **settings)


def test_too_few_trainings():
    with pytest.raises(UsageError, match="at least 2 trainings"):
        EvolutionStrategy(CUBE, Budget(1, 1000), 0)
    with pytest.raises(UsageError, match=r"no population of 2 to 3 members.*raise budget.trainings"):
        EvolutionStrategy(CUBE, Budget(3, 1000), 0, algorithm="DifferentialEvolution")


def test_parameters_reach_evosax():
    settings = {
        "algorithm": "DifferentialEvolution",
        "params": {"elitism": False, "crossover_rate": 0.25, "num_diff": 2},
    }
    params = EvolutionStrategy(CUBE, Budget(32, 1000), 0, **settings).algorithm.params
    assert (bool(params.elitism), float(params.crossover_rate)) == (False, 0.25)
    plain = EvolutionStrategy(CUBE, Budget(32, 1000), 0, algorithm="DifferentialEvolution")
    other = EvolutionStrategy(CUBE, Budget(32, 1000), 0, algorithm="DifferentialEvolution", params={"num_diff": 2})
    first = plain.ask(plain.init(), plain.population_size)
    assert other.ask(other.init(), other.population_size) == first  # what it changes is the breeding
    told = [result(p, score_x0(p)) for p in first]
    assert not np.array_equal(plain.tell(plain.init(), told).population, other.tell(other.init(), told).population)


def test_std_and_learning_rate_reach_evosax():
    def spread(**settings):
        method = EvolutionStrategy(CUBE, Budget(64, 1000), 0, population_size=32, **settings)
        return points(method.ask(method.init(), 32)).std()

    for name in ("SNES", "Open_ES", "CMA_ES"):
        assert spread(algorithm=name, std=0.02) == pytest.approx(spread(algorithm=name, std=0.2) / 10, rel=0.15)

    def step(rate):
        method = EvolutionStrategy(
            CUBE, Budget(64, 1000), 0, population_size=8, algorithm="Open_ES", learning_rate=rate
        )
        asked = method.ask(method.init(), 8)
        return np.abs(method.tell(method.init(), [result(p, score_x0(p)) for p in asked]).algorithm.mean).max()

    assert step(0.03) == pytest.approx(0.03, rel=0.01)  # Adam's first step is its learning rate
    assert step(None) == pytest.approx(CUBE_STD / 2, rel=0.01)
