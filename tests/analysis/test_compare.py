from dataclasses import replace

import pytest
import synthetic as sy
from scipy import stats

from autorl.analysis.compare import compare_studies, render, tables
from autorl.analysis.result import summarise
from autorl.errors import UsageError
from autorl.outer.protocol import Status
from autorl.studies.trial import Ledger

A = ("a", sy.specification(), sy.study(count=16))
B = ("b", sy.specification("pbt"), sy.pbt_study())


def scores(study):
    return next(t for t in study[2] if (t.arm, t.phase) == ("method", "test")).scores[0]


def test_scores_and_pairs_equal_recomputation():
    outcome = compare_studies([A, B])
    (pair,) = outcome["pairs"]
    for row, study in zip(outcome["studies"], (A, B), strict=True):
        assert row["score"] == pytest.approx(stats.trim_mean(scores(study), 0.25))
        own = summarise(study[2], study[1])["arms"]["method"]
        assert row["interval"] == own["interval"]
    assert pair["difference"] == pytest.approx(outcome["studies"][0]["score"] - outcome["studies"][1]["score"])
    expected = stats.mannwhitneyu(scores(A), scores(B)).statistic / 100
    assert pair["probability_of_improvement"] == pytest.approx(expected)
    assert pair["interval"][0] < pair["difference"] < pair["interval"][1]


def test_a_study_against_its_own_copy_is_fair_and_not_distinguishable():
    outcome = compare_studies([A, ("copy", *A[1:])])
    assert outcome["warnings"] == []
    assert outcome["pairs"][0]["verdict"] == "not distinguishable"
    assert outcome["pairs"][0]["probability_of_improvement"] == 0.5


def test_a_clear_difference_names_the_better():
    worse = [
        replace(t, scores=tuple(tuple(s - 300 for s in row) for row in t.scores)) if t.phase == "test" else t
        for t in A[2]
    ]
    assert compare_studies([("bad", A[1], worse), A])["pairs"][0]["verdict"] == "a is better"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"environment": [{"id": "gymnax:Acrobot-v1"}]}, "environments"),
        ({"environment": [{"id": "gymnax:CartPole-v1", "task": {"gravity": 5.0}}]}, "tasks"),
        ({"learner": {"algorithm": "dqn", "hyperparameters": {}}}, "learners differ"),
        ({"evaluation": {"episodes": 8, "points": 5}}, "different numbers of episodes"),
    ],
)
def test_different_questions_are_pointed_out(change, words):
    outcome = compare_studies([A, ("other", sy.specification(**change), A[2])])
    assert any(words in warning for warning in outcome["warnings"])
    assert (outcome["pairs"] == []) == ("environment" in change)


def test_unequal_work_other_seeds_and_failures_are_pointed_out():
    fewer = [t for t in A[2] if not (t.phase == "search" and t.number >= 8)]
    assert any(
        "NOT equal work" in w and "a: 1.6 M; b: 800 k" in w
        for w in compare_studies([A, ("b", A[1], fewer)])["warnings"]
    )
    other = [replace(t, seeds=tuple(s + 1 for s in t.seeds)) if t.phase == "test" else t for t in A[2]]
    assert any("test seeds differ" in w for w in compare_studies([A, ("b", A[1], other)])["warnings"])
    failed = [
        replace(t, scores=((None, *t.scores[0][1:]),)) if (t.arm, t.phase) == ("method", "test") else t for t in A[2]
    ]
    outcome = compare_studies([A, ("b", A[1], failed)])
    assert any("b: 1 of 10 test trainings failed" in w for w in outcome["warnings"])
    worst = min(*scores(A), *scores(A)[1:])
    assert outcome["studies"][1]["score"] == pytest.approx(stats.trim_mean([worst, *scores(A)[1:]], 0.25))


def test_work_that_is_not_counted_is_pointed_out_as_in_the_report_of_the_study():
    search = {"space": "ppo_test", "method": "tpe"}
    own = {**search, "prior": {"name": "mine", "tasks": {"elsewhere": {}}, "source": "autorl prior fit"}}
    begun = {
        **search,
        "warm_start": {
            "study": "before",
            "retrain": 2,
            "taken": {"trials": 0, "configurations": 2, "left_out": {}, "test_seeds": 0},
        },
    }
    plain = sy.specification(search=search)
    for other, said in ((own, "the search drew by prior mine"), (begun, "whose work is not counted")):
        found = compare_studies([("a", plain, A[2]), ("b", sy.specification(search=other), A[2])])["warnings"]
        assert [w for w in found if w.startswith("NOT equal work: in b, ") and said in w]
    for same in (plain, sy.specification(search=own)):
        assert not any("work" in w for w in compare_studies([("a", same, A[2]), ("b", same, A[2])])["warnings"])


def test_a_search_that_was_cut_short_by_a_policy_was_granted_all_the_same():
    search = {"space": "ppo_test", "method": "tpe", "policy": {"name": "race", "settings": {}}}
    cut = [replace(t, status=Status.PRUNED, score=None) if (t.phase, t.number) == ("search", 3) else t for t in A[2]]
    cut = [replace(t, ledger=Ledger(train_env_steps=40_000)) if t.status is Status.PRUNED else t for t in cut]
    raced, plain = (sy.specification(trainings=16, **change) for change in ({"search": search}, {}))
    outcome = compare_studies([("a", plain, A[2]), ("b", raced, cut)])
    used = [s["search_env_steps"] for s in outcome["studies"]]
    assert used[1] < 0.99 * used[0]
    assert not any("NOT equal work" in w for w in outcome["warnings"])
    twice = sy.specification(trainings=32, search=search)
    assert any("a: 1.6 M; b: 3.2 M" in w for w in compare_studies([("a", plain, A[2]), ("b", twice, cut)])["warnings"])


def test_studies_without_a_test_have_no_score():
    outcome = compare_studies([A, ("young", A[1], A[2][:3])])
    assert outcome["studies"][1]["score"] is None
    assert outcome["pairs"] == []
    assert "young has no test result (search)." in outcome["warnings"]
    assert "Warning: young" in render(outcome)
    assert tables(outcome)[0].rows[1][3] == "-"


def test_empty_studies_compare_without_a_number():
    outcome = compare_studies([("x", A[1], []), ("y", A[1], [])])
    assert [s["score"] for s in outcome["studies"]] == [None, None]


@pytest.mark.parametrize("studies", [[], [A], [A, A]])
def test_needs_two_different_studies(studies):
    with pytest.raises(UsageError, match="compare"):
        compare_studies(studies)
