"""Selection bias: tuning score minus test score, as recomputed; and failures counted by kind."""

from dataclasses import replace

import pytest
import synthetic as sy
from scipy import stats

from autorl.analysis.result import summarise
from autorl.analysis.selection_bias import selection_bias, sentences
from autorl.analysis.statistics import bootstrap_difference
from autorl.analysis.tables import failure_kinds_table, render_result
from autorl.keys import derive
from autorl.outer.protocol import Status

SPECIFICATION = sy.specification()
STUDY = sy.study(count=20)
ELSEWHERE = sy.specification(
    environment=[{"id": "gymnax:CartPole-v1"}, {"id": "gymnax:Acrobot-v1", "role": "held_out"}]
)


def trial(arm, phase, **fields):
    (found,) = [
        t for t in STUDY if (t.arm, t.phase) == (arm, phase) and all(getattr(t, k) == v for k, v in fields.items())
    ]
    return found


@pytest.mark.parametrize("arm", ["method", "random"])
def test_the_bias_is_recomputed(arm):
    own = selection_bias(STUDY, SPECIFICATION)[arm]
    test = trial(arm, "test")
    finalist, searched = trial(arm, "finalists", source=test.source), trial(arm, "search", number=test.source)
    ends = [[curve.scores[-1] for curve in t.curves] for t in (searched, finalist, test)]
    search, tuning, tested = (stats.trim_mean(scores, 0.25) for scores in ends)
    assert (own["search"], own["tuning"], own["test"]) == pytest.approx((search, tuning, tested))
    assert own["tuning_minus_test"] == pytest.approx(tuning - tested)
    assert own["search_minus_test"] == pytest.approx(search - tested)
    seed = derive(0, "bootstrap", "selection bias", arm)
    assert own["interval"] == list(bootstrap_difference(ends[1], ends[2], seed=seed))
    assert (own["search_seeds"], own["tuning_seeds"]) == (1, 5)


def test_agents_that_still_learn_are_no_bias():
    """The search scores a training by several evaluations, the test by the last one: on a rising curve they differ, whatever the seeds."""
    steps, rising = (1, 2, 3, 4, 5), (0.0, 0.25, 0.5, 0.75, 1.0)

    def risen(trial):
        score = 1.0 if trial.phase == "test" else 0.75
        curves = tuple(replace(curve, env_steps=steps, scores=rising) for curve in trial.curves)
        return replace(trial, curves=curves, scores=((score,) * len(trial.seeds),), score=score)

    for own in selection_bias([*map(risen, STUDY)], SPECIFICATION).values():
        assert (own["search"], own["tuning"], own["test"]) == (1.0, 1.0, 1.0)
        assert (own["tuning_minus_test"], own["search_minus_test"], own["interval"]) == (0.0, 0.0, [0.0, 0.0])


def test_it_is_printed_and_in_the_result():
    result = summarise(STUDY, SPECIFICATION)
    ours, theirs = sentences(result["selection_bias"])
    assert ours.startswith("Selection bias of tpe: at the end of training its winner scored ")
    assert theirs.startswith("Selection bias of random search: ")
    assert "tuning minus test" in ours
    assert "search minus test" in ours
    printed = render_result(result)
    assert ours in printed
    assert theirs in printed


def test_one_finalist_has_no_tuning_score():
    few = [t for t in STUDY if t.phase != "finalists"]
    own = selection_bias(few, SPECIFICATION)["method"]
    assert (own["tuning"], own["tuning_minus_test"], own["interval"]) == (None, None, None)
    assert "tuning" not in own["sentence"]
    assert "search minus test" in own["sentence"]


def test_failed_test_trainings_count_as_the_worst_of_both_sides():
    test = trial("method", "test")
    hurt = [replace(t, scores=((None, *t.scores[0][1:]),)) if t is test else t for t in STUDY]
    finalist = trial("method", "finalists", source=test.source)
    worst = min(*finalist.scores[0], *test.scores[0][1:])
    own = selection_bias(hurt, SPECIFICATION)["method"]
    assert own["test"] == pytest.approx(stats.trim_mean([worst, *test.scores[0][1:]], 0.25))


def test_there_is_none_where_there_is_nothing_to_compare():
    assert selection_bias([], SPECIFICATION) == {}
    assert selection_bias([t for t in STUDY if t.phase != "test"], SPECIFICATION) == {}
    assert selection_bias([trial("default", "test")], SPECIFICATION) == {}
    few = [t for t in STUDY if t.phase != "finalists"]
    assert selection_bias(few, ELSEWHERE) == {}, "a test elsewhere differs by more than seeds"


@pytest.mark.parametrize("arm", ["method", "random"])
def test_where_the_test_is_elsewhere_search_and_tuning_seeds_are_compared(arm):
    own = selection_bias(STUDY, ELSEWHERE)[arm]
    finalist = trial(arm, "finalists", source=trial(arm, "test").source)
    searched = trial(arm, "search", number=finalist.source)
    tuning = stats.trim_mean(finalist.scores[0], 0.25)
    assert (own["search"], own["tuning"]) == pytest.approx((searched.score, tuning))
    assert own["search_minus_tuning"] == pytest.approx(searched.score - tuning)
    assert (own["search_seeds"], own["tuning_seeds"]) == (1, 5)
    assert "test" not in own
    assert own["sentence"].endswith("the test is in other environments.")
    assert own["sentence"] in render_result(summarise(STUDY, ELSEWHERE))


def test_failures_are_counted_by_kind():
    kinds = [Status.DIVERGED, Status.CRASHED, Status.DIVERGED, Status.OUT_OF_MEMORY, Status.PRUNED, Status.DIVERGED]
    failed = [
        replace(
            t, status=kind, score=None, message=f"{kind} {t.number}", arm="random" if kind is Status.CRASHED else t.arm
        )
        for t, kind in zip(sy.search(count=6), kinds, strict=True)
    ]
    table = failure_kinds_table([*failed, trial("method", "test")], "tpe")
    assert table.rows == (
        ("diverged", "3", "tpe, search: 3", "diverged 0"),
        ("crashed", "1", "random search, search: 1", "crashed 1"),
        ("out of memory", "1", "tpe, search: 1", "out_of_memory 3"),
    )
    assert failure_kinds_table([], "tpe").rows == ()
