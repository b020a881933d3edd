"""The winner of a study under a budget policy is chosen by all whole trainings of the finalists, those of the search among them."""

import statistics
from dataclasses import replace

import pytest

import autorl
from autorl.analysis.result import summarise
from autorl.engine.evidence import evidence
from autorl.engine.selection import pick_winner, pooled
from autorl.outer.protocol import Status
from autorl.studies.trial import Trial

SPACE = {"dimensions": {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.03, "scale": "log"}}}
EXPERIMENT = {
    "name": "evidence",
    "environment": "probe:observation_action_reward",
    "learner": {
        "algorithm": "ppo",
        "hyperparameters": {"n_envs": 4, "n_steps": 16, "minibatch_size": 32, "hidden_size": 8, "n_layers": 1},
    },
    "search": {"space": SPACE, "method": "random", "policy": {"name": "race", "settings": {"last": 3}}},
    "budget": {"trainings": 16, "env_steps": 640},
    "seeds": {"search": 2, "tuning": 2, "test": 1},
    "baselines": {"random": True, "default": False},
    "evaluation": {"episodes": 4, "points": 5, "averaged": 2},
    "finalists": 2,
}


def finalist(number, *rows, source=None):
    source = number if source is None else source
    return Trial("method", "finalists", number, {"x": number}, 10, source=source, scores=rows, status=Status.COMPLETED)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    # "sobol": random search has no random arm beside it
    changed = {**EXPERIMENT, "search": {**EXPERIMENT["search"], "method": "sobol"}}
    return autorl.run(changed, root=tmp_path_factory.mktemp("evidence"))


def test_all_whole_trainings_count_and_few_of_them_are_drawn_to_the_mean():
    first, second = finalist(0, (1.0, 3.0), source=7), finalist(1, (4.0, 4.0), source=9)
    values = pooled([first, second], {7: [8.0, 8.0], 9: []})
    centre = (5.0 + 4.0) / 2  # of the means of four trainings and of two
    assert values[0] == (pytest.approx(centre + 4 / 5 * (5.0 - centre)), 4)
    assert values[1] == (pytest.approx(centre + 2 / 3 * (4.0 - centre)), 2)
    assert pick_winner([first, second]) is second
    assert pick_winner([first, second], searched={}) is second
    assert pick_winner([first, second], searched={7: [8.0, 8.0]}) is first


def test_environments_are_averaged_and_failures_are_the_worst_that_is_known():
    both = finalist(0, (1.0, None), (3.0, 5.0))
    other = finalist(1, (2.0, 2.0), (2.0, 2.0))
    values = pooled([both, other], {1: [0.5]})
    means = {0: statistics.fmean([2.0, (0.5 + 5.0) / 2]), 1: statistics.fmean([0.5, 2.0, 2.0])}
    centre = statistics.fmean(means.values())
    assert values[0][0] == pytest.approx(centre + 2 / 3 * (means[0] - centre))
    assert values[1][0] == pytest.approx(centre + 3 / 4 * (means[1] - centre))


def test_where_size_matters_fresh_seeds_alone_choose():
    large, small = finalist(0, (0.9, 0.95)), finalist(1, (0.91, 0.94))
    sizes = {0: 8, 1: 5}
    assert pick_winner([large, small], lambda t: sizes[t.number], 0.01, {0: [100.0]}) is small


def test_none_is_chosen_where_all_failed():
    assert pick_winner([finalist(0, (None,))], searched={0: [1.0]}) is None


def test_the_evidence_is_what_was_trained_whole_as_the_policy_scores_it(study):
    plain, trials = study.plain_specification(), study.trials(None, None)
    found = evidence(trials, plain, "method")
    whole = [t for t in study.trials() if t.env_steps == 640]
    assert found.keys() == {t.number for t in whole}
    for trial in whole:
        tails = [statistics.fmean(curve.scores[-3:]) for curve in trial.curves]  # "last" is 3; "averaged" would be 2
        blocks = [statistics.fmean(tails[i : i + 2]) for i in range(0, len(tails), 2)]
        assert found[trial.number] == pytest.approx([b for b in blocks for _ in range(2)])
    assert max(map(len, found.values())) > 2, "some raced on"
    beside = evidence(trials, plain, "random")
    assert beside == {t.number: [t.score] for t in study.trials("random", "search")}


def test_without_a_policy_there_is_none(study):
    plain = study.plain_specification()
    for policy in (None, {"name": "whole", "settings": {}}):
        without = {**plain, "search": {**plain["search"], "policy": policy}}
        assert evidence(study.trials(None, None), without, "method") == {}
    assert evidence(study.trials(None, None), {**plain, "search": None}, "method") == {}


def test_a_study_tests_what_all_its_trainings_chose_and_says_so(study):
    trials, plain = study.trials(None, None), study.plain_specification()
    for arm in ("method", "random"):
        own = [t for t in trials if (t.arm, t.phase) == (arm, "finalists")]
        values = pooled(own, evidence(trials, plain, arm))
        (tested,) = [t for t in trials if (t.arm, t.phase) == (arm, "test")]
        best = max(own, key=lambda t: values[t.number][0])
        assert tested.source == best.source
        if arm == "method":
            chosen = study.result["winner"]["chosen_by"]
            assert (chosen["pooled_mean"], chosen["pooled_trainings"]) == values[best.number]
            page = study.report().read_text(encoding="utf-8")
            assert f"by all of their whole trainings, {values[best.number][1]} of its own" in page
    before = [t for t in trials if t.phase != "test"]
    assert summarise(before, plain)["winner"]["source"] == study.result["winner"]["source"]
    assert study.best_trial.source == study.result["winner"]["source"]


def test_a_winner_of_an_older_version_is_not_said_to_be_chosen_so(study):
    trials, plain = study.trials(None, None), study.plain_specification()
    own = [t for t in trials if (t.arm, t.phase) == ("method", "finalists")]
    other = next(t for t in own if t.source != study.result["winner"]["source"])
    changed = [
        replace(t, source=other.source, candidate=other.candidate) if (t.arm, t.phase) == ("method", "test") else t
        for t in trials
    ]
    winner = summarise(changed, plain)["winner"]
    assert winner["source"] == other.source
    assert winner["chosen_by"]["pooled_mean"] is None
