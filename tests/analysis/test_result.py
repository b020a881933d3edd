import json
from dataclasses import replace

import numpy as np
import pytest
import synthetic as sy
from scipy import stats

from autorl.analysis.result import expected_arms, summarise
from autorl.outer.protocol import Status
from autorl.studies.trial import Ledger, Trial

STUDY = sy.study()
SPECIFICATION = sy.specification()


def final(arm, scores, seeds=None, **fields):
    row = tuple(scores)
    return Trial(
        arm, "test", 0, {}, sy.STEPS, source=1, seeds=seeds or tuple(range(len(row))), scores=(row,),
        status=Status.COMPLETED if None not in row else Status.DIVERGED,
        score=None if None in row else float(np.mean(row)), **fields,
    )  # fmt: skip


def test_scores_are_the_trimmed_means_of_the_test_seeds_alone():
    result = summarise(STUDY, SPECIFICATION)
    assert result["state"] == "complete"
    assert list(result["arms"]) == ["method", "random", "default"]
    for arm, found in result["arms"].items():
        (trial,) = [t for t in STUDY if (t.arm, t.phase) == (arm, "test")]
        assert found["score"] == pytest.approx(stats.trim_mean(trial.scores[0], 0.25))
        assert found["seeds"] == list(trial.seeds)
        assert found["scores"] == [list(trial.scores[0])]
        assert found["interval"][0] < found["score"] < found["interval"][1]
        assert (found["trainings"], found["failed"]) == (10, 0)


def test_tuning_and_search_scores_change_nothing_in_the_arms():
    changed = [t if t.phase == "test" else replace(t, score=1e6, scores=((1e6,) * len(t.seeds),)) for t in STUDY]
    one, other = summarise(STUDY, SPECIFICATION), summarise(changed, SPECIFICATION)
    assert one["arms"] == other["arms"]
    assert one["headline"] == other["headline"]
    assert "1,000,000" not in other["headline"] + other["verdict"]


def test_result_is_json_and_the_same_every_time():
    text = json.dumps(summarise(STUDY, SPECIFICATION), allow_nan=False)
    assert text == json.dumps(summarise(list(STUDY), dict(SPECIFICATION)), allow_nan=False)
    assert text != json.dumps(
        summarise(STUDY, sy.specification(seeds={"study": 1})), allow_nan=False
    )  # other resamples


def test_winner_names_its_source_and_says_what_chose_it():
    winner = summarise(STUDY, SPECIFICATION)["winner"]
    finalists = [t for t in STUDY if (t.arm, t.phase) == ("method", "finalists")]
    best = max(finalists, key=lambda t: stats.trim_mean(t.scores[0], 0.25))
    (trial,) = [t for t in STUDY if (t.arm, t.phase) == ("method", "test")]
    assert winner["source"] == trial.source
    assert winner["candidate"] == dict(trial.candidate)
    chosen = next(t for t in finalists if t.source == trial.source)
    assert winner["chosen_by"]["tuning_iqm"] == pytest.approx(stats.trim_mean(chosen.scores[0], 0.25))
    assert set(winner["chosen_by"]["tuning_seeds"]).isdisjoint(trial.seeds)
    assert "selection only" in winner["chosen_by"]["use"]
    partial = [t for t in STUDY if t.phase != "test"]
    assert summarise(partial, SPECIFICATION)["winner"]["source"] == best.source


def test_equal_arms_are_not_distinguishable_and_different_ones_are():
    rng = np.random.default_rng(0)
    same, other = rng.normal(100, 10, 10), rng.normal(100, 10, 10)
    result = summarise([final("method", same), final("random", other), final("default", same - 60)], SPECIFICATION)
    random, default = result["differences"]["random"], result["differences"]["default"]
    assert random["distinguishable"] is False
    assert random["interval"][0] <= 0 <= random["interval"][1]
    assert "Not distinguishable from random search" in result["verdict"]
    assert default["distinguishable"] is True
    assert default["difference"] == pytest.approx(60)
    expected = stats.mannwhitneyu(same, same - 60).statistic / 100
    assert default["probability_of_improvement"] == pytest.approx(expected)
    assert "Better than the default configuration" in result["verdict"]


