from __future__ import annotations

import copy
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_driver import (
    CONDITIONAL,
    CONTINUOUS,
    ORDERED,
    SPACES,
    make,
    plain,
    proposals,
    quadratic,
    result,
    score,
    steps,
)

from autorl.errors import MissingDependencyError
from autorl.keys import generator
from autorl.outer.bayesian import OptunaModel
from autorl.outer.bayesian_gp import GaussianProcess
from autorl.outer.full_trainings import History, random_candidate
from autorl.outer.methods import make_method
from autorl.outer.protocol import Budget, Proposal
from autorl.spaces import Categorical, Float, HyperparameterSpace, Int

MODELS = pytest.mark.parametrize("name", ["tpe", "gp"])


@given(st.sampled_from(["ordered", "conditional", "product"]), st.integers(0, 10**6), st.booleans())
def test_candidates_survive_the_translation(space: str, key: int, flat: bool) -> None:
    """What Optuna is shown of a candidate is enough to make the candidate again."""
    model = OptunaModel(SPACES[space], 0, "test", impute=flat, relax=16 if flat else None)
    candidate = SPACES[space].sample(key)
    row = model.row(candidate)
    assert row.parameters.keys() == row.distributions.keys()
    assert all(
        row.distributions[n]._contains(row.distributions[n].to_internal_repr(v)) for n, v in row.parameters.items()
    )
    flattened = model.flat.build(
        lambda n: (
            model._decode(n, row.parameters[n]) if n in row.parameters else model.flat.dimensions[n].from_unit(0.5)
        )
    )
    original = {n.split(".")[-1]: v for n, v in flattened.items()}
    wanted = {n: v for part in candidate.values() for n, v in part.items()} if space == "product" else dict(candidate)
    assert original.keys() == wanted.keys()
    assert all(original[n] == (pytest.approx(v) if isinstance(v, float) else v) for n, v in wanted.items())
    assert (set(row.parameters) == set(model.flat.searched)) or not flat


@MODELS
def test_the_model_speaks_after_the_random_trials(name: str) -> None:
    made = proposals(steps(make(name, CONDITIONAL, seed=4)))
    startup = 4 if name == "tpe" else 3
    assert [p.origin for p in made] == ["sample"] * startup + ["model"] * (len(made) - startup)
    assert [p.candidate for p in made[:startup]] == [random_candidate(CONDITIONAL, 4, n) for n in range(startup)]


@MODELS
def test_trials_are_random_until_half_of_the_first_ones_are_told(name: str) -> None:
    method = make_method(name, CONTINUOUS, Budget(40, 10), 0, {"n_startup_trials": 6})
    asked = method.ask(method.init(), 20)
    assert {p.origin for p in asked} == {"sample"}
    two = method.tell(method.init(), [result(p, score(p)) for p in asked[:2]])
    three = method.tell(two, [result(asked[2], 0.0)])
    assert method.ask(two, 1, asked[2:])[0].origin == "sample"
    assert method.ask(three, 1, asked[3:])[0].origin == "model"


def told(method, space, count: int):
    first = [Proposal(n, space.sample(n), 10) for n in range(count)]
    return [result(p, score(p)) for p in first]


@MODELS
def test_the_order_of_telling_is_no_matter_but_what_is_pending_is(name: str) -> None:
    method = make_method(name, CONTINUOUS, Budget(40, 10), 0)
    results = told(method, CONTINUOUS, 12)
    state = method.tell(method.init(), results)
    shuffled = method.tell(method.init(), [results[i] for i in generator(0).permutation(12)])
    alone = method.ask(state, 1)
    assert plain(CONTINUOUS, alone) == plain(CONTINUOUS, method.ask(shuffled, 1))
    elsewhere = [Proposal(12 + i, CONTINUOUS.from_unit(np.full(3, 0.99)), 10) for i in range(6)]
    wanted = method.ask(state, 1, elsewhere)[0]
    there = [replace(p, candidate=wanted.candidate) for p in elsewhere]
    assert method.ask(state, 1, there)[0].candidate != wanted.candidate, "a point that six are busy with is left alone"


@MODELS
def test_asking_for_many_is_asking_one_by_one(name: str) -> None:
    method = make_method(name, CONDITIONAL, Budget(40, 10), 0)
    state = method.tell(method.init(), told(method, CONDITIONAL, 12))
    many = method.ask(state, 3)
    single: list[Proposal] = []
    for _ in range(3):
        single += method.ask(state, 1, single)
    assert plain(CONDITIONAL, single) == plain(CONDITIONAL, many)
    assert len({CONDITIONAL.fingerprint(p.candidate) for p in many}) == 3


