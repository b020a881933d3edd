"""The winner of a study under a budget policy is chosen by the seeds that finalists raced on in the search, and their fresh ones."""

import statistics
from dataclasses import replace

import pytest

import autorl
from autorl.analysis.result import summarise
from autorl.engine import study_run
from autorl.engine.evidence import evidence
from autorl.engine.merit import best_trial
from autorl.engine.selection import pick_winner, pooled
from autorl.outer.budget.policies import make_policy
from autorl.outer.budget.protocol import Run
from autorl.outer.protocol import Budget, Status
from autorl.spaces import load_space
from autorl.studies.trial import Trial

SPACE = {"dimensions": {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.03, "scale": "log"}}}
EXPERIMENT = {
    "name": "evidence",
    "environment": "gymnax:CartPole-v1",
    "learner": {
        "algorithm": "ppo",
        "hyperparameters": {"n_envs": 4, "n_steps": 16, "minibatch_size": 32, "hidden_size": 8, "n_layers": 1},
    },
    "search": {
        "space": SPACE,
        "method": "sobol",
        "policy": {"name": "race", "settings": {"last": 3}},
    },  # with a random arm beside it
    "budget": {"trainings": 16, "env_steps": 1280},
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
    return autorl.run(EXPERIMENT, root=tmp_path_factory.mktemp("evidence"))


def test_all_seeds_count_and_few_of_them_are_drawn_to_the_mean():
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
    values = pooled([both, other], {1: [0.5, None], 3: [-9.0]})  # 3 is no finalist
    means = {0: statistics.fmean([2.0, (0.5 + 5.0) / 2]), 1: statistics.fmean([0.5, 0.5, 2.0, 2.0])}
    centre = statistics.fmean(means.values())
    assert values[0][0] == pytest.approx(centre + 2 / 3 * (means[0] - centre))
    assert values[1][0] == pytest.approx(centre + 4 / 5 * (means[1] - centre))


def test_where_size_matters_there_is_no_evidence(study):
    plain, trials = study.plain_specification(), study.trials(None, None)
    assert evidence(trials, plain, study.space)
    assert evidence(trials, plain, load_space("loss_value")) == {}


def test_none_is_chosen_where_all_failed():
    assert pick_winner([finalist(0, (None,))], searched={0: [1.0]}) is None


def test_the_evidence_is_what_raced_on_further_seeds_scored_as_fresh_seeds_are(study):
    plain, trials = study.plain_specification(), study.trials(None, None)
    found = evidence(trials, plain, study.space)
    raced = [t for t in study.trials() if len(t.seeds) > 2]  # two seeds are a block
    assert found.keys() == {t.number for t in raced}
    for trial in raced:
        tails = [
            statistics.fmean(curve.scores[-2:]) for curve in trial.curves
        ]  # by "averaged", not the policy's "last"
        blocks = [statistics.fmean(tails[i : i + 2]) for i in range(2, len(tails), 2)]
        assert found[trial.number] == pytest.approx([b for b in blocks for _ in range(2)])
    assert len({score for scores in found.values() for score in scores}) > 1, "they differ"


def test_trainings_under_way_are_left_out_and_failed_ones_are_none():
    policy = make_policy("race", Budget(16, 10), 1, {})
    whole = tuple((k, 1.0 * k) for k in range(1, 11))
    further = [Run(0, 10, whole, 1), Run(0, 10, ((1, 5.0),), 2), Run(0, 10, ((1, 5.0),), 3, ended=True)]
    cut = Run(1, 2, ((1, 1.0), (2, 2.0)), ended=True)
    assert policy.raced([Run(0, 10, whole), *further, cut], 2) == {0: [9.5, None]}


def test_without_a_policy_there_is_none(study):
    plain = study.plain_specification()
    for policy in (None, {"name": "whole", "settings": {}}):
        without = {**plain, "search": {**plain["search"], "policy": policy}}
        assert evidence(study.trials(None, None), without, study.space) == {}
    assert evidence(study.trials(None, None), {**plain, "search": None}, None) == {}
    named = {**plain, "search": {**plain["search"], "policy": "race"}}
    assert evidence(study.trials(None, None), named, study.space)


def of_arm(trials, arm, phase):
    return [t for t in trials if (t.arm, t.phase) == (arm, phase)]


def turned(study):
    """Return the record before the test, with fresh scores by which another finalist is just ahead of the one that raced best."""
    trials, plain = study.trials(None, None), study.plain_specification()
    found = evidence(trials, plain, study.space)
    own = of_arm(trials, "method", "finalists")
    means = {t.number: statistics.fmean(found[t.source]) for t in own}
    best, other = sorted(own, key=lambda t: -means[t.number])[:2]
    level = means[best.number]
    fresh = {best.number: level, other.number: level + 1e-6}
    changed = [
        replace(t, scores=((fresh.get(t.number, 0.0),) * 2,)) if (t.arm, t.phase) == ("method", "finalists") else t
        for t in trials
        if t.phase != "test"
    ]
    return changed, plain, best, other


def test_what_the_search_saw_decides_where_fresh_seeds_hardly_differ(study):
    changed, plain, best, other = turned(study)
    own = of_arm(changed, "method", "finalists")
    assert pick_winner(own).number == other.number, "by fresh seeds alone"
    assert pick_winner(own, searched=evidence(changed, plain, study.space)).number == best.number
    assert best_trial(study.specification, study.space, changed).number == best.number
    winner = summarise(changed, plain)["winner"]
    assert winner["source"] == best.source
    value, seeds = pooled(own, evidence(changed, plain, study.space))[best.number]
    assert (winner["chosen_by"]["pooled_mean"], winner["chosen_by"]["pooled_seeds"]) == (value, seeds)


class Killed(BaseException):
    """Nothing in a study catches it: what it interrupts is as if it had been killed."""


def test_the_engine_tests_what_all_trainings_chose_and_goes_on_with_what_is_under_test(study, tmp_path, monkeypatch):
    """The same study again, with a search that saw the finalist that is not the best far ahead of the others."""
    other = next(t.source for t in study.trials("method", "finalists") if t.source != study.result["winner"]["source"])
    asked, original = [], study_run.run_trials

    def seen(trials, plain, space):
        asked.append(evidence(trials, plain, space))
        return {other: [1e6] * 50}

    def killed(session, trials, *rest, **named):
        if trials[0].phase == "test":
            raise Killed
        return original(session, trials, *rest, **named)

    with monkeypatch.context() as patched:
        patched.setattr(study_run, "evidence", seen)
        patched.setattr(study_run, "run_trials", killed)
        with pytest.raises(Killed):
            autorl.run(EXPERIMENT, root=tmp_path)
    trials, plain = study.trials(None, None), study.plain_specification()
    assert asked == [evidence(trials, plain, study.space)], "once: random search has none"
    # so an older version may have chosen by its rule: what was under test is tested, and said to be the winner
    again = autorl.resume(EXPERIMENT["name"], root=tmp_path)
    (tested,) = again.trials("method", "test")
    assert (tested.source, tested.status) == (other, Status.COMPLETED)
    assert again.result["winner"]["source"] == again.best_trial.source == other


def test_a_study_says_by_what_its_winner_was_chosen(study):
    trials, plain = study.trials(None, None), study.plain_specification()
    own = of_arm(trials, "method", "finalists")
    values = pooled(own, evidence(trials, plain, study.space))
    best = max(own, key=lambda t: values[t.number][0])
    assert of_arm(trials, "method", "test")[0].source == best.source == study.result["winner"]["source"]
    of_random = of_arm(trials, "random", "finalists")
    assert of_arm(trials, "random", "test")[0].source == pick_winner(of_random).source
    page = study.report().read_text(encoding="utf-8")
    assert "finalists on 2 tuning seeds (interquartile mean" in page
    assert f"and those that they raced on in the search: over its {values[best.number][1]} seeds" in page
