"""What a prior says of a configuration, what it learns, and how it draws. Values by hand where there is a hand's worth."""

import dataclasses

import numpy as np
import pytest

from autorl.errors import IncompatibleError, UsageError
from autorl.keys import derive, generator
from autorl.outer.methods import METHODS, draws, fitting, make_method
from autorl.outer.prior_fit import FEWEST, Tried, fit_prior, normal_scores
from autorl.outer.priors import KNOTS, Prior, PriorTask, Ruler
from autorl.outer.protocol import Budget, Result, Status
from autorl.spaces import ArraySpace, Bool, Categorical, Condition, Fixed, Float, HyperparameterSpace, Int

SPACE = HyperparameterSpace(
    "s",
    {
        "rate": Float(1e-5, 1e-1, "log"),
        "on": Bool(),
        "size": Categorical((16, 32, 64)),
        "alpha": Float(0, 1),
        "f": Fixed(1),
    },
    {"alpha": Condition("on", (True,))},
)
RULERS = {
    "rate": Ruler(span=(1e-5, 1e-1), scale="log"),
    "on": Ruler(choices=(False, True)),
    "size": Ruler(),
    "alpha": Ruler(),
}
EFFECTS = {"rate": (0, 1, 2, 3, 4), "on": (0, 10), "size": (0, 0, 100, 0, 0), "alpha": (0, 0, 0, 0, 1000)}


def prior(*tasks, noise=0.0):
    made = tasks or (PriorTask("t", (), EFFECTS),)
    return Prior("p", None, "by hand", noise, RULERS, made)


def candidate(rate=1e-5, on=False, size=16, **alpha):
    return {"rate": rate, "on": on, "size": size, "f": 1} | alpha


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (candidate(), 0.5 / 3 * 0 + 0 + 100 * 0),  # 16 is at a sixth: between the first two knots
        (candidate(rate=1e-3), 2.0),
        (candidate(rate=10**-2.5), 2.5),
        (candidate(rate=1e-3, size=32), 102.0),
        (candidate(on=True, alpha=0.0), 10.0),
        (candidate(on=True, alpha=0.875), 510.0),
    ],
)
def test_a_utility_is_the_sum_of_the_effects_that_a_configuration_has(given, expected):
    assert prior().utility(SPACE, given) == pytest.approx(expected)


def test_values_count_where_a_range_is_known_and_positions_where_none_is():
    narrow = HyperparameterSpace("n", {"rate": Float(1e-3, 1e-2, "log"), "size": Int(1, 2001)})
    assert prior().utility(narrow, {"rate": 1e-3, "size": 1}) == pytest.approx(2.0, abs=0.1)
    assert prior().utility(narrow, {"rate": 1e-3, "size": 1001}) == pytest.approx(102.0, abs=0.1)
    wide = HyperparameterSpace("w", {"rate": Float(1e-9, 10, "log")})
    assert [prior().utility(wide, {"rate": rate}) for rate in (1e-9, 10.0)] == [0.0, 4.0]


def test_what_a_prior_does_not_know_says_nothing():
    other = HyperparameterSpace("o", {"gamma": Float(0, 1), "on": Categorical(("a", "b"))})
    assert prior().shared(other) == ["on"]
    assert prior().utility(other, {"gamma": 0.3, "on": "a"}) == 0.0
    assert prior().shared(ArraySpace({"w": (2,)})) == []


def test_tasks_count_alike_and_can_be_left_out():
    tasks = [PriorTask(name, (f"e:{name}",), {**EFFECTS, "on": (0, on)}) for name, on in (("a", 10), ("b", 30))]
    both = prior(*tasks)
    given = candidate(on=True, alpha=0.0)
    assert both.utility(SPACE, given) == pytest.approx(20.0)
    assert both.without({"e:a", "e:c"}).utility(SPACE, given) == pytest.approx(30.0)
    assert both.without({"e:c"}) == both
    assert both.without({"e:a", "e:b"}) is None


def test_without_noise_the_best_of_those_drawn_come_first():
    assert prior().ordered(SPACE, 3, 0) == []
    ordered = prior().ordered(SPACE, 3, 20)
    utilities = [prior().utility(SPACE, c) for c in ordered]
    assert utilities == sorted(utilities, reverse=True)
    assert len({SPACE.fingerprint(c) for c in ordered}) == 20
    drawn = [prior().utility(SPACE, SPACE.sample(i)) for i in range(200)]
    assert min(utilities) > np.median(drawn)
    assert ordered == prior().ordered(SPACE, 3, 20) != prior().ordered(SPACE, 4, 20)


def test_noise_keeps_the_order_from_being_believed():
    def middle(noise):
        return np.mean([prior().utility(SPACE, c) for c in prior(noise=noise).ordered(SPACE, 1, 60)])

    sure, doubtful, lost = middle(0.0), middle(300.0), middle(1e6)
    random = np.mean([prior().utility(SPACE, SPACE.sample(i)) for i in range(2000)])
    assert sure > doubtful > lost
    assert lost == pytest.approx(random, abs=60)


def test_a_space_with_few_candidates_is_filled_up():
    few = HyperparameterSpace("few", {"on": Bool()})
    ordered = prior().ordered(few, 0, 9)
    assert len(ordered) == 9
    assert ordered[:2] == [{"on": True}, {"on": False}]


def tried(name, level, count=200, seed=0):
    rng = generator(derive(seed, name))
    candidates = [SPACE.sample(derive(seed, name, i)) for i in range(count)]
    return Tried(name, (), SPACE, candidates, [level(c) + 0.1 * rng.standard_normal() for c in candidates])