def test_a_worse_method_is_called_worse():
    result = summarise([final("method", range(10)), final("random", range(100, 110))], SPECIFICATION)
    assert "Worse than random search" in result["verdict"]
    assert "Not tested yet: the default configuration" in result["verdict"]
    assert result["state"] == "test"
    assert result["missing"] == ["default"]


def test_failures_are_counted_and_cost_the_worst_score_of_all_arms():
    method = [100.0] * 6 + [None] * 4
    random = [50.0] * 9 + [3.0]
    result = summarise([final("method", method), final("random", random)], SPECIFICATION)
    assert result["arms"]["method"]["failed"] == 4
    assert result["arms"]["method"]["score"] == pytest.approx(stats.trim_mean([100.0] * 6 + [3.0] * 4, 0.25))
    assert "(4 of 10 trainings failed)" in result["headline"]
    assert "Failed test trainings: 4 of 10 (tpe)" in result["verdict"]


def test_a_crashed_test_without_scores_failed_on_every_seed():
    crashed = Trial("method", "test", 0, {}, 10, seeds=(1, 2, 3), status=Status.CRASHED, message="boom")
    result = summarise([crashed, final("random", [1.0, 2.0, 5.0])], SPECIFICATION)
    assert result["arms"]["method"]["failed"] == result["arms"]["method"]["trainings"] == 3
    assert result["arms"]["method"]["score"] == 1.0  # the worst of the other arm


def test_all_trainings_failed():
    result = summarise([final("method", [None, None]), final("random", [None, None])], SPECIFICATION)
    assert result["arms"]["method"]["score"] is None
    assert "every test training failed" in result["headline"]
    json.dumps(result, allow_nan=False)


def test_every_search_trial_failed():
    failed = [replace(t, status=Status.DIVERGED, score=None) for t in sy.search(count=4)]
    trials = [*failed, final("default", [1.0, 2.0, 3.0])]
    result = summarise(trials, sy.specification(baselines={"default": True, "random": False}))
    assert result["barren"] == ["method"]
    assert result["state"] == "complete"
    assert "no trial of its search completed" in result["headline"]
    assert "no search trial of tpe completed" in result["verdict"]


@pytest.mark.parametrize(
    ("trials", "state", "words"),
    [
        ([], "empty", "no trial has run"),
        ([t for t in STUDY if t.phase == "search"][:5], "search", "5 trials finished"),
        ([t for t in STUDY if t.phase != "test"], "finalists", "fresh tuning seeds"),
        (
            [replace(t, status=Status.RUNNING, score=None) if t.phase == "test" else t for t in STUDY],
            "test",
            "under way",
        ),
    ],
)
def test_unfinished_studies_say_how_far_they_are_and_give_no_number(trials, state, words):
    result = summarise(trials, SPECIFICATION)
    assert result["state"] == state
    assert result["arms"] == {}
    assert result["headline"].startswith("No result yet")
    assert words in result["headline"]
    assert not any(str(round(t.score)) in result["headline"] for t in trials if t.score is not None and t.score > 100)


def test_one_seed_has_no_interval_and_concludes_nothing():
    result = summarise([final("method", [5.0]), final("random", [1.0])], SPECIFICATION)
    assert result["arms"]["method"]["interval"] is None
    assert "One test seed cannot tell it from random search" in result["verdict"]
    few = summarise([final("method", [5.0, 6.0, 7.0]), final("random", [1.0, 2.0, 3.0])], SPECIFICATION)
    assert "Only 3 test seeds" in few["verdict"]


