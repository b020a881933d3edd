"""Trials that a policy cut at different places are shown with scores at one place, and the caption says which."""

from dataclasses import replace

import cut_study as cs
import pytest

from autorl.analysis import figures
from autorl.analysis.common_rung import at_common_rung
from autorl.analysis.figures_space import contours, parallel_coordinates
from autorl.analysis.report import render
from autorl.outer.protocol import Status
from autorl.studies.trial import AT_HURDLE


def test_scores_are_those_at_the_highest_checkpoint_that_ten_reached():
    trials = cs.halved(48)  # 48, 24, 12, 6, 3
    found = at_common_rung(trials, cs.specification())
    reached = [t for t in trials if t.env_steps >= 60]
    assert len(reached) == 12
    for before, after in zip(trials, found.trials, strict=True):
        if before.env_steps >= 60:
            # the mean of the last two checkpoints up to 60 % of the steps
            assert after.score == pytest.approx(sum(before.curves[0].scores[1:3]) / 2)
            assert after.status is Status.COMPLETED
        else:
            assert (after.score, after.status) == (None, Status.PRUNED)
    assert found.score == "score at 60 %"
    assert "at 60 % of the steps, which 12 of 48 trials reached: the mean of the last 2 checkpoints" in found.caption
    assert found.caption.endswith("on the first seed.")


def test_further_seeds_of_a_race_do_not_count_and_failures_have_no_score():
    flat = [1.0] * 5
    trials = [
        cs.trial(0, flat, [9.0] * 5),
        cs.trial(1, [3.0] * 5),
        cs.trial(2, [2.0]),
        cs.trial(3, [5.0] * 5, status=Status.DIVERGED),
    ]
    found = at_common_rung(trials, cs.specification())
    assert [t.score for t in found.trials] == [1.0, 3.0, 2.0, None], "fewer than ten trials: all that have a curve"
    assert found.trials[3].status is Status.DIVERGED
    assert "at 20 % of the steps, which 3 of 4 trials reached: that checkpoint alone" in found.caption


@pytest.mark.parametrize("policy", [None, "whole", {"name": "whole", "settings": {}}])
def test_without_a_policy_nothing_changes(policy):
    trials = cs.halved(12)
    found = at_common_rung(trials, cs.specification(policy=policy))
    assert (list(found.trials), found.score, found.caption) == (trials, "score", "")
    assert at_common_rung([], cs.specification()).caption == ""


def test_figures_show_who_reached_the_place_and_slices_where_the_others_were():
    found = at_common_rung(cs.halved(48), cs.specification())
    shown = found.trials, cs.SPACE, ["x"], None, found.score
    panel = figures.slices(*shown).axes[0]
    assert panel.get_ylabel() == "score at 60 %"
    assert len(panel.collections[0].get_offsets()) == 12
    marks = {drawn.get_marker(): len(drawn.get_xdata()) for drawn in panel.get_lines() if drawn.get_marker() in "|x"}
    assert marks == {"|": 36, "x": 0}
    axis = parallel_coordinates(*shown).axes[0]
    assert axis.get_xticklabels()[-1].get_text() == "score\nat 60 %"
    assert len([drawn for drawn in axis.get_lines() if len(drawn.get_xdata()) == 3]) == 12
    panel, bar = contours(*shown).axes
    assert bar.get_ylabel() == "mean score at 60 % nearby"
    assert len([drawn for drawn in panel.get_lines() if drawn.get_marker() == "o"]) == 12


def test_the_report_says_where_trials_were_compared_and_what_mattered():
    text = render(cs.halved(48), cs.specification(), {}, cs.SPACE)
    # under slices, parallel coordinates, contours, and the figures by Optuna
    assert text.count("compared at 60 % of the steps, which 12 of 48 trials reached") == 4
    assert "What set the best 5 of 48 trials apart" in text


def test_a_pruned_trial_keeps_what_it_scored():
    trials = [replace(t, values={AT_HURDLE: 0.5}) for t in cs.halved(12)]
    assert all(t.values == {AT_HURDLE: 0.5} for t in at_common_rung(trials, cs.specification()).trials)


def test_where_a_policy_cut_seeds_alone_scores_are_what_they_are():
    trials = [cs.trial(0, [1.0] * 5, [9.0] * 5), cs.trial(1, [3.0] * 5)]
    found = at_common_rung(trials, cs.specification())
    assert (list(found.trials), found.caption) == (trials, "")