def good(c):
    return -abs(np.log10(c["rate"]) + 3)


def test_a_fit_finds_what_tasks_have_in_common():
    fitted = fit_prior("p", "dqn", "tests", [tried("a", good), tried("b", good), tried("c", good)])
    fresh = [SPACE.sample(derive(9, i)) for i in range(200)]
    found = np.corrcoef([fitted.utility(SPACE, c) for c in fresh], normal_scores([good(c) for c in fresh]))[0, 1]
    assert found > 0.95
    assert fitted.noise < 0.5
    assert fitted.rulers["rate"] == Ruler(span=(1e-5, 1e-1), scale="log")
    assert np.argmax(fitted.effects["rate"]) == KNOTS // 2
    assert "f" not in fitted.rulers


def test_the_noise_is_that_of_a_task_left_out():
    alike = fit_prior("p", None, "t", [tried("a", good), tried("b", good)])
    opposed = fit_prior("p", None, "t", [tried("a", good), tried("b", lambda c: -good(c))])
    assert alike.noise < 0.5 < 1.2 < opposed.noise
    assert fit_prior("p", None, "t", [tried("a", good)]).noise == 1.0


def test_ranges_that_differ_are_compared_by_position():
    wide = dataclasses.replace(SPACE, dimensions={**SPACE.dimensions, "rate": Float(1e-6, 1e-1, "log")})
    tasks = [tried("a", good), dataclasses.replace(tried("b", good), space=wide)]
    assert fit_prior("p", None, "t", tasks).rulers["rate"] == Ruler()


def test_what_cannot_be_learned_from_is_refused():
    with pytest.raises(UsageError, match="task 'a': it has 7 finished configurations, at least 8"):
        fit_prior("p", None, "t", [tried("a", good, FEWEST - 1)])
    with pytest.raises(UsageError, match="different names, got a"):
        fit_prior("p", None, "t", [tried("a", good), tried("a", good)])
    with pytest.raises(UsageError, match="different names, got none"):
        fit_prior("p", None, "t", [])


def test_ranks_share_what_is_equal():
    assert normal_scores([1.0, 1.0, 1.0]).tolist() == [0.0, 0.0, 0.0]
    low, middle, high = normal_scores([1.0, 5.0, 1e9])
    assert (low, middle) == (pytest.approx(-high), pytest.approx(0.0))


@pytest.mark.parametrize("name", ["random", "tpe", "de"])
def test_a_guided_method_draws_by_the_prior(name):
    method = make_method(name, SPACE, Budget(16, 1), 5, prior=prior())
    asked = method.ask(method.init(), 5)
    assert [p.origin for p in asked] == ["prior"] * 5
    assert [p.candidate for p in asked] == prior().ordered(SPACE, derive(5, "block", 0), 16)[:5]
    again = make_method(name, SPACE, Budget(16, 1), 5, prior=prior(), starts=[candidate()])
    begun = again.ask(again.init(), 3)
    assert [p.origin for p in begun] == ["start", "prior", "prior"]
    assert [p.candidate for p in begun[1:]] == prior().ordered(SPACE, derive(5, "block", 0), 15)[:2], "none is left out"


@pytest.mark.parametrize("name", [name for name in METHODS if not draws(name)])
def test_methods_that_draw_nothing_refuse_a_prior(name):
    space = HyperparameterSpace("numbers", {"alpha": Float(0, 1)})
    assert name in fitting(space)
    with pytest.raises(IncompatibleError, match="Methods that do: random, tpe, gp, de"):
        make_method(name, space, Budget(16, 10), 0, {"es": {"population_size": 4}}.get(name), prior=prior())


def test_a_prior_of_other_hyperparameters_is_refused():
    with pytest.raises(IncompatibleError, match="prior 'p' knows rate, on, size, alpha, and nothing of what space 'x'"):
        make_method("random", HyperparameterSpace("x", {"gamma": Float(0, 1)}), Budget(4, 1), 0, prior=prior())


def test_a_share_of_the_draws_is_the_priors_and_a_share_of_the_models_trials_is_drawn():
    half = make_method("random", SPACE, Budget(200, 1), 0, {"prior_fraction": 0.25}, (), prior())
    asked = half.ask(half.init(), 200)
    drawn = [p.number for p in asked if p.origin == "prior"]
    assert 35 < len(drawn) < 65
    whole, plain = (make_method("random", SPACE, Budget(200, 1), 0, {}, (), p) for p in (prior(), None))
    by_prior, evenly = (method.ask(method.init(), 200) for method in (whole, plain))
    assert {p.origin for p in by_prior} == {"prior"}
    assert [p.candidate for p in asked] == [
        (by_prior if p.number in drawn else evenly)[p.number].candidate for p in asked
    ]
    settings = {"n_startup_trials": 4, "drawn_fraction": 0.25}
    tpe = make_method("tpe", SPACE, Budget(12, 1), 0, settings, (), prior())
    state = tpe.tell(tpe.init(), [Result(p, Status.COMPLETED, p.candidate["rate"]) for p in tpe.ask(tpe.init(), 4)])
    assert [p.origin for p in tpe.ask(state, 8)] == ["model", "model", "model", "prior"] * 2


@pytest.mark.parametrize("name", ["prior_fraction", "drawn_fraction"])
def test_a_share_is_a_share(name):
    with pytest.raises(UsageError, match=f"setting '{name}': expected a number from 0 to 1, got 1.5"):
        make_method("tpe", HyperparameterSpace("s", {"x": Float(0, 1)}), Budget(8, 1), 0, {name: 1.5})
