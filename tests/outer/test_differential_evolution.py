"""Differential evolution: its mutants by hand, who stays in the population, and that it searches better than chance."""

import itertools

import numpy as np
import pytest
from method_driver import CONTINUOUS, proposals, quadratic, result, steps

from autorl.outer.methods import make_method
from autorl.outer.protocol import Budget

MEMBERS = 5


def make(trainings=30, seed=0, **settings):
    given = {"population_size": MEMBERS, "batch": 1, **settings}
    return make_method("de", CONTINUOUS, Budget(trainings, 10), seed, given)


def told(method, scores):
    state = method.init()
    for score in scores:
        (asked,) = method.ask(state, 1)
        state = method.tell(state, [result(asked, score)])
    return state


def unit(proposal):
    return CONTINUOUS.to_unit(proposal.candidate)


def test_a_whole_mutant_is_a_member_plus_half_a_difference_of_two_others():
    method = make(crossover_rate=1.0)
    inside = 0
    for seed in range(6):
        method = make(seed=seed, crossover_rate=1.0)
        state = told(method, [1.0, 2.0, 3.0, 4.0, 5.0])
        members = [unit(r.proposal) for r in state.results]
        (asked,) = method.ask(state, 1)
        assert asked.origin == "mutate"
        others = [m for place, m in enumerate(members) if place != asked.number % MEMBERS]
        mutants = [a + 0.5 * (b - c) for a, b, c in itertools.permutations(others, 3)]
        agree = [np.isclose(unit(asked), m) | (m < 0) | (m > 1) for m in mutants]
        assert any(found.all() for found in agree)  # what left the cube was drawn afresh
        inside += any(np.allclose(unit(asked), m) for m in mutants)
    assert inside, "nothing is tested unless a mutant stayed inside"


def test_without_crossover_one_coordinate_changes():
    method = make(crossover_rate=0.0)
    state = told(method, [1.0, 2.0, 3.0, 4.0, 5.0])
    (asked,) = method.ask(state, 1)
    assert np.sum(~np.isclose(unit(asked), unit(state.results[0].proposal))) == 1


@pytest.mark.parametrize(("score", "stays"), [(0.5, False), (1.0, True), (1.5, True), (None, False)])
def test_a_challenger_that_is_as_good_takes_the_place(score, stays):
    method = make()
    state = told(method, [1.0, 2.0, 3.0, 4.0, 5.0, score])
    challenger, member = (unit(state.results[i].proposal) for i in (5, 0))
    assert np.array_equal(method._population(state)[0], challenger if stays else member)
    assert not np.array_equal(challenger, member)


def test_too_few_members_to_differ_are_drawn_at_random():
    method = make(batch=8)
    first = method.ask(method.init(), 8)
    assert [p.origin for p in first] == ["sample"] * 8
    state = method.tell(method.init(), [result(p, float(p.number)) for p in first[:2]])
    assert method.ask(state, 1, first[2:])[0].origin == "sample"


def test_it_beats_random_search_on_a_bowl():
    def best(name, seed, settings):
        method = make_method(name, CONTINUOUS, Budget(80, 1), seed, settings)
        asked = proposals(steps(method, lambda p: quadratic(p.candidate)))
        return max(quadratic(p.candidate) for p in asked)

    ours = [best("de", seed, {}) for seed in range(8)]
    chance = [best("random", seed, {}) for seed in range(8)]
    assert np.median(ours) > 0.5 * np.median(chance), "both are below 0"
