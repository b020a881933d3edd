import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
import synthetic as sy
from scipy import stats

from autorl.analysis import axes, figures, figures_pbt, style
from autorl.analysis.importance import Importances, importances
from autorl.analysis.result import summarise
from autorl.analysis.statistics import stratified_bootstrap_interval
from autorl.outer.lineage import ancestors, describe
from autorl.outer.protocol import Status
from autorl.spaces import Bool, Categorical, Float, HyperparameterSpace, Int
from autorl.studies.trial import Curve, Trial

SPECIFICATION = sy.specification()
STUDY = sy.study(count=24)
PBT = sy.pbt(6, 4)
RESULT = summarise(STUDY, SPECIFICATION)


def searched(trials=STUDY, arm="method"):
    return [t for t in trials if (t.arm, t.phase) == (arm, "search")]


def texts(figure):
    """All text as shown, from the SVG."""
    root = ElementTree.fromstring(style.to_svg(figure, "t"))
    return [re.sub(r"\s+", " ", "".join(node.itertext())).strip() for node in root.iter("text")]


def line(axis, label):
    (found,) = [drawn for drawn in axis.get_lines() if drawn.get_label() == label]
    return found


def test_learning_curves_show_the_trimmed_means_of_the_test_seeds():
    figure = figures.learning_curves(STUDY, SPECIFICATION)
    (axis,) = figure.axes
    for arm, label in (("method", "tpe"), ("random", "random search"), ("default", "default configuration")):
        (trial,) = [t for t in STUDY if (t.arm, t.phase) == (arm, "test")]
        points = np.array([c.scores for c in trial.curves]).T
        drawn = line(axis, label)
        assert drawn.get_xdata().tolist() == list(trial.curves[0].env_steps)
        assert drawn.get_ydata() == pytest.approx(stats.trim_mean(points, 0.25, axis=1))
    band = axis.collections[0].get_paths()[0].vertices
    (trial,) = [t for t in STUDY if (t.arm, t.phase) == ("method", "test")]
    low, high = stratified_bootstrap_interval([c.scores[-1] for c in trial.curves], resamples=1000, seed=sy.STEPS)
    last = band[band[:, 0] == sy.STEPS][:, 1]
    assert (last.min(), last.max()) == pytest.approx((low, high))


def test_a_training_that_diverged_early_counts_as_the_worst_in_the_curve():
    def curve(seed, *values):
        return Curve(0, seed, tuple(range(1, 1 + len(values))), values)

    trial = Trial(
        "method", "test", 0, {}, 2, seeds=(0, 1), status=Status.DIVERGED, curves=(curve(0, 4.0, 10.0), curve(1, 2.0))
    )
    drawn = figures.learning_curves([trial], SPECIFICATION).axes[0].get_lines()[0]
    assert drawn.get_ydata().tolist() == [3.0, 6.0]  # (4 + 2) / 2, then (10 + worst 2) / 2


def test_one_panel_for_each_environment():
    two = sy.specification(environment=[{"id": "gymnax:CartPole-v1"}, {"id": "gymnax:Acrobot-v1"}])
    trial = sy.train(Trial("method", "test", 0, {}, sy.STEPS, seeds=(1, 2, 3)), environments=2)
    figure = figures.learning_curves([trial], two)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["CartPole-v1", "Acrobot-v1"]
    second = np.array([c.scores for c in trial.curves if c.environment == 1]).mean(0)  # three seeds: nothing is trimmed
    assert figure.axes[1].get_lines()[0].get_ydata() == pytest.approx(second)


def test_arm_scores_show_every_training_once_and_failures_apart():
    (axis,) = figures.arm_scores(RESULT).axes
    for arm in ("method", "random", "default"):
        (trial,) = [t for t in STUDY if (t.arm, t.phase) == (arm, "test")]
        dots = [d.get_xdata() for d in axis.get_lines() if len(d.get_xdata()) == 10]
        assert any(np.allclose(np.sort(x), np.sort(trial.scores[0])) for x in dots)
    failed = {**RESULT["arms"]["method"], "scores": [[None, 4.0, 6.0]], "interval": None, "score": 4.0}
    (axis,) = figures.arm_scores({"method": "tpe", "arms": {"method": failed}}).axes
    crosses = [d for d in axis.get_lines() if d.get_marker() == "x"]
    assert crosses[0].get_xdata().tolist() == [4.0]


