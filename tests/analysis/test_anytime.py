"""Anytime performance: by hand, by brute force over all orders, and as drawn."""

import itertools

import numpy as np
import pytest
import synthetic as sy
from scipy import stats

from autorl.analysis import anytime
from autorl.outer.protocol import Status
from autorl.studies.trial import Trial

SPECIFICATION = sy.specification()


def trials(*scores, arm="random", env_steps=100):
    return [
        Trial(
            arm,
            "search",
            i,
            {},
            env_steps,
            seeds=(1,),
            status=Status.DIVERGED if s is None else Status.COMPLETED,
            score=s,
        )
        for i, s in enumerate(scores)
    ]


def test_best_so_far_by_hand():
    found = anytime.best_so_far(trials(None, 2.0, 1.0, None, 5.0), SPECIFICATION)
    assert found.work.tolist() == [200, 300, 400, 500], "from the first that completed; failures cost work"
    assert found.score.tolist() == [2.0, 2.0, 2.0, 5.0]
    assert anytime.best_so_far(trials(None, None), SPECIFICATION) is None
    assert anytime.best_so_far([], SPECIFICATION) is None


def test_all_orders_of_a_random_search_are_counted_exactly():
    scores = [3.0, None, 7.0, 1.0, 7.0, 2.0]
    found = anytime.over_all_orders(trials(*scores), SPECIFICATION)
    filled = [1.0 if s is None else s for s in scores]  # a failure is the worst that completed
    for k in range(1, 7):
        best = np.array([max(order[:k]) for order in itertools.permutations(filled)])
        assert found.score[k - 1] == pytest.approx(best.mean())
        # the smallest score that at least this share of all orders does not exceed
        for ends, share in ((found.low, 0.025), (found.high, 0.975)):
            assert ends[k - 1] == min(x for x in filled if np.mean(best <= x) >= share - 1e-12)
    assert found.work.tolist() == [100, 200, 300, 400, 500, 600]
    assert (found.score[-1], found.low[-1], found.high[-1]) == (7.0, 7.0, 7.0), "all orders end alike"
    assert anytime.over_all_orders(trials(None, None), SPECIFICATION) is None


def test_many_trials_do_not_overflow():
    found = anytime.over_all_orders(trials(*np.arange(2000.0)), SPECIFICATION)
    assert np.isfinite(found.score).all()
    assert (np.diff(found.score) > 0).all()
    assert found.score[-1] == pytest.approx(1999)


def test_repeats_have_the_interquartile_mean_where_all_have_begun():
    curves = [anytime.Curve(np.array([100.0, 200.0, 300.0]), np.array([1.0, 2.0, x])) for x in (3.0, 5.0, 10.0, 11.0)]
    curves.append(anytime.Curve(np.array([200.0, 400.0]), np.array([4.0, 20.0])))
    found = anytime.over_repeats(curves)
    assert (found.work[0], found.work[-1]) == (200, 300)
    assert found.score[0] == pytest.approx(stats.trim_mean([2, 2, 2, 2, 4], 0.25))
    assert found.score[-1] == pytest.approx(stats.trim_mean([3, 5, 10, 11, 4], 0.25))
    assert (found.low <= found.score).all()
    assert (found.score <= found.high).all()
    assert found.low[-1] < found.high[-1]
    assert anytime.over_repeats(curves[:1]) is None
    assert anytime.over_repeats([curves[0], anytime.Curve(np.array([900.0]), np.array([1.0]))]) is None


def test_the_figure_has_both_arms_and_the_interval_of_the_random_one():
    study = sy.study(count=12)
    (axis,) = anytime.anytime_figure(study, SPECIFICATION).axes
    labels = [drawn.get_label() for drawn in axis.get_lines()]
    assert labels == ["tpe", "random search: mean and 95 % over all orders of its trials"]
    ours = [t for t in study if (t.arm, t.phase) == ("method", "search")]
    best = np.maximum.accumulate([t.score for t in ours if t.score is not None])
    assert axis.get_lines()[0].get_ydata() == pytest.approx(best)
    assert len(axis.collections) == 1
    (axis,) = anytime.anytime_figure(ours, sy.specification("random")).axes
    assert len(axis.collections) == 1, "a study of random search alone has the interval, too"
    text = anytime.anytime_figure([], SPECIFICATION).axes[0].texts[0].get_text()
    assert text == "No search trial has completed."
