"""Evolution strategies: convergence, any algorithm by name, bounds and arrays, failures, replay, one trace."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import re
import subprocess
import sys

import evosax.algorithms
import jax
import numpy as np
import pytest

from autorl.errors import UnknownNameError, UsageError
from autorl.outer.evolution_strategy import EvolutionStrategy
from autorl.outer.evosax_algorithms import ALGORITHMS, build
from autorl.outer.protocol import Budget, Result, Status
from autorl.spaces import ArraySpace, Bool, Condition, Fixed, Float, HyperparameterSpace, Int, ProductSpace

WIDE = HyperparameterSpace("wide", {f"x{i}": Float(0.0, 1.0) for i in range(8)})
CUBE = HyperparameterSpace("cube", {f"x{i}": Float(0.0, 1.0) for i in range(4)})
MIXED = HyperparameterSpace(
    "mixed",
    {"lr": Float(1e-5, 1e-1, scale="log"), "n": Int(1, 9), "on": Bool(), "more": Float(0.0, 2.0), "width": Fixed(64)},
    {"more": Condition("on", (True,))},
)
ARRAYS = ArraySpace({"w": (2, 3), "b": (3,), "s": ()}, init_scale=0.1)
BOTH = ProductSpace({"hyperparameters": MIXED, "objective": ARRAYS})

QUICK = ["SNES", "CMA_ES", "Open_ES", "SV_Open_ES", "DifferentialEvolution", "DiffusionEvolution"]
"""One of each kind: weights, covariance, gradient, several means, population based, population based with a plan."""
SLOW = sorted(set(evosax.algorithms.algorithms) - set(QUICK))
EVERY = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def quadratic(candidate):
    """Return minus the squared distance to a point off the centre, in units of the cube."""
    return -sum((x - 0.2 - 0.1 * i) ** 2 for i, x in enumerate(candidate.values()))


def result(proposal, score):
    return Result(proposal, Status.CRASHED if score is None else Status.COMPLETED, score)


def run(method, score, *, shuffle=None):
    """Return (proposals, results, last state)."""
    state, trials, told = method.init(), [], []
    while not method.finished(state):
        asked = method.ask(state, method.available(state))
        batch = [result(p, score(p)) for p in asked]
        trials += asked
        told += batch
        if shuffle is None:
            state = method.tell(state, batch)
        else:
            shuffle.shuffle(batch)
            for one in batch:
                state = method.tell(state, [one])
    return trials, told, state


def points(trials):
    return np.array([list(p.candidate.values()) for p in trials])


# --- every algorithm of evosax


@pytest.mark.parametrize("name", EVERY)
def test_every_algorithm_runs_is_deterministic_and_traces_once(name):
    def score(p):
        return None if p.number % 11 == 5 else 300.0 * quadratic(p.candidate)

    method = EvolutionStrategy(CUBE, Budget(50, 1000), 7, algorithm=name, population_size=8)
    trials, told, state = run(method, score)
    assert [p.number for p in trials] == list(range(50))
    assert [p.generation for p in trials] == [n // 8 for n in range(50)]
    assert {p.env_steps for p in trials} == {1000}
    assert not [problem for p in trials for problem in CUBE.validate(p.candidate)]
    assert {p.origin for p in trials} == {"sample", "model"}
    counts = {key: function._cache_size() for key, function in method.algorithm.functions.items()}
    assert counts["advance"] == counts["first" if method.algorithm.from_population else "start"] == 1
    assert max(counts.values()) == 1

    shuffled, _, other = run(method, score, shuffle=random.Random(0))
    assert shuffled == trials
    assert other == state
    rebuilt = method.tell(method.init(), told[:29])
    assert method.ask(rebuilt, 3) == trials[29:32]
    different = EvolutionStrategy(CUBE, Budget(50, 1000), 8, algorithm=name, population_size=8)
    assert not np.array_equal(points(different.ask(different.init(), 8)), points(trials[:8]))


@pytest.mark.parametrize("name", EVERY)
def test_every_algorithm_survives_nothing_but_ties_and_failures(name):
    def score(p):
        return None if p.generation in (0, 3) else 1.0

    method = EvolutionStrategy(CUBE, Budget(48, 1000), 7, algorithm=name, population_size=8)
    trials, _, _ = run(method, score)
    assert len(trials) == 48
    assert np.isfinite(points(trials)).all()


def test_names_are_those_that_evosax_offers():
    assert len(evosax.algorithms.algorithms) == 37
    assert set(ALGORITHMS) >= set(evosax.algorithms.algorithms)
    assert ALGORITHMS["LearnedES"] is ALGORITHMS["LES"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CMA-ES", "unknown evolution strategy 'CMA-ES'. Did you mean 'CMA_ES'?"),
        ("snes", "unknown evolution strategy 'snes'. Did you mean 'SNES'?"),
        ("DiferentialEvolution", "Did you mean 'DifferentialEvolution'?"),
        ("zzz", "Known: ARS, ASEBO"),
        (3, "'algorithm': expected the name of an algorithm, got 3"),
    ],
)
def test_unknown_algorithms(name, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        EvolutionStrategy(CUBE, Budget(50, 1000), 0, algorithm=name)


def test_unknown_algorithm_has_the_type_of_all_unknown_names():
    with pytest.raises(UnknownNameError):
        EvolutionStrategy(CUBE, Budget(50, 1000), 0, algorithm="DiferentialEvolution")


# --- it optimises


@pytest.mark.parametrize(
    "name",
    [
        *("SNES", "CMA_ES", "xNES", "Open_ES", "DifferentialEvolution"),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("Sep_CMA_ES", "SimpleES", "PGPE", "CR_FM_NES", "MA_ES")
        ),
    ],
)
def test_converges_on_a_quadratic(name):
    best = []
    for seed in range(3):
        method = EvolutionStrategy(WIDE, Budget(320, 1000), seed, algorithm=name, population_size=8)
        _, told, _ = run(method, lambda p: quadratic(p.candidate))
        best.append(max(r.score for r in told))
    assert np.median(best) > -0.06


def test_uniform_draws_do_not_converge_so_far():
    rng = np.random.default_rng(0)
    best = [max(quadratic(dict(enumerate(x))) for x in rng.random((320, 8))) for _ in range(20)]
    assert max(best) < -0.06


def test_the_scale_and_sign_of_scores_do_not_matter():
    for name in ("SNES", "Open_ES", "DifferentialEvolution"):
        method = EvolutionStrategy(CUBE, Budget(64, 1000), 1, algorithm=name, population_size=8)
        plain = run(method, lambda p: quadratic(p.candidate))[0]
        scaled = run(method, lambda p: 1024.0 * quadratic(p.candidate))[0]
        assert plain == scaled


def test_an_optimum_on_the_bound_is_found():
    method = EvolutionStrategy(CUBE, Budget(320, 1000), 0, population_size=8)
    trials, told, _ = run(method, lambda p: sum(p.candidate.values()))
    assert max(r.score for r in told) > 3.9
    assert points(trials).max() <= 1.0


def test_huge_and_tiny_scores_stay_finite():
    method = EvolutionStrategy(CUBE, Budget(48, 1000), 1, algorithm="CMA_ES", population_size=8)
    trials, _, _ = run(method, lambda p: (-1.0) ** p.number * 10.0 ** (300 - p.number))
    assert np.isfinite(points(trials)).all()


# --- spaces


def test_mixed_spaces_give_valid_candidates_and_explore_all_dimensions():
    method = EvolutionStrategy(MIXED, Budget(64, 1000), 0)
    trials, _, _ = run(method, lambda p: p.candidate["n"])
    assert not [problem for p in trials for problem in MIXED.validate(p.candidate)]
    assert {p.candidate["width"] for p in trials} == {64}
    assert {p.candidate["on"] for p in trials} == {True, False}
    assert len({p.candidate["n"] for p in trials}) >= 5
    assert np.mean([p.candidate["n"] for p in trials[-8:]]) > np.mean([p.candidate["n"] for p in trials[:8]])


@pytest.mark.parametrize("name", ["SNES", "Open_ES", "SimpleGA"])
def test_arrays_are_searched(name):
    target = {key: np.full(shape, 0.4, np.float32) for key, shape in ARRAYS.shapes.items()}

    def score(p):
        assert not ARRAYS.validate(p.candidate)
        return -float(sum(((p.candidate[key] - target[key]) ** 2).sum() for key in target))

    method = EvolutionStrategy(ARRAYS, Budget(400, 1000), 0, algorithm=name, population_size=20)
    _, told, state = run(method, score)
    assert method.coordinates.size == 10
    assert max(r.score for r in told) > 0.3 * max(r.score for r in told[:20])
    assert state == run(method, score)[2]


def test_products_of_cube_and_arrays():
    method = EvolutionStrategy(BOTH, Budget(64, 1000), 0)
    assert method.coordinates.size == 4 + 10

    trials, _, _ = run(method, lambda p: float(p.candidate["objective"]["w"].sum()))
    assert not [problem for p in trials for problem in BOTH.validate(p.candidate)]
    sums = [float(p.candidate["objective"]["w"].sum()) for p in trials]
    assert np.mean(sums[-8:]) > np.mean(sums[:8])


# --- failures


def test_a_failure_ranks_behind_everything_that_ever_completed():
    seen = []
    method = EvolutionStrategy(CUBE, Budget(24, 1000), 0, algorithm="DifferentialEvolution", population_size=8)
    real = method.algorithm

    def spy(name):
        def call(bits, population, fitness, *rest):
            seen.append(np.array(fitness))
            return real.functions[name](bits, population, fitness, *rest)

        return call

    method.algorithm = dataclasses.replace(
        real, functions={**real.functions, "first": spy("first"), "advance": spy("advance")}
    )
    # generation 0 scores -1000 to -300, generation 1 about -1: its failures must still be worse than -1000
    run(method, lambda p: None if p.number % 8 == 2 else -1000.0 + 100 * p.number if p.generation == 0 else -1.0)
    assert len(seen) == 2
    assert (np.delete(seen[0], 2) < seen[0][2]).all()
    assert seen[1][2] > 1000.0
    assert np.isfinite(seen).all()


def test_a_generation_without_any_result_teaches_nothing():
    method = EvolutionStrategy(CUBE, Budget(24, 1000), 0, population_size=8)
    first = method.init()
    state = method.tell(first, [result(p, None) for p in method.ask(first, 8)])
    assert not np.array_equal(state.population, first.population)
    for name in ("mean", "std"):
        np.testing.assert_array_equal(getattr(state.algorithm, name), getattr(first.algorithm, name))
    assert state.best is None


@pytest.mark.parametrize("name", ["SNES", "DifferentialEvolution"])
def test_an_overflow_restarts_from_the_best(name):
    method = EvolutionStrategy(CUBE, Budget(48, 1000), 0, algorithm=name, population_size=8)
    real = method.algorithm

    def broken(bits, population, fitness, state, params):
        return np.full_like(population, np.nan), state

    method.algorithm = dataclasses.replace(real, functions={**real.functions, "advance": broken})
    trials, told, state = run(method, lambda p: quadratic(p.candidate))
    origins = {p.generation: p.origin for p in trials}
    restarted = 1 if name == "SNES" else 2
    assert origins[restarted] == "restart"
    assert np.isfinite(points(trials)).all()
    best = max(told, key=lambda r: r.score).proposal.candidate
    assert method.coordinates.decode(state.best) == best


# --- a pure fold, the same everywhere


def test_replaying_what_was_told_rebuilds_the_state():
    method = EvolutionStrategy(MIXED, Budget(21, 1000), 5, population_size=6)
    state, told = method.init(), []
    while not method.finished(state):
        proposal = method.ask(state, 1)[0]
        told.append(result(proposal, None if proposal.number == 7 else float(proposal.candidate["n"])))
        before = state
        state = method.tell(state, [told[-1]])
        assert state != before
        rebuilt = method.tell(method.init(), told)
        assert rebuilt == state
        assert method.available(rebuilt) == method.available(state)
    assert len(told) == 21  # the last generation was cut


def test_asking_waits_for_the_generation_and_respects_pending():
    method = EvolutionStrategy(CUBE, Budget(10, 1000), 5, population_size=6)
    state = method.init()
    assert method.available(state) == 6
    first = method.ask(state, 4)
    assert first == method.ask(state, 4)
    rest = method.ask(state, 2, first)
    assert [p.number for p in rest] == [4, 5]
    assert method.available(state, [*first, *rest]) == 0
    assert not method.finished(state, [*first, *rest])
    with pytest.raises(ValueError, match="between 0 and 2"):
        method.ask(state, 3, first)
    state = method.tell(state, [result(p, 0.0) for p in first])
    assert method.ask(state, 2) == rest  # a pending trial that was lost is asked for again
    state = method.tell(state, [result(p, 0.0) for p in rest])
    last = method.ask(state, method.available(state))
    assert [p.number for p in last] == [6, 7, 8, 9]
    assert method.finished(state, last)
    assert not method.finished(state, last[1:])
    with pytest.raises(ValueError, match="trial 0 was told before"):
        method.tell(state, [result(first[0], 0.0)])


def digest(name):
    method = EvolutionStrategy(BOTH, Budget(48, 1000), 3, algorithm=name, population_size=8)
    trials, _, _ = run(
        method, lambda p: p.candidate["hyperparameters"]["n"] + float(p.candidate["objective"]["w"].sum())
    )
    return hashlib.sha256("".join(BOTH.fingerprint(p.candidate) for p in trials).encode()).hexdigest()


@pytest.mark.bits
def test_bits_are_the_same_in_another_process_with_more_devices():
    path = [os.path.dirname(__file__), *sys.path]
    code = f"import sys; sys.path[:] = {path!r}; import test_evolution_strategy as t; print(t.digest('CMA_ES'))"
    flags = re.sub(r"(--xla_force_host_platform_device_count)=\d+", r"\1=2", os.environ["XLA_FLAGS"])
    assert flags != os.environ["XLA_FLAGS"]
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONHASHSEED": "5"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest("CMA_ES")


def test_strict_promotion_elsewhere_does_not_reach_evosax():
    build.cache_clear()
    with jax.numpy_dtype_promotion("strict"):
        strict = digest("SimpleES")
        with pytest.raises(ValueError, match="promotion"):  # evosax alone would not survive it
            evosax.algorithms.SimpleES(population_size=8, solution=np.zeros(3, np.float32)).default_params  # noqa: B018
    assert strict == digest("SimpleES")


def test_equal_algorithms_are_compiled_once():
    one = EvolutionStrategy(CUBE, Budget(50, 1000), 0, population_size=8)
    two = EvolutionStrategy(CUBE, Budget(50, 1000), 1, population_size=8)
    assert one.algorithm is two.algorithm


def test_it_begins_with_given_candidates_and_refuses_more_than_it_has_members():
    method = EvolutionStrategy(BOTH, Budget(12, 1000), 3, algorithm="CMA_ES", population_size=4)
    given = [BOTH.sample(100 + i) for i in range(5)]
    begun = method.starting_with(given[:2])
    asked = begun.ask(begun.init(), 4)
    assert [p.origin for p in asked] == ["start", "start", "sample", "sample"]
    assert [BOTH.fingerprint(p.candidate) for p in asked[:2]] == [BOTH.fingerprint(one) for one in given[:2]]
    assert [BOTH.fingerprint(p.candidate) for p in asked[2:]] == [
        BOTH.fingerprint(p.candidate) for p in method.ask(method.init(), 4)[2:]
    ]
    with pytest.raises(UsageError, match="as its population has members, 4, got 5"):
        method.starting_with(given)