def test_history_is_the_running_maximum_over_work():
    figure = figures.optimisation_history(STUDY, SPECIFICATION)
    (axis,) = figure.axes
    for arm, label in (("method", "tpe"), ("random", "random search")):
        own = searched(arm=arm)
        drawn = line(axis, f"{label}: best so far")
        told = [t for t in own if t.score is not None]
        assert drawn.get_ydata() == pytest.approx(np.maximum.accumulate([t.score for t in told]))
        assert drawn.get_xdata() == pytest.approx([sy.STEPS * (t.number + 1) for t in told])
    failed = [t for t in STUDY if t.phase == "search" and t.score is None]
    assert len(line(axis, f"failed ({len(failed)})").get_xdata()) == len(failed) > 0
    assert "no result" in texts(figure)[-1] + " ".join(texts(figure))


def test_work_aligns_arms_whose_trials_differ_in_length():
    trials = [*PBT, *sy.search(sy.PBT_SPACE, "random", 6)]
    (axis,) = figures.optimisation_history(trials, sy.specification("pbt")).axes
    ends = [line(axis, f"{name}: best so far").get_xdata()[-1] for name in ("pbt", "random search")]
    assert ends[0] == pytest.approx(ends[1], rel=0.01)


def test_an_outlier_far_below_does_not_flatten_the_rest():
    scores = [*np.linspace(90, 100, 30), -1e6]
    low, high = style.score_limits(scores)
    assert 60 < low < 90
    assert 100 < high < 105
    trials = [replace(t, score=s) for t, s in zip(sy.search(count=31), scores, strict=True)]
    figure = figures.optimisation_history(trials, SPECIFICATION)
    assert any("1 below, down to -1e+06" in text for text in texts(figure))
    assert style.score_limits([5.0, 5.0]) == pytest.approx((4.75, 5.25))
    assert style.score_limits([0.0]) == (-1.0, 1.0)
    spread = np.linspace(0, 500, 50)
    assert style.score_limits(spread)[0] < 0


def test_importance_bars_have_the_lengths_of_the_shares():
    found = importances(searched(), sy.SPACE)
    (axis,) = figures.importance_bars(found).axes
    assert [bar.get_width() for bar in axis.patches] == pytest.approx(list(found.shares.values()))
    assert [t.get_text() for t in axis.get_yticklabels()] == list(found.shares)
    assert texts(figures.importance_bars(Importances(message="too few"))) == ["too few"]


def test_slices_place_every_trial_once_in_every_active_panel():
    own = searched()
    figure = figures.slices(own, sy.SPACE, ["gamma"], winner=own[3].number)
    panels = {axis.get_xlabel(): axis for axis in figure.axes if axis.get_visible()}
    assert list(panels)[0] == "gamma"  # noqa: RUF015
    assert set(panels) == set(sy.SPACE.dimensions)
    offsets = np.asarray(panels["learning_rate"].collections[0].get_offsets())
    assert offsets[:, 0] == pytest.approx([t.candidate["learning_rate"] for t in own if t.score is not None])
    assert offsets[:, 1] == pytest.approx([t.score for t in own if t.score is not None])
    active = [t for t in own if "vf_clip_eps" in t.candidate]
    assert 0 < len(active) < len(own)
    assert len(panels["vf_clip_eps"].collections[0].get_offsets()) == len(active)
    assert panels["learning_rate"].get_xscale() == "log"
    ring = panels["learning_rate"].get_lines()[-1]
    assert ring.get_xdata().tolist() == [own[3].candidate["learning_rate"]]


def test_slices_of_a_large_space_say_what_is_left_out():
    space = HyperparameterSpace("big", {f"x{i:02}": Float(0, 1) for i in range(20)})
    own = [Trial("method", "search", i, space.sample(i), 1, status=Status.COMPLETED, score=float(i)) for i in range(3)]
    figure = figures.slices(own, space, ["x19"])
    assert any("16 of 20 shown" in text for text in texts(figure))
    assert "x19" in texts(figure)


def test_schedule_draws_every_stage_and_stresses_the_winners_lineage():
    winner = max((t for t in PBT if t.generation == 3), key=lambda t: t.score)
    figure = figures_pbt.pbt_schedule(PBT, sy.PBT_SPACE, winner.number)
    panels = {axis.get_title(loc="left"): axis for axis in figure.axes}
    grey, blue = panels["learning_rate"].collections
    chain = ancestors(PBT, winner.number)
    rows = {row["number"]: row for row in describe(PBT)}
    level = [segment for segment in blue.get_segments() if segment[0][1] == segment[1][1]]
    expected = [
        (rows[t.number]["from_env_steps"], rows[t.number]["until_env_steps"], t.candidate["learning_rate"])
        for t in chain
    ]
    assert [(s[0][0], s[1][0], s[0][1]) for s in level] == expected
    assert len([s for s in grey.get_segments() if s[0][1] == s[1][1]]) == len(PBT) - len(chain)
    assert panels["learning_rate"].get_yscale() == panels["gamma"].get_yscale() == "log"
    assert panels["ent_coef"].get_yscale() == "linear"
    assert [t.get_text() for t in panels["normalize_observations"].get_yticklabels()] == ["false", "true"]