@MODELS
def test_the_world_is_left_as_it_was(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    import torch

    threads, verbosity, state = torch.get_num_threads(), optuna.logging.get_verbosity(), np.random.get_state()[1].copy()  # noqa: NPY002
    torch_state = torch.random.get_rng_state()
    method = make_method(name, CONDITIONAL, Budget(40, 10), 0)
    method.ask(method.tell(method.init(), told(method, CONDITIONAL, 12)), 2)
    assert (torch.get_num_threads(), optuna.logging.get_verbosity()) == (threads, verbosity)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert capfd.readouterr() == ("", "")


def test_a_gaussian_process_is_fitted_by_one_torch_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    seen, whole, before = [], optuna.samplers.GPSampler.sample_relative, torch.get_num_threads()

    def told_threads(*arguments: object) -> object:
        seen.append(torch.get_num_threads())
        return whole(*arguments)

    monkeypatch.setattr(optuna.samplers.GPSampler, "sample_relative", told_threads)
    torch.set_num_threads(2)
    try:
        method = make_method("gp", CONDITIONAL, Budget(40, 10), 0)
        method.ask(method.tell(method.init(), told(method, CONDITIONAL, 12)), 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1]


@pytest.mark.parametrize("name", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_every_process_proposes_the_same(name: str) -> None:
    """String hashing differs between processes; Optuna keeps sets of names."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from method_driver import *\n"
        f"m = make_method({name!r}, CONDITIONAL, Budget(40, 10), 0)\n"
        "first = [Proposal(n, CONDITIONAL.sample(n), 10) for n in range(12)]\n"
        "print(plain(CONDITIONAL, m.ask(m.tell(m.init(), [result(p, score(p)) for p in first]), 2)))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, threads in (("1", "1"), ("2", "2"))
    }
    method = make_method(name, CONDITIONAL, Budget(40, 10), 0)
    here = plain(CONDITIONAL, method.ask(method.tell(method.init(), told(method, CONDITIONAL, 12)), 2))
    assert outputs == {here + "\n"}


def test_tpe_learns_to_avoid_failures() -> None:
    """Half of the space crashes and the other half is flat: scores of failures must rank last for the model to see it."""
    space = HyperparameterSpace("half", {"x": Float(0, 1), "y": Float(0, 1)})
    made = steps(make_method("tpe", space, Budget(80, 10), 0), lambda p: None if p.candidate["x"] > 0.5 else -5.0)
    late = [p.candidate["x"] > 0.5 for p in proposals(made)[20:]]
    assert np.mean(late) < 0.25, "random search crashes half of the time: 60 draws below a quarter are a chance of 1e-5"


def test_tpe_finds_the_branch_of_a_conditional_space() -> None:
    def branch(proposal: Proposal) -> float:
        c = proposal.candidate
        return (1.0 - abs(c["deep"] - 0.8) if "deep" in c else 0.0) + (0.3 if c["kind"] == "q" else 0.0)

    made = steps(make_method("tpe", CONDITIONAL, Budget(100, 10), 0), branch)
    late = [branch(p) for p in proposals(made)[60:]]
    chance = np.mean([branch(Proposal(n, CONDITIONAL.sample(n), 10)) for n in range(2000)])
    assert chance < 0.35
    assert np.mean(late) > 0.8


def test_gp_counts_inactive_dimensions_at_the_middle() -> None:
    model = OptunaModel(CONDITIONAL, 0, "gp", impute=True)
    row = model.row({"b": False, "kind": "r", "x": 0.25})
    assert row.parameters == {"deep": 0.5, "n": 5, "b": 0, "kind": 2, "x": 0.25}
    assert OptunaModel(CONDITIONAL, 0, "tpe").row({"b": False, "kind": "r", "x": 0.25}).parameters.keys() == {
        "b",
        "kind",
        "x",
    }


def test_gp_relaxes_long_ranges_only() -> None:
    space = HyperparameterSpace("s", {"few": Int(1, 16), "many": Int(1, 17), "choice": Categorical((1, 2, 4))})
    kinds = {
        n: type(d).__name__ for n, d in OptunaModel(space, 0, "gp", relax=16).row(space.sample(0)).distributions.items()
    }
    assert kinds == {"few": "IntDistribution", "many": "FloatDistribution", "choice": "IntDistribution"}


def test_gp_is_shown_the_best_and_the_latest() -> None:
    method = GaussianProcess(CONTINUOUS, Budget(40, 10), 0, max_observations=4)
    first = [Proposal(n, CONTINUOUS.sample(n), 10) for n in range(8)]
    scores = [3.0, None, 9.0, 1.0, 0.0, 8.0, 2.0, None]
    history = History(tuple(result(p, s) for p, s in zip(first, scores, strict=True)))
    assert sorted(method._shown(history)) == [2, 5, 6, 7]
    assert list(method._shown(History(history.results[:4]))) == [0, 1, 2, 3]


def test_gp_says_that_it_needs_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'autorl\[torch\]'"):
        make_method("gp", CONTINUOUS, Budget(10, 10), 0)


def test_asking_copies_no_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna's own storage copies every trial for each proposal: seconds, after 10,000."""
    method = make_method("tpe", ORDERED, Budget(2_000, 10), 0)
    state = method.tell(method.init(), told(method, ORDERED, 1_000))
    copied = []
    original = copy.deepcopy

    def counted(what: object, *arguments: object) -> object:
        copied.extend(
            t for t in (what if isinstance(what, list) else [what]) if isinstance(t, optuna.trial.FrozenTrial)
        )
        return original(what, *arguments)

    monkeypatch.setattr(copy, "deepcopy", counted)
    assert len(method.ask(state, 1)) == 1
    assert len(copied) < 10


def regret(name: str, trainings: int, seed: int, **settings: object) -> float:
    method = make_method(name, CONTINUOUS, Budget(trainings, 10), seed, settings)
    made = steps(method, lambda p: quadratic(p.candidate))
    return -max(r.score for _, batch in made for r in batch if r.score is not None)


@pytest.mark.parametrize("name", ["tpe", "es"])
def test_models_beat_random_search_on_a_bowl(name: str) -> None:
    ours = np.log([regret(name, 100, seed) for seed in range(8)])
    random = np.log([regret("random", 100, seed) for seed in range(8)])
    assert np.mean(ours) < np.mean(random) - np.log(5), (
        "the standard error of the difference is 0.43: this is 3.7 of them"
    )
    assert np.sum(ours < random) >= 7


@pytest.mark.slow
def test_gp_beats_random_search_on_a_bowl_by_far() -> None:
    ours = np.log([regret("gp", 25, seed, batch=2) for seed in range(2)])
    random = np.log([regret("random", 25, seed) for seed in range(2)])
    assert np.mean(ours) < np.mean(random) - np.log(50)
    assert (ours < random).all()
