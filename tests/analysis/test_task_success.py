"""Success in each held-out task, from lessons that were made up."""

import numpy as np
import pytest

from autorl.analysis.task_success import task_success, task_success_figure
from autorl.studies.specification import from_mapping


def study(tasks, score_range=(0, 10)):
    environment = {"id": "contextual:CartPole-wide", "tasks": tasks}
    if score_range is not None:
        environment["score_range"] = list(score_range)
    return from_mapping(
        {
            "environment": environment,
            "learner": "ppo",
            "teacher": "uniform",
            "budget": {"env_steps": 10_000},
            "evaluation": {"episodes": 72},
        }
    )


def lesson(tasks, environment=0):
    return {"environment": environment, "tasks": list(tasks), "successes": [], "diary": None}


GRID = {"vary": {"length": None, "gravity": [1.0, 3.0]}, "grid": 3}


def test_success_is_the_mean_over_trainings_where_failed_ones_succeed_in_nothing():
    of = study(GRID)
    found = task_success(of, [lesson([10.0] * 9), lesson([]), lesson([5.0] * 9, environment=1)], 0)
    assert (found["of"], found["trainings"]) == ("success", 2)
    assert found["means"] == [0.5] * 9
    assert [one["feature"][0] for one in found["grid"]] == ["length", "gravity"]
    length, gravity = (one["values"] for one in found["grid"])
    assert length == pytest.approx([0.05, np.sqrt(0.5), 10.0]), "equal ratios"
    assert gravity == [1.0, 2.0, 3.0]
    assert task_success(of, [lesson([])], 0) == {}


def test_returns_are_shown_where_nobody_says_what_success_is():
    found = task_success(study({"held_out": 3}, None), [lesson([1.0, -4.0, 2.0]), lesson([])], 0)
    assert (found["of"], found["means"], found["trainings"], found["grid"]) == ("return", [1.0, -4.0, 2.0], 1, [])


def test_a_grid_of_two_dimensions_is_a_map_of_each_arm():
    """Tasks that succeed by their length alone: the first dimension of the grid varies slowest and lies along x."""
    own = task_success(study(GRID), [lesson(np.repeat([0.0, 5.0, 10.0], 3))], 0)
    figure = task_success_figure({"method": own, "teacher:none": own}, "tpe", "e")
    maps = [axis for axis in figure.axes if axis.patches and axis.get_title(loc="left")]
    assert [axis.get_title(loc="left") for axis in maps] == ["tpe: mean 0.5", "no teacher: mean 0.5"]
    axis = maps[0]
    assert (axis.get_xscale(), axis.get_yscale(), axis.get_xlabel()) == ("log", "linear", "length")
    assert len(axis.patches) == 3
    spans = sorted((p.get_path().vertices[:, 0].max(), np.ptp(p.get_path().vertices[:15, 1])) for p in axis.patches)
    assert [x for x, _ in spans] == pytest.approx(0.05 * 200 ** np.array([0.25, 0.75, 1.25]))
    assert all(height > 2.9 for _, height in spans), "all of gravity"
    figure.canvas.draw()


def test_named_tasks_have_bars_and_others_a_profile():
    named = task_success(study({"named": [{"length": 1.0}, {"length": 2.0, "gravity": 1.0}]}), [lesson([10.0, 0.0])], 0)
    assert named["named"] == ["length 1.0", "length 2.0, gravity 1.0"]
    figure = task_success_figure({"method": named, "default": named}, "tpe", "e")
    assert [bar.get_width() for bar in figure.axes[0].patches] == [1.0, 0.0, 1.0, 0.0]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == named["named"]
    drawn = task_success(study({"held_out": 4}), [lesson([10.0, 0.0, 5.0, 2.0])], 0)
    (line,) = task_success_figure({"method": drawn}, "tpe", "e").axes[0].lines
    assert line.get_ydata().tolist() == [0.0, 0.2, 0.5, 1.0], "from the worst to the best"
    many = task_success(study({"held_out": 4}, None), [lesson([10.0, 0.0, 5.0, 2.0])], 0)
    assert task_success_figure({"method": many}, "tpe", "e").axes[0].get_ylabel() == "return"


def test_a_grid_of_one_dimension_is_a_line_in_its_order_and_of_three_a_profile():
    one = task_success(study({"vary": {"length": None}, "grid": 3}), [lesson([10.0, 0.0, 5.0])], 0)
    (axis,) = task_success_figure({"method": one}, "tpe", "e").axes
    assert axis.get_xscale() == "log"
    assert axis.lines[0].get_xdata() == pytest.approx([0.05, np.sqrt(0.5), 10.0])
    assert axis.lines[0].get_ydata().tolist() == [1.0, 0.0, 0.5]
    three = study({"vary": {"length": None, "masspole": None, "gravity": None}, "grid": 2})
    assert task_success(three, [lesson(np.arange(8.0))], 0)["grid"] == []
