import itertools

import numpy as np
import pytest
from scipy import stats

from autorl.analysis import statistics as st

SCORES = np.random.default_rng(3).normal(size=(7, 3))


def test_iqm_by_hand():
    assert st.iqm([1, 2, 3, 4]) == 2.5  # 1 and 4 are cut
    assert st.iqm([100, 2, 3, -50, 4, 5, 6, 7]) == pytest.approx((3 + 4 + 5 + 6) / 4)
    assert st.iqm([5.0]) == 5.0
    assert st.iqm([[1, 2], [3, 4]]) == 2.5


@pytest.mark.parametrize("count", range(1, 24))
def test_iqm_is_scipys_trimmed_mean(count):
    values = np.random.default_rng(count).standard_cauchy(count)
    assert st.iqm(values) == pytest.approx(float(stats.trim_mean(values, 0.25)), rel=1e-12)


@pytest.mark.parametrize("bad", [[], [1.0, np.nan], [np.inf]])
def test_unusable_scores_are_refused(bad):
    with pytest.raises(ValueError, match="expected"):
        st.iqm(bad)


def test_bootstrap_of_the_mean_matches_the_exact_distribution():
    # Three values, one environment: all 27 resamples can be written down, and the percentiles with them.
    values = [0.0, 1.0, 5.0]
    exact = [np.mean(sample) for sample in itertools.product(values, repeat=3)]
    low, high = np.percentile(exact, [2.5, 97.5], method="inverted_cdf")
    got = st.stratified_bootstrap_interval(values, lambda x: x.mean(-1), resamples=20_000)
    assert (got.low, got.high) == pytest.approx((low, high))


def test_bootstrap_is_stratified():
    # Two environments far apart, no spread within: resampling within each leaves no spread at all.
    scores = np.stack([np.zeros(5), np.full(5, 100.0)], axis=1)
    assert st.stratified_bootstrap_interval(scores, lambda x: x.mean(-1)) == (50.0, 50.0)


def test_bootstrap_close_to_scipys():
    ours = st.stratified_bootstrap_interval(SCORES[:, 0], lambda x: x.mean(-1), resamples=20_000)
    theirs = stats.bootstrap(
        (SCORES[:, 0],), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(0)
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_bootstrap_covers_about_as_often_as_it_says():
    covered = 0
    for i in range(300):
        sample = np.random.default_rng(i).normal(size=30)
        low, high = st.stratified_bootstrap_interval(sample, resamples=400, seed=i)
        covered += low <= 0 <= high
    assert 0.88 <= covered / 300 <= 0.98


def test_seed_decides_and_confidence_widens():
    one = st.stratified_bootstrap_interval(SCORES, seed=1)
    assert one == st.stratified_bootstrap_interval(SCORES, seed=1)
    assert one != st.stratified_bootstrap_interval(SCORES, seed=2)
    wide = st.stratified_bootstrap_interval(SCORES, confidence=0.99, seed=1)
    assert wide.low < one.low < one.high < wide.high
    with pytest.raises(ValueError, match="confidence"):
        st.stratified_bootstrap_interval(SCORES, confidence=95)


def test_difference_of_shifted_arms():
    x = np.arange(10.0)
    low, high = st.bootstrap_difference(x + 100, x)
    assert low < 100 < high
    assert high - low < 20
    low, high = st.bootstrap_difference(x, x)
    assert low < 0 < high  # the two are resampled independently


def test_probability_of_improvement_is_mann_whitney():
    x, y = np.array([1.0, 2, 2, 5]), np.array([0.0, 2, 3])
    expected = stats.mannwhitneyu(x, y).statistic / (len(x) * len(y))
    assert expected == pytest.approx((1 + 1.5 + 1.5 + 3) / 12)
    got = st.probability_of_improvement(x, y)
    assert got.probability == pytest.approx(expected)
    assert got.interval.low <= expected <= got.interval.high
    assert st.probability_of_improvement([1, 2], [0, 0]) == (1.0, (1.0, 1.0))
    assert st.probability_of_improvement([1, 1], [1, 1]).probability == 0.5


def test_probability_of_improvement_averages_environments():
    x = np.array([[1.0, 0.0], [1.0, 0.0]])
    y = np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    assert st.probability_of_improvement(x, y).probability == pytest.approx((1 + (0.5 * 4) / 6) / 2)
    with pytest.raises(ValueError, match="environments"):
        st.probability_of_improvement(x, y[:, :1])


def test_performance_profile_by_hand():
    scores = [[0.0, 1.0], [2.0, 3.0]]
    assert st.performance_profile(scores, [-1, 0, 1.5, 3]).tolist() == [1.0, 0.75, 0.5, 0.0]


def test_failures_count_as_the_worst_of_all_arms_in_their_environment():
    filled = st.fill_failures({"a": [[1.0, None], [10.0, 20.0]], "b": [[-3.0], [None]]})
    assert filled is not None
    assert filled["a"].tolist() == [[1.0, 10.0], [-3.0, 20.0]]
    assert filled["b"].tolist() == [[-3.0, 10.0]]


def test_nothing_to_compare_when_an_environment_has_no_score():
    assert st.fill_failures({"a": [[None, None]], "b": [[None]]}) is None
    assert st.fill_failures({"a": [[1.0], [None]]}) is None
    assert st.fill_failures({}) is None
