"""Hurdles, roles of environments, and learned objectives as arms: whole studies, tiny."""

import math

import pytest

import autorl
from autorl.engine.hurdles import threshold
from autorl.outer.protocol import Status
from autorl.studies.models import Hurdle
from autorl.studies.problems import SpecificationError
from autorl.studies.trial import AT_HURDLE, VALIDATION, Trial

RANGE = [0.0, 1.0]
SPACE = {
    "dimensions": {
        "learning_rate": {"type": "categorical", "choices": [0.0, 0.01]},
        "gamma": {"type": "float", "low": 0.5, "high": 0.99},
    }
}
BASE = {
    "name": "hurdles",
    "environment": [
        {"id": "probe:action_reward", "score_range": RANGE},
        {"id": "probe:observation_action_reward", "score_range": RANGE, "env_steps": 768},
        {"id": "probe:two_step", "score_range": RANGE, "role": "validation"},
        {"id": "probe:constant_reward", "score_range": RANGE, "role": "held_out"},
    ],
    "learner": {"algorithm": "ppo", "hyperparameters": {"n_envs": 4, "n_steps": 16, "minibatch_size": 32, "hidden_size": 8}},
    "search": {"space": SPACE, "method": "random", "batch": 4},
    "budget": {"trainings": 8, "env_steps": 512},
    "seeds": {"search": 2, "tuning": 1, "test": 2},
    "evaluation": {"episodes": 8, "points": 4, "averaged": 2},
    "finalists": 2,
}  # fmt: skip


def run(root, **changes):
    return autorl.run({**BASE, **changes}, root=root)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def hurdled(tmp_path_factory):
    everybody = run(tmp_path_factory.mktemp("everybody"), hurdle={"env_steps": 256, "quantile": 0.0})
    scores = [t.values[AT_HURDLE] for t in everybody.trials()]
    assert min(scores) < max(scores)
    between = (min(scores) + max(scores)) / 2
    return run(tmp_path_factory.mktemp("hurdled"), hurdle={"env_steps": 256, "score": between})


def test_each_phase_acts_where_it_should(plain):
    search, tests = plain.trials(), plain.trials(None, "test")
    assert all(len(t.scores) == 2 and all(len(row) == 2 for row in t.scores) for t in search)
    assert all(len(t.scores) == 1 for t in tests), "the held-out environment alone"
    assert all(VALIDATION in t.values for t in search)
    assert plain.result["environments"] == ["probe:constant_reward"]


def test_the_work_granted_counts_the_validation(plain):
    granted = {arm: 8 * 2 * (512 + 768 + 512) for arm in ("method", "random") if plain.trials(arm)}
    rows = {row["arm"]: row for row in plain.result["ledger"] if row["phase"] == "search"}
    assert {arm: row["granted_env_steps"] for arm, row in rows.items()} == granted
    assert {arm: row["train_env_steps"] for arm, row in rows.items()} == granted


def test_an_environment_may_have_a_length_of_its_own(plain):
    for trial in plain.trials():
        last = {c.environment: c.env_steps[-1] for c in trial.curves}
        assert last == {0: 512, 1: 768}


@pytest.mark.slow
def test_what_passes_a_hurdle_trains_as_if_there_were_none(plain, hurdled):
    passed = [t for t in hurdled.trials() if t.status is Status.COMPLETED]
    assert passed
    without = {t.number: t for t in plain.trials()}
    for trial in passed:
        other = without[trial.number]
        assert (trial.candidate, trial.scores, trial.score) == (other.candidate, other.scores, other.score)
        assert [c.scores for c in trial.curves] == [c.scores for c in other.curves]
        assert trial.ledger.train_env_steps == other.ledger.train_env_steps
        assert trial.values[VALIDATION] == other.values[VALIDATION]


@pytest.mark.slow
def test_what_falls_is_pruned_with_its_score_there_and_trains_no_further(hurdled):
    pruned = [t for t in hurdled.trials() if t.status is Status.PRUNED]
    assert pruned
    assert all(t.score is None and math.isfinite(t.values[AT_HURDLE]) for t in pruned)
    assert all(t.ledger.train_env_steps == 2 * 2 * 256 for t in pruned)
    assert all("needed" in t.message for t in pruned)
    assert hurdled.result["state"] == "complete"


def test_a_hurdle_of_environments_lets_nobody_into_the_later_ones(tmp_path):
    study = run(tmp_path, hurdle={"environments": 1, "score": 2.0})
    trials = study.trials()
    assert all(t.status is Status.PRUNED for t in trials)
    assert all(t.ledger.train_env_steps == 2 * 512 for t in trials)
    assert "method" in study.result["barren"]


def test_the_threshold_is_a_quantile_of_recent_trials():
    def told(score):
        return Trial("method", "search", 0, {}, 1, values={} if score is None else {AT_HURDLE: score})

    hurdle = Hurdle(env_steps=1, quantile=0.5, window=3)
    assert threshold(hurdle, []) == -math.inf
    assert threshold(hurdle, [told(s) for s in (9.0, 1.0, 2.0, 3.0)]) == 2.0
    assert threshold(hurdle, [told(1.0), told(None), told(3.0)]) == 2.0
    assert threshold(Hurdle(env_steps=1, score=0.6), [told(9.0)]) == 0.6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hurdle": {"env_steps": 100}}, "either score or quantile"),
        ({"hurdle": {"score": 0.5}}, "expected environments or env_steps"),
        ({"hurdle": {"environments": 3, "score": 0.5}}, "hurdle.environments"),
        ({"hurdle": {"env_steps": 768, "score": 0.5}}, "less than a whole training"),
        ({"hurdle": {"environments": 2, "score": 0.5}}, "nothing comes after"),
        ({"environment": [{**BASE["environment"][0], "role": "held_out"}]}, "at least one environment to train in"),
        (
            {"search": {"space": SPACE, "method": "pbt"}, "hurdle": {"env_steps": 100, "score": 0.0}},
            "remove the hurdle",
        ),
    ],
)
def test_impossible_hurdles_are_refused(changes, words, tmp_path):
    with pytest.raises(SpecificationError, match=words):
        run(tmp_path, **changes)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_learned_objectives_are_arms_of_the_result(tmp_path):
    study = autorl.run(
        {
            "name": "objectives",
            "environment": "mdp:lottery",
            "learner": {
                "algorithm": "tabular",
                "hyperparameters": {"mdps": 2, "n_envs": 4},
                "objective": "dqn",
            },
            "budget": {"env_steps": 800},
            "seeds": {"test": 2},
            "evaluation": {"episodes": 1, "points": 1},
            "baselines": {"default": False, "objectives": ["dqn", "dqnreg_paper"]},
        },
        root=tmp_path,
    )
    assert list(study.result["arms"]) == ["method", "objective:dqn", "objective:dqnreg_paper"]
    by_arm = {t.arm: t for t in study.trials(None, "test")}
    assert by_arm["objective:dqn"].candidate == {"objective": "dqn"}
    assert by_arm["objective:dqn"].scores == by_arm["method"].scores
    assert by_arm["objective:dqnreg_paper"].scores != by_arm["method"].scores
    assert "dqnreg_paper" in study.result["headline"]
    assert study.report().is_file()