def test_lineage_has_a_dot_a_trial_and_a_line_a_child():
    figure = figures_pbt.lineage(PBT, PBT[-1].number)
    axis = figure.axes[0]
    grey, blue, failed, dots = axis.collections
    assert len(dots.get_offsets()) + len(failed.get_offsets()) == len(PBT)
    children = sum(t.parent is not None for t in PBT)
    assert len(grey.get_segments()) + len(blue.get_segments()) == children
    assert len(blue.get_segments()) == 3
    assert figures_pbt.lineage(PBT, None).axes[0].collections[1].get_segments() == []


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (lambda: figures.learning_curves([], SPECIFICATION), "No learning curves"),
        (lambda: figures.arm_scores(summarise([], SPECIFICATION)), "No test scores"),
        (lambda: figures.optimisation_history([], SPECIFICATION), "No search trial"),
        (lambda: figures.slices([], sy.SPACE), "No hyperparameters"),
        (lambda: figures.slices(searched(), None), "No hyperparameters"),
        (lambda: figures_pbt.pbt_schedule([], sy.PBT_SPACE, 0), "No schedule"),
        (lambda: figures_pbt.lineage(searched(), 0), "No lineage"),
    ],
)
def test_nothing_to_show_is_said_in_words(figure, words):
    assert words in " ".join(texts(figure()))


def test_all_failed():
    failed = [replace(t, status=Status.DIVERGED, score=None, scores=((None,),)) for t in PBT]
    for figure in (
        figures.optimisation_history(failed, SPECIFICATION),
        figures.slices(failed, sy.PBT_SPACE),
        figures_pbt.pbt_schedule(failed, sy.PBT_SPACE, failed[-1].number),
        figures_pbt.lineage(failed, failed[-1].number),
    ):
        assert style.to_svg(figure, "x").startswith("<svg")


def test_a_value_stands_where_it_was_searched():
    gamma = Float(0.8, 0.9999, scale="one_minus_log")
    assert axes.place(gamma, 0.99) == pytest.approx(0.01)
    assert axes.place(Categorical(("a", "b")), "b") == 1.0
    assert axes.place(Bool(), True) == 1.0
    assert axes.place(Float(0, 1), 3.0) is None
    assert axes.place(Float(0, 1), None) is None
    _, (axis,) = style.new_figure(2)
    axes.scale(axis, "x", gamma)
    low, high = axis.get_xlim()
    assert low > 0.2 > 0.0001 > high  # 1 - value, so that larger values stand to the right
    assert axis.xaxis.get_major_formatter()(0.01) == "0.99"
    axes.scale(axis, "y", Int(8, 512, log=True))
    assert axis.get_yscale() == "log"


def test_svg_is_self_contained_reproducible_and_shares_a_page():
    one = style.to_svg(figures.optimisation_history(STUDY, SPECIFICATION), "one")
    again = style.to_svg(figures.optimisation_history(STUDY, SPECIFICATION), "one")
    other = style.to_svg(figures.optimisation_history(STUDY, SPECIFICATION), "other")
    assert one == again
    assert "http" not in one
    assert "data:" not in one
    assert not set(re.findall(r'\bid="([^"]+)"', one)) & set(re.findall(r'\bid="([^"]+)"', other))
    ids = set(re.findall(r'\bid="([^"]+)"', one))
    referred = set(re.findall(r"url\(#([^)]+)\)", one)) | set(re.findall(r'href="#([^"]+)"', one))
    assert referred
    assert referred <= ids
    assert "var(--ink" in one
    assert "var(--method" in one


def test_the_lineages_colour_bar_is_no_image():
    svg = style.to_svg(figures_pbt.lineage(PBT, 0), "l")
    assert "<image" not in svg


def test_hostile_names_are_escaped():
    space = HyperparameterSpace("x", {"<script>alert(1)</script>": Float(0, 1)})
    own = [Trial("method", "search", i, space.sample(i), 1, status=Status.COMPLETED, score=1.0 * i) for i in range(3)]
    svg = style.to_svg(figures.slices(own, space), "x")
    assert "<script" not in svg
    assert "<script>alert(1)</script>" in texts(figures.slices(own, space))


def test_png():
    image = style.to_png(figures.arm_scores(RESULT), 60)
    assert image.startswith(b"\x89PNG")
    assert len(io.BytesIO(image).read()) > 2000


def test_no_pyplot_and_no_global_state():
    import sys

    import matplotlib

    before = dict(matplotlib.rcParams)
    style.to_svg(figures.arm_scores(RESULT), "a")
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