def test_ledger_adds_up():
    result = summarise(STUDY, SPECIFICATION)
    total = sum((t.ledger for t in STUDY), Ledger())
    for key in ("train_env_steps", "evaluation_env_steps", "updates", "compile_seconds", "wall_seconds"):
        assert sum(row[key] for row in result["ledger"]) == pytest.approx(getattr(total, key))
    rows = {(row["arm"], row["phase"]): row for row in result["ledger"]}
    diverged = sum(t.status is Status.DIVERGED for t in STUDY if (t.arm, t.phase) == ("random", "search"))
    assert diverged > 0
    assert rows["random", "search"]["failures"] == {"diverged": diverged}
    assert rows["random", "search"]["trials"] == 48


def test_unequal_work_is_said():
    assert summarise(STUDY, SPECIFICATION)["work"]["equal"] is True
    halved = [t for t in STUDY if not (t.arm == "random" and t.phase == "search" and t.number >= 24)]
    result = summarise(halved, SPECIFICATION)
    assert result["work"] == {**result["work"], "equal": False, "method": 4_800_000, "random": 2_400_000}
    assert "NOT equal work" in result["verdict"]


def test_granted_work_counts_every_environment():
    two = sy.specification(environment=[{"id": "a"}, {"id": "b"}])
    assert summarise(sy.search(count=3, environments=2), two)["work"]["method"] == 600_000


def test_several_environments_count_equally():
    a, b = [0.0, 0.1, 0.2, 0.3], [0.6, 0.7, 0.8, 0.9]
    trial = Trial("method", "test", 0, {}, 10, seeds=(1, 2, 3, 4), scores=(tuple(a), tuple(b)), status=Status.COMPLETED)
    result = summarise([trial], sy.specification(environment=[{"id": "x:a"}, {"id": "x:b"}]))
    assert result["arms"]["method"]["score"] == pytest.approx(stats.trim_mean([*a, *b], 0.25))
    assert result["arms"]["method"]["environment_scores"] == pytest.approx([0.15, 0.75])
    assert "on a and b" in result["headline"]


def test_expected_band():
    inside = summarise(STUDY, SPECIFICATION)
    assert inside["expected"] == {"low": 440.0, "high": 500.0, "inside": True}
    outside = summarise(STUDY, sy.specification(expected={"minutes": 1, "score": [0.0, 10.0]}))
    assert "Outside the expected band of 0 to 10" in outside["verdict"]


def test_schedules():
    result = summarise(sy.pbt_study(), sy.specification("pbt"))
    assert result["winner"]["kind"] == "schedule"
    stages = result["winner"]["schedule"]
    assert [s["until"] for s in stages] == sorted(s["until"] for s in stages)
    assert stages[-1]["until"] == 8 * (sy.STEPS // 8)
    assert stages[-1]["hyperparameters"] == result["winner"]["candidate"]


def test_own_objective():
    specification = sy.specification(learner=None, environment=[])
    trials = [Trial("method", "search", i, {"x": i}, 1, status=Status.COMPLETED, score=float(i)) for i in range(3)]
    trials.append(Trial("method", "search", 3, {"x": 3}, 1, status=Status.CRASHED))
    result = summarise(trials, specification)
    assert result["own_objective"] == {
        "told": 4, "failed": 1, "best_score": 2.0, "best_trial": 2, "best_candidate": {"x": 2},
    }  # fmt: skip
    assert "trial 2" in result["headline"]
    assert "optimistic" in result["verdict"]
    assert "No score yet" in summarise(trials[3:], specification)["headline"]


def test_expected_arms():
    assert expected_arms(SPECIFICATION) == ["method", "random", "default"]
    assert expected_arms(sy.specification("random")) == ["method", "default"]
    assert expected_arms(sy.specification(search=None)) == ["method"]  # the configuration is the default one
    fixed = {"algorithm": "ppo", "hyperparameters": {"gamma": 0.9}}
    assert expected_arms(sy.specification(search=None, learner=fixed)) == ["method", "default"]
    assert expected_arms(sy.specification(baselines={"default": False, "random": False})) == ["method"]
