"""What `auto` chooses, and that it says why."""

import pytest

from autorl.outer.auto import choose
from autorl.outer.budget.median_pruning import MedianPruning
from autorl.outer.budget.wilcoxon_pruning import WilcoxonPruning
from autorl.outer.protocol import Budget
from autorl.spaces import ArraySpace, Bool, Condition, Float, HyperparameterSpace, Int

NUMBERS = HyperparameterSpace("numbers", {"x": Float(0, 1), "y": Int(1, 9)})
CHOICES = HyperparameterSpace("choices", {"x": Float(0, 1), "on": Bool()})
CONDITIONAL = HyperparameterSpace("conditional", {"on": Int(0, 1), "x": Float(0, 1)}, {"x": Condition("on", (1,))})
MANY = HyperparameterSpace("many", {f"x{i}": Float(0, 1) for i in range(31)})
ARRAYS = ArraySpace({"w": (2, 2)}, name="weights")


@pytest.mark.parametrize(
    ("space", "trainings", "method"),
    [
        (NUMBERS, 32, "sobol"),  # 67 trials start
        (NUMBERS, 110, "gp"),  # 227
        (NUMBERS, 200, "tpe"),  # 416
        (MANY, 32, "es"),
        (CHOICES, 200, "tpe"),
        (CONDITIONAL, 32, "sobol"),
        (CONDITIONAL, 110, "tpe"),
        (ARRAYS, 32, "es"),
    ],
)
def test_the_space_and_the_trials_choose_the_method(space, trainings, method):
    chosen = choose(space, trainings, 5)
    assert chosen.method == method
    assert chosen.starts == (method in ("gp", "tpe", "sobol"))
    assert f"auto chose {'Sobol points' if method == 'sobol' else method}: " in chosen.why


@pytest.mark.parametrize(
    ("given", "drawing"), [({"candidates": True}, "sobol"), ({"given": {"prior_fraction": 0.5}}, "random")]
)
def test_what_begins_with_candidates_is_no_evolution_strategy(given, drawing):
    """A strategy takes no start, no prior, and none of their settings."""
    assert [choose(space, 300, 1).method for space in (NUMBERS, MANY)] == ["es", "es"]
    assert [choose(space, 300, 1, **given).method for space in (NUMBERS, MANY)] == ["tpe", "tpe"]
    assert "all dimensions are numbers, many trials (2 dimensions, 300 trials" in choose(NUMBERS, 300, 1, **given).why
    assert choose(MANY, 32, 5, **given).method == drawing, "67 trials start, and all of them are drawn"
    assert choose(ARRAYS, 300, 1, **given).method == "es", "nothing else searches arrays"


def test_the_checkpoints_choose_the_policy():
    assert choose(NUMBERS, 32, 10).policy == "race"
    assert [choose(NUMBERS, 32, points).policy_settings for points in (5, 10)] == [{"last": 3}, {"last": 5}]
    assert (choose(NUMBERS, 32, 4).policy, choose(NUMBERS, 32, 4).policy_settings) == ("halving", {})
    assert choose(NUMBERS, 32, 1).policy is None
    assert choose(NUMBERS, 1, 10).policy is None
    assert choose(ARRAYS, 32, 10).policy is None


def test_trials_under_a_policy_start_sixteen_at_a_time():
    assert choose(CHOICES, 32, 5).settings["batch"] == 16
    assert choose(CHOICES, 32, 5, whole="so I said").settings == choose(ARRAYS, 32, 5).settings == {}


def test_the_first_trials_are_drawn_where_trainings_are_cut():
    few, many = choose(CHOICES, 32, 5), choose(CHOICES, 200, 5)
    assert (few.method, few.settings) == ("sobol", {"batch": 16})
    assert (many.method, many.settings) == ("tpe", {"batch": 16, "n_startup_trials": 200})
    assert "at most 67 trials start, too few for a model" in few.why
    assert "At most 414 trials start; the first 200 of them are drawn" in many.why
    assert "n_startup_trials" not in choose(CHOICES, 32, 5, policy=MedianPruning((1, 2, 3, 4, 5))).settings


def test_a_prior_draws_instead_of_sobol():
    drawn = choose(CHOICES, 32, 5, prior=True)
    assert (drawn.method, drawn.settings) == ("random", {"batch": 16})
    assert "auto chose drawn candidates: at most 67" in drawn.why


def test_settings_bring_the_model_in_earlier():
    earlier = choose(CHOICES, 32, 5, given={"n_startup_trials": 20, "drawn_fraction": 0.3})
    assert earlier.method == "tpe"
    assert "At most 67 trials start; the first 20 of them are drawn" in earlier.why
    assert earlier.settings == {"batch": 16, "n_startup_trials": 20, "drawn_fraction": 0.3}
    none = choose(CHOICES, 32, 5, given={"n_startup_trials": 67, "batch": 4})
    assert (none.method, none.settings) == ("sobol", {"batch": 4})
    assert choose(CHOICES, 32, 5, given={"prior_fraction": 0.5}).method == "random"
    assert choose(CHOICES, 32, 5, given={"n_ei_candidates": 9}).method == "tpe", "a setting of TPE's own"


def test_it_says_why():
    why = choose(NUMBERS, 110, 5).why
    assert "all dimensions are numbers, few (2 dimensions, 227 trials at most)" in why
    assert "race: 227 trials start, and trials are cut at 20%, 40%, 60%, 80% of the steps" in why
    assert "from the first of these on that tells the first 16 apart" in why
    assert "tells the first" not in choose(NUMBERS, 16, 5).why, "too few trials to ask some of them first"
    assert why.endswith("the rest of the work races seeds.")
    assert choose(NUMBERS, 16, 5).why.endswith("the rest of the work races seeds.")
    assert "has nobody to race" in choose(NUMBERS, 15, 5).why
    assert "the learner's default configuration" not in why, "only a study knows what it begins with"
    assert "some dimensions are choices or conditional" in choose(CHOICES, 110, 5).why
    assert "Trainings are whole: evaluation.points is 1" in choose(NUMBERS, 32, 1).why
    assert "Trainings are whole: so I said." in choose(NUMBERS, 32, 5, whole="so I said").why


def test_a_policy_that_cuts_seeds_says_so():
    why = choose(CHOICES, 32, 5, policy=WilcoxonPruning.for_budget(Budget(32, 5), 1)).why
    assert "wilcoxon: at most 32 trials start, each trained whole, on as many seeds as it holds its own." in why


def test_a_policy_that_is_given_stays():
    policy = MedianPruning((1, 2, 3, 4, 5))
    chosen = choose(NUMBERS, 32, 5, policy=policy)
    assert (chosen.method, chosen.policy) == ("gp", "median")  # 160 trials at most
    assert "Budget policy median: trials are cut at 20%" in chosen.why
