"""Figures of a curriculum, from diaries that were made up."""

import jax.numpy as jnp
import numpy as np
import pytest

from autorl.analysis.curriculum import curriculum
from autorl.analysis.curriculum_figures import _bins, curriculum_figure, curves_figure
from autorl.environments.features import Feature
from autorl.inner.diary import Episodes, empty_diary, written

FEATURES = [Feature("length", 0.1, 10.0, log=True), Feature("angle", -1.0, 1.0)]


def found(trainings=3, score_range=None, held_out=True, failed=False, measure="return", over="mean"):
    rng = np.random.default_rng(0)
    lessons = []
    for _ in range(trainings):
        episodes = np.zeros((20, 2, 16))
        episodes[:, :, 4:12] = 5
        diary = {"episodes": episodes, "returns": episodes * rng.uniform(0, 100, episodes.shape), "successes": episodes}
        kept = {name: values.tolist() for name, values in diary.items()}
        lessons.append({"environment": 0, "diary": {**kept, "unlearned": [0] * 20}})
    scores = [[40.0, None if failed and t == 0 else 60.0 + t] for t in range(trainings)]
    told = {"env_steps": [500, 1000], "scores": scores, "held_out": held_out}
    scale = {"score_range": score_range, "measure": measure, "over": over}
    return {**curriculum(lessons, FEATURES, 1000), "evaluations": told, **scale}


def test_heat_maps_of_what_was_played_what_it_paid_and_the_progress_on_the_scale_of_each_dimension():
    figure = curriculum_figure(found(), "study")
    maps = [axis for axis in figure.axes if axis.patches]
    assert [axis.get_title(loc="left") for axis in maps[:3]] == [
        "share of episodes",
        "mean return",
        "learning progress",
    ]
    assert [axis.get_yscale() for axis in maps] == ["log"] * 3 + ["linear"] * 3
    assert [axis.get_ylabel() for axis in maps] == ["length", "", "", "angle", "", ""]
    assert "absolute change of a cell's mean return" in figure.get_suptitle().replace("\n", " ")
    # the fifth to twelfth of sixteen bins were played: for a log scale equal ratios apart
    for axis, borders in ((maps[0], FEATURES[0].at([0.25, 0.75])), (maps[3], FEATURES[1].at([0.25, 0.75]))):
        heights = np.concatenate([patch.get_path().vertices[:, 1] for patch in axis.patches])
        assert (heights[heights != 0].min(), heights.max()) == pytest.approx(tuple(borders), abs=1e-9)
    assert curriculum_figure(found(), "study", most=1).axes[0].get_ylabel() == "length"
    assert sum(bool(axis.patches) for axis in curriculum_figure(found(), "study", most=1).axes) == 3
    figure.canvas.draw()


@pytest.mark.parametrize(("high", "rows"), [(1.0, [-0.5, 0.5, 1.5]), (10.0, np.arange(12) - 0.5)])
def test_whole_numbers_are_cells_of_their_own(high, rows):
    """Sixteen bins over eleven numbers have five that can hold none, which looked like tasks that were never played."""
    feature = Feature("steps", 0.0, high, whole=True)
    numbers = np.arange(int(high) + 1)
    told = written(
        empty_diary(1),
        Episodes(jnp.asarray(numbers / high)[:, None], *[jnp.ones(len(numbers))] * 2, *[jnp.ones(len(numbers), bool)] * 2),
        jnp.float32(0.0),
    )  # fmt: skip
    counts = np.asarray(told.episodes)[0, 0]
    bins, borders = _bins(feature, 16)
    np.testing.assert_array_equal(counts[bins], 1)
    assert counts.sum() == len(bins)
    np.testing.assert_array_equal(borders, rows)
    broken = Feature("size", 3.5, 6.5, whole=True)
    np.testing.assert_array_equal(_bins(broken, 16)[0], ((np.array([4, 5, 6]) - 3.5) / 3.0 * 16).astype(int))
    np.testing.assert_array_equal(_bins(broken, 16)[1], [3.5, 4.5, 5.5, 6.5])
    assert len(_bins(feature._replace(whole=False), 16)[0]) == 16
    assert len(_bins(feature._replace(high=16.0), 16)[0]) == 16, "more numbers than bins"


def test_the_first_interval_has_no_progress():
    maps = [axis for axis in curriculum_figure(found(), "study").axes if axis.patches]
    first = [min(patch.get_path().vertices[:, 0].min() for patch in axis.patches) for axis in maps[:3]]
    assert first == [0.0, 0.0, 50.0]


def lines(axis):
    return {line.get_label(): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in axis.lines}


def test_curves_of_training_and_held_out_tasks_are_on_one_scale():
    own = found(score_range=[0, 200])
    figure = curves_figure({"method": own, "teacher:uniform": found(score_range=[0, 200])}, "tpe", "e")
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["tpe", "teacher uniform"]
    drawn = lines(figure.axes[0])
    x, y = drawn["training, under the teacher"]
    assert x[:2].tolist() == [25, 75], "the middle of an interval"
    assert y[0] == pytest.approx(np.mean([row[0] for row in own["training_returns"]]) / 200)
    assert drawn["held-out tasks"][1].tolist() == [40.0, 61.0], "scores already"
    assert figure.axes[0].get_ylabel() == "score"
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_where_success_is_measured_training_is_shown_by_it_too():
    (axis,) = curves_figure({"method": found(measure="success")}, "tpe", "e").axes
    assert lines(axis)["training, under the teacher"][1].tolist() == [1.0] * 20
    assert axis.get_ylabel() == "success"


def test_evaluations_are_called_by_the_tasks_that_they_are_the_mean_over():
    (axis,) = curves_figure({"method": found(measure="success", over="cvar")}, "tpe", "e").axes
    assert set(lines(axis)) == {"training, under the teacher", "worst tenth of the held-out tasks"}


def test_a_training_that_failed_counts_as_the_worst_and_other_evaluations_are_called_so():
    (axis,) = curves_figure({"method": found(held_out=False, failed=True)}, "tpe", "e").axes
    drawn = lines(axis)
    assert drawn["evaluation"][1][1] == pytest.approx(np.mean([40.0, 61.0, 62.0]))
    assert axis.get_ylabel() == "return"
    empty = found()
    empty["evaluations"] = {"env_steps": [], "scores": [], "held_out": False}
    assert list(lines(curves_figure({"method": empty}, "tpe", "e").axes[0])) == ["training, under the teacher"]
