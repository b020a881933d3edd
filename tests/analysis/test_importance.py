from dataclasses import replace

import cut_study as cs
import optuna
import pytest
import synthetic as sy

from autorl.analysis.importance import importances
from autorl.keys import generator
from autorl.outer.protocol import Status
from autorl.spaces import Bool, Categorical, Condition, Fixed, Float, HyperparameterSpace, Int
from autorl.studies.trial import Trial

SPACE = HyperparameterSpace(
    "s",
    {
        "x": Float(1e-6, 1.0, scale="log"),
        "noise": Float(0, 1),
        "word": Categorical(("a", "b", "c")),
        "n": Int(1, 100, log=True),
        "on": Bool(),
        "deep": Float(0, 1),
        "fixed": Fixed(3),
    },
    {"deep": Condition("on", (True,))},
)


def trials(score, count=200):
    made = []
    for i in range(count):
        candidate = SPACE.sample(i)
        made.append(
            Trial("method", "search", i, candidate, 1, status=Status.COMPLETED, score=float(score(candidate, i)))
        )
    return made


def test_what_matters_comes_first():
    found = importances(trials(lambda c, i: SPACE.dimensions["x"].to_unit(c["x"])), SPACE)
    assert next(iter(found.shares)) == "x"
    assert found.shares["x"] > 0.7
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert set(found.shares) == set(SPACE.dimensions) - {"fixed"}
    assert "best 20 of 200" in found.message


def test_a_category_that_matters():
    found = importances(trials(lambda c, i: (c["word"] == "b") + 0.01 * generator(i).random()), SPACE)
    assert next(iter(found.shares)) == "word"


def test_equals_optunas_own_on_a_linear_space():
    # independent of our mirror: the same data given to optuna as floats of their own range
    space = HyperparameterSpace("l", {"a": Float(-5, 5), "b": Float(0, 10)})
    made = []
    study = optuna.create_study(direction="maximize")
    for i in range(60):
        candidate = space.sample(i)
        score = -(candidate["a"] ** 2) + 0.3 * candidate["b"]
        made.append(Trial("method", "search", i, candidate, 1, status=Status.COMPLETED, score=score))
        bounds = {
            "a": optuna.distributions.FloatDistribution(-5, 5),
            "b": optuna.distributions.FloatDistribution(0, 10),
        }
        study.add_trial(optuna.trial.create_trial(params=dict(candidate), distributions=bounds, value=score))
    expected = optuna.importance.get_param_importances(study)
    assert importances(made, space).shares == pytest.approx(expected, rel=0.15, abs=0.02)


def test_where_trainings_diverge_is_part_of_importance():
    # completed trials all score alike, so only the failures tell that x matters
    made = [
        replace(t, status=Status.DIVERGED, score=None) if t.candidate["x"] > 1e-3 else t
        for t in trials(lambda c, i: 1.0 + 1e-3 * generator(i).random())
    ]
    found = importances(made, SPACE)
    assert next(iter(found.shares)) == "x"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ([], "at least 16 trials"),
        (trials(lambda c, i: i, 15), "there are 15"),
        (trials(lambda c, i: 7.0, 40), "scored the same"),
        ([replace(t, status=Status.CRASHED, score=None) for t in trials(lambda c, i: i, 40)], "0 of them completed"),
    ],
)
def test_too_little_to_say(made, words):
    found = importances(made, SPACE)
    assert found.shares == {}
    assert words in found.message


def test_without_hyperparameters():
    assert importances(trials(lambda c, i: i, 20), None).message == "There are no hyperparameters to compare."


def test_many_equal_best_scores_are_all_among_the_best():
    found = importances(trials(lambda c, i: min(500.0, 1000 * SPACE.dimensions["x"].to_unit(c["x"]))), SPACE)
    best = sum(t.score == 500.0 for t in trials(lambda c, i: min(500.0, 1000 * SPACE.dimensions["x"].to_unit(c["x"]))))
    assert f"best {best} of 200" in found.message


def test_a_realistic_search():
    found = importances(sy.search(arm="random", count=64), sy.SPACE)
    assert next(iter(found.shares)) == "learning_rate"


def test_trials_that_a_policy_cut_are_ranked_by_how_far_and_how_well_they_came():
    cut = cs.halved(64)
    found = importances(cut, cs.SPACE, cut=True)
    assert found.shares["x"] > 0.8
    assert "best 7 of 64" in found.message
    assert "trained further ranks higher" in found.message
    alone = importances(cut, cs.SPACE)
    assert "5 of them completed; there are 64, 4 of them completed" in alone.message, (
        "scores alone leave nothing to compare"
    )
    few = importances([t for t in cut if t.env_steps > 60], cs.SPACE, cut=True)
    assert "there are 8, 8 of them with a score" in few.message


def test_a_failure_ranks_below_everything_that_a_policy_cut():
    cut = [
        replace(t, status=Status.DIVERGED, score=None, values={}) if t.candidate["x"] > 0.5 else t
        for t in cs.halved(64)
    ]
    # the good half of x failed, far on its way: what is left on top is cut early, and of the lower half
    found = importances(cut, cs.SPACE, cut=True)
    assert found.shares["x"] > 0.5
    assert "best 7 of 64" in found.message
