"""Studies side by side as a page: profiles, probability of improvement, anytime performance."""

import numpy as np
import pytest
import synthetic as sy
from test_report import Page

from autorl.analysis import compare_page
from autorl.analysis.compare import compare_studies
from autorl.analysis.statistics import performance_profile, profile_interval
from autorl.errors import UsageError

A = ("a", sy.specification(), sy.study(count=12))
B = ("b", sy.specification("pbt"), sy.pbt_study())
AGAIN = ("a <again>", sy.specification(), sy.study(count=10))


def scores_of(study):
    return np.array(next(t for t in study[2] if (t.arm, t.phase) == ("method", "test")).scores).T


def test_the_page_has_everything_and_nothing_from_elsewhere(tmp_path):
    compare_page.write_page(tmp_path / "page.html", [A, B, AGAIN])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.headings == ["a and b and a <again>", "Warnings", "Result", "On gymnax:CartPole-v1"]
    for words in (
        "Performance profiles",
        "Probability of improvement",
        "Anytime performance",
        "NOT equal work",
        "a above b",
    ):
        assert words in page.text
    assert not page.tags & {"script", "link", "img", "image"}
    assert len(page.ids) == len(set(page.ids))
    assert compare_page.render_page([A, B, AGAIN]) == text


def test_profiles_are_those_of_the_test_scores():
    scores = {"a": scores_of(A), "b": scores_of(B)}
    (axis,) = compare_page.profiles(scores).axes
    for name, drawn in zip(scores, axis.get_lines(), strict=True):
        assert drawn.get_label() == name
        assert drawn.get_ydata() == pytest.approx(performance_profile(scores[name], drawn.get_xdata()))
    assert axis.get_lines()[0].get_ydata()[[0, -1]].tolist() == [1.0, 0.0]
    assert len(axis.collections) == 2


def test_the_interval_of_a_profile_holds_it_and_is_that_of_a_share():
    scores = np.arange(20.0)[:, None]
    low, high = profile_interval(scores, [-1.0, 9.5, 30.0], seed=1)
    assert (low[0], high[0], low[2], high[2]) == (1.0, 1.0, 0.0, 0.0)
    # of 20 fair coins: 0.5 +- 1.96 sqrt(0.25 / 20)
    assert (low[1], high[1]) == pytest.approx((0.281, 0.719), abs=0.04)


def test_improvement_has_a_row_for_each_pair():
    pairs = compare_studies([A, B, AGAIN])["pairs"]
    (axis,) = compare_page.improvement(pairs).axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ["a above b", "a above a <again>", "b above a <again>"]
    dots = [d.get_xdata()[0] for d in axis.get_lines() if d.get_marker() == "o"]
    assert dots == [p["probability_of_improvement"] for p in pairs]
    assert "needs two studies" in compare_page.improvement([]).axes[0].texts[0].get_text()


def test_repeats_of_a_method_are_one_curve_with_an_interval():
    (axis,) = compare_page.anytime([A, B, AGAIN], [None] * 3).axes
    assert [d.get_label() for d in axis.get_lines()] == ["tpe: interquartile mean and 95 % of 2 studies", "pbt (b)"]
    assert len(axis.collections) == 1
    (axis,) = compare_page.anytime([A, B], [None] * 2).axes
    assert [d.get_label() for d in axis.get_lines()] == ["tpe (a)", "pbt (b)"]
    alone = compare_page.anytime([A, AGAIN], [None] * 2)
    assert "(search seeds: no result). tpe: interquartile mean and 95 % of 2 studies" in alone.get_suptitle().replace(
        "\n", " "
    )


def test_searches_of_one_method_that_differ_are_no_repeats():
    dqn = ("d", sy.specification(learner={"algorithm": "dqn", "hyperparameters": {}}), A[2])
    later = (
        "a later",
        sy.specification(seeds={"study": 1, "search": 1, "tuning": 2, "test": 10}, finalists=1),
        AGAIN[2],
    )
    (axis,) = compare_page.anytime([A, dqn], [None] * 2).axes
    assert ([d.get_label() for d in axis.get_lines()], len(axis.collections)) == (["tpe (a)", "tpe (d)"], 0)
    (axis,) = compare_page.anytime([A, later, dqn], [None] * 3).axes
    assert [d.get_label() for d in axis.get_lines()] == ["tpe (a): interquartile mean and 95 % of 2 studies", "tpe (d)"]
    (axis,) = compare_page.anytime([A, ("b", sy.specification(trainings=24), AGAIN[2])], [None] * 2).axes
    assert [d.get_label() for d in axis.get_lines()] == ["tpe (a)", "tpe (b)"], "another budget"
    long = "/studies/search_over_curricula_cartpole"
    (axis,) = compare_page.anytime([(f"/a{long}", *A[1:]), (f"/b{long}", *dqn[1:])], [None] * 2).axes
    assert len({d.get_label() for d in axis.get_lines()}) == 2, "though both names are shortened alike"


def test_studies_of_different_questions_share_no_figure():
    other = ("c", sy.specification(environment=[{"id": "gymnax:Acrobot-v1"}]), A[2])
    page = Page(compare_page.render_page([A, AGAIN, other]))
    assert "On gymnax:CartPole-v1" in page.headings
    assert "On gymnax:Acrobot-v1" not in page.headings
    with pytest.raises(UsageError, match="at least two studies"):
        compare_page.render_page([A])
