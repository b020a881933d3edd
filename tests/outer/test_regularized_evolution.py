"""Regularized evolution: ageing, the functional cache, neutral drift, several objectives; on spaces that cost nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from method_driver import CONTINUOUS, quadratic

from autorl.errors import UsageError
from autorl.keys import derive, generator
from autorl.outer.evolution_state import Evidence, EvolutionState, Member, order
from autorl.outer.methods import make_method, resolve_auto
from autorl.outer.protocol import Budget, Proposal, Result, Status
from autorl.outer.regularized_evolution import PRESETS, RegularizedEvolution
from autorl.spaces import ProductSpace


@dataclass(frozen=True)
class Words:
    """Words of the letters a to d; ``d`` means nothing, so words behave alike if they agree without it. A word of ``d`` alone is dead."""

    length: int = 16
    name: str = "words"
    first: tuple[str, ...] = ()
    unit_dimension: int = 0

    def features(self) -> frozenset[str]:
        return frozenset({"graph"})

    def sample(self, key: int) -> Mapping[str, Any]:
        return {"word": "".join("abcd"[i] for i in generator(key).integers(4, size=self.length))}

    def mutate(self, key: int, candidate: Mapping[str, Any], rate: Any = None, scale: Any = None) -> Mapping[str, Any]:
        rng, word = generator(key), list(candidate["word"])
        word[int(rng.integers(len(word)))] = "abcd"[int(rng.integers(4))]
        return {"word": "".join(word)}

    def crossover(self, key: int, a: Mapping[str, Any], b: Mapping[str, Any]) -> Mapping[str, Any]:
        cut = int(generator(key).integers(self.length))
        return {"word": a["word"][:cut] + b["word"][cut:]}

    def to_json(self, candidate: Mapping[str, Any]) -> dict[str, Any]:
        return dict(candidate)

    def fingerprint(self, candidate: Mapping[str, Any]) -> str:
        return str(candidate["word"]).replace("d", "")

    def screen(self, candidates: Sequence[Mapping[str, Any]]) -> list[tuple[str, str | None]]:
        return [(self.fingerprint(c), None if "a" in c["word"] else "zero") for c in candidates]

    def size(self, candidate: Mapping[str, Any]) -> int:
        return len(self.fingerprint(candidate))

    def starts(self) -> tuple[Mapping[str, Any], ...]:
        return tuple({"word": word} for word in self.first)


TARGET = "abcabcabcabcabca"


def matches(candidate: Mapping[str, Any]) -> float:
    return float(sum(x == y for x, y in zip(candidate["word"], TARGET, strict=False)))


def make(space: Any, trainings: int, seed: int = 0, **settings: Any) -> RegularizedEvolution:
    made = make_method("evolution", space, Budget(trainings, 10), seed, settings)
    assert isinstance(made, RegularizedEvolution)
    return made


def run(method: Any, score: Any = matches, outcome: Any = None) -> tuple[Any, list[Result]]:
    state, results = method.init(), []
    while not method.finished(state):
        told = []
        for p in method.ask(state, method.available(state)):
            told.append(outcome(p) if outcome else Result(p, Status.COMPLETED, score(p.candidate)))
        results += told
        state = method.tell(state, told)
    return state, results


SMALL: dict[str, Any] = {"population_size": 30, "batch": 8, "tournament": 6}


def test_it_finds_the_target_sooner_than_random_search() -> None:
    found = []
    for seed in range(5):
        _, ours = run(make(Words(10), 400, seed, **SMALL))
        _, control = run(make_method("random", Words(10), Budget(400, 10), seed, {}))
        found.append((max(r.score for r in ours), max(r.score for r in control)))
    assert all(ours >= control for ours, control in found)
    assert sum(ours == 10 for ours, _ in found) >= 4
    assert all(control < 10 for _, control in found)


def test_it_searches_hyperparameters_too() -> None:
    scores = []
    for seed in range(3):
        _, ours = run(make(CONTINUOUS, 150, seed, **SMALL), quadratic)
        _, control = run(make_method("random", CONTINUOUS, Budget(150, 10), seed, {}), quadratic)
        scores.append((max(r.score for r in ours), max(r.score for r in control)))
    assert np.mean([a for a, _ in scores]) > np.mean([b for _, b in scores])


def test_in_whatever_order_results_come_the_state_is_the_same() -> None:
    method, rng = make(Words(), 120, **SMALL), generator(3)
    whole, one_by_one = method.init(), method.init()
    while not method.finished(whole):
        told = [Result(p, Status.COMPLETED, matches(p.candidate)) for p in method.ask(whole, method.available(whole))]
        whole = method.tell(whole, told)
        for i in rng.permutation(len(told)):
            one_by_one = method.tell(one_by_one, [told[i]])
        assert one_by_one == whole
    _, results = run(method)
    assert method.tell(method.init(), results) == whole


def test_results_are_told_once() -> None:
    method = make(Words(), 20, **SMALL)
    state = method.init()
    first = Result(method.ask(state, 1)[0], Status.COMPLETED, 1.0)
    state = method.tell(state, [first])
    with pytest.raises(ValueError, match="told before or never asked for"):
        method.tell(state, [first])
    with pytest.raises(ValueError, match="told before or never asked for"):
        method.tell(state, [replace(first, proposal=replace(first.proposal, number=19))])


def test_what_cannot_learn_is_never_proposed_and_counted() -> None:
    method = make(Words(length=4), 150, **SMALL)
    state, results = run(method, lambda c: float(len(c["word"])))
    assert all("a" in r.proposal.candidate["word"] for r in results)
    counted = method.statistics(state)
    assert counted["rejected"] == counted["rejected: zero"] > 0
    assert counted["made"] == counted["trained"] + counted["rejected"] + counted["duplicates"]
    assert counted["trained"] == 150
    assert 0 < counted["hit_rate"] < 1


def test_no_fingerprint_is_trained_more_often_than_allowed() -> None:
    space = Words()
    for most in (1, 3):
        method = make(space, 400, evaluations_per_fingerprint=most, **SMALL)
        state, results = run(method)
        often = Counter(space.fingerprint(r.proposal.candidate) for r in results)
        assert max(often.values()) == most
        repeats = [r.proposal for r in results if r.proposal.origin == "repeat"]
        assert len(repeats) == method.statistics(state)["repeated"] == 400 - len(often)
        assert all(p.ancestor is not None for p in repeats), "a sample of known behaviour is not trained again"
        turns: dict[str, set[int]] = {}
        for r in results:
            turns.setdefault(space.fingerprint(r.proposal.candidate), set()).add(r.proposal.repeat)
        # each training of a behaviour has seeds of its own
        assert all(turns[name] == set(range(often[name])) for name in often)


class Bloated(Words):
    """Words of one behaviour that differ in size: the number of places where a letter follows another."""

    def size(self, candidate: Mapping[str, Any]) -> int:
        return sum(x != y for x, y in pairwise(candidate["word"]))


@pytest.mark.parametrize("objectives", [["score"], ["score", "size"]])
def test_where_size_is_an_objective_a_smaller_form_of_a_known_behaviour_is_trained(objectives: list[str]) -> None:
    space = Bloated(5)
    _, results = run(
        make(space, 250, objectives=objectives, evaluations_per_fingerprint=2, batch=8, population_size=20)
    )
    trained: dict[str, list[int]] = {}
    beyond = 0
    for result in results:
        sizes = trained.setdefault(space.fingerprint(result.proposal.candidate), [])
        own = space.size(result.proposal.candidate)
        # candidates that were made because nothing else was left are no evidence either way
        beyond += len(sizes) >= 2 and own < min(sizes)
        sizes.append(own)
    assert (beyond > 0) == (objectives == ["score", "size"])


def test_a_space_smaller_than_the_budget_is_no_obstacle() -> None:
    _, results = run(make(Words(length=1), 40, **SMALL))
    assert [r.proposal.number for r in results] == list(range(40))
    assert {r.proposal.candidate["word"] for r in results} == {"a"}
    assert sorted(r.proposal.repeat for r in results) == list(range(40))


def test_clones_share_the_mean_of_their_results() -> None:
    method = make(Words(), 200, **SMALL)
    noise = {n: float(generator(derive(1, n)).normal()) for n in range(200)}
    told: dict[str, list[float]] = {}

    def noisy(p: Proposal) -> Result:
        score = matches(p.candidate) + noise[p.number]
        told.setdefault(Words().fingerprint(p.candidate), []).append(score)
        return Result(p, Status.COMPLETED, score)

    state, _ = run(method, outcome=noisy)
    for name, scores in told.items():
        assert state.evidence[name].mean() == pytest.approx(np.mean(scores))
    assert any(len(scores) > 1 for scores in told.values())


def test_neutral_drift_enters_untrained_up_to_the_cap() -> None:
    method = make(Words(), 400, clones=3, **SMALL)
    state, results = run(method, lambda c: -abs(len(Words().fingerprint(c)) - 4.0))
    trained = {r.proposal.candidate["word"] for r in results}
    assert any(m.candidate["word"] not in trained for m in state.population)
    assert max(Counter(m.fingerprint for m in state.population).values()) <= 3
    assert method.statistics(state)["drifted"] > 0
    assert len(state.population) <= 30
    numbers = {r.proposal.number for r in results}
    assert all(m.trial in numbers for m in state.population)


def test_the_oldest_leave() -> None:
    method = make(CONTINUOUS, 120, **SMALL)
    state, _ = run(method, quadratic)
    assert [m.trial for m in state.population] == list(range(90, 120))


def test_lineage_leads_back_to_a_sample() -> None:
    _, results = run(make(Words(), 200, **SMALL))
    by_number = {r.proposal.number: r.proposal for r in results}
    for p in by_number.values():
        while p.ancestor is not None:
            assert p.ancestor < p.number
            p = by_number[p.ancestor]
        assert p.origin == "sample"


def test_given_starts_come_first() -> None:
    _, results = run(make(Words(10, first=("aaaaaaaaaa", "abababdada")), 40, **SMALL))
    assert [r.proposal.candidate["word"] for r in results[:2]] == ["aaaaaaaaaa", "abababdada"]
    assert [r.proposal.origin for r in results[:3]] == ["start", "start", "sample"]
    space = ProductSpace({"objective": Words(10, first=("aaaaaaaaaa",)), "hyperparameters": CONTINUOUS})
    first = make(space, 40, **SMALL).ask(make(space, 40, **SMALL).init(), 1)[0]
    assert first.candidate["objective"] == {"word": "aaaaaaaaaa"}
    assert first.origin == "start"


def test_a_mutation_of_a_product_changes_one_part() -> None:
    space = ProductSpace({"objective": Words(), "hyperparameters": CONTINUOUS})
    assert resolve_auto(space, Budget(10, 10)) == "evolution"
    _, results = run(make(space, 120, **SMALL), lambda c: matches(c["objective"]) + quadratic(c["hyperparameters"]))
    by_number = {r.proposal.number: r.proposal for r in results}
    changed = Counter()
    for p in by_number.values():
        if p.origin == "mutate" and p.ancestor is not None:
            before = by_number[p.ancestor].candidate
            changed[tuple(part for part in space.parts if p.candidate[part] != before[part])] += 1
    assert changed[("objective",)] > 10
    assert changed[("hyperparameters",)] > 10
    assert changed[("objective",)] + changed[("hyperparameters",)] > 0.7 * changed.total()  # the rest descends by drift


def test_mutants_crossings_and_samples_come_as_often_as_asked() -> None:
    method = make(
        Words(), 500, mutation_probability=0.8, crossover_probability=0.25, evaluations_per_fingerprint=1, **SMALL
    )
    _, results = run(method)
    after = Counter(r.proposal.origin for r in results if r.proposal.number >= 30)
    assert abs(after["sample"] / 470 - 0.2) < 0.06
    assert abs(after["crossover"] / 470 - 0.2) < 0.06
    assert after["mutate"] > after["crossover"]


def evidence(*outcomes: tuple[Status, float | None]) -> Evidence:
    found = Evidence()
    for status, score in outcomes:
        found = found.plus(Result(Proposal(0, {}, 1), status, score))
    return found


def test_completed_before_pruned_before_failed() -> None:
    completed, pruned = evidence((Status.COMPLETED, -50.0)), evidence((Status.PRUNED, 90.0))
    failed = evidence((Status.DIVERGED, None))
    mixed = evidence((Status.COMPLETED, 100.0), (Status.DIVERGED, None), (Status.CRASHED, None))
    ranks = [e.rank(0.0) for e in (completed, pruned, failed, mixed)]
    assert ranks[0] > ranks[1] > ranks[2] == ranks[3]
    assert evidence((Status.PRUNED, 2.0)).rank(0.0) > evidence((Status.PRUNED, 1.0)).rank(0.0)
    assert evidence((Status.COMPLETED, 1.0), (Status.COMPLETED, 4.0)).mean() == 2.5
    assert mixed.mean() is None


def test_size_is_penalised_and_the_younger_of_equals_is_better() -> None:
    members = [Member({}, "x", 5, 0), Member({}, "y", 3, 1), Member({}, "x", 5, 2), Member({}, "z", 1, 3)]
    known = {
        "x": evidence((Status.COMPLETED, 1.0)),
        "y": evidence((Status.COMPLETED, 1.0)),
        "z": evidence((Status.PRUNED, 9.0)),
    }
    assert order(members, known, ["score"], 0.01) == [2, 0, 1, 3]
    assert order(members, known, ["score"], 0.0) == [2, 1, 0, 3]


def test_failures_do_not_enter_and_pruned_ones_do() -> None:
    def outcome(p: Proposal) -> Result:
        status = (Status.COMPLETED, Status.PRUNED, Status.DIVERGED)[p.number % 3]
        return Result(p, status, None if status is Status.DIVERGED else 1.0)

    state, _ = run(make(Words(), 24, population_size=40, batch=8), outcome=outcome)
    assert {m.trial % 3 for m in state.population} == {0, 1}


def test_several_objectives_keep_a_front() -> None:
    def outcome(p: Proposal) -> Result:
        values = {"validation": float(p.candidate["word"].count("b"))}
        return Result(p, Status.COMPLETED, float(p.candidate["word"].count("a")), values)

    method = make(Words(), 300, objectives=["score", "size", "validation"], **SMALL)
    state, _ = run(method, outcome=outcome)
    points = [
        (e.mean(), e.mean("validation"), m.size) for m in state.population if (e := state.evidence[m.fingerprint])
    ]
    assert max(a for a, _, _ in points) >= 8
    assert max(b for _, b, _ in points) >= 7
    assert min(size for _, _, size in points) <= 4
    assert len({(a, b) for a, b, _ in points}) > 10
    missing = make(Words(), 40, objectives=["score", "validation"], **SMALL)
    assert len(run(missing)[0].population) == 30, "results without the figure are ranked behind, not refused"


def test_presets_are_the_published_settings_and_can_be_overridden() -> None:
    paper = make(Words(), 10, preset="co_reyes_2021")
    assert (paper.population_size, paper.tournament, paper.mutation_probability) == (300, 25, 0.95)
    assert (paper.penalty, paper.evaluations) == (0.0, 1)
    default = make(Words(), 10)
    assert (default.population_size, default.tournament, default.penalty) == (300, 6, 0.01)
    assert make(Words(), 10, preset="co_reyes_2021", tournament=3).tournament == 3
    assert {frozenset(values) for values in PRESETS.values()} == {frozenset(PRESETS["two_cores"])}


@pytest.mark.parametrize(
    "settings",
    [
        {"preset": "paper"},
        {"objectives": ["size"]},
        {"objectives": ["score", "score"]},
        {"objectives": "score"},
        {"objectives": ["score", "validaton"]},
        {"clones": 0},
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        make(Words(), 10, **settings)


def test_a_misspelt_objective_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError, match=r"Unknown: 'validaton'\. Did you mean 'validation'\?"):
        make(Words(), 10, objectives=["score", "validaton"])


def test_the_first_state_is_small() -> None:
    state = make(Words(), 40, **SMALL).init()
    assert isinstance(state, EvolutionState)
    assert (state.batch, len(state.plan), state.told, state.population) == (0, 8, (), ())
