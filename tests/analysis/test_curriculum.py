"""Held-out tasks and curricula, from numbers that can be added up by hand."""

import numpy as np
import pytest

from autorl.analysis.curriculum import curriculum, curriculum_figure, curriculum_table
from autorl.analysis.held_out import cvar, cvar_ranked_apart, held_out_summary, held_out_table


def lesson(tasks, successes=(), diary=None, environment=0):
    return {"environment": environment, "seed": 1, "tasks": tasks, "successes": list(successes), "diary": diary}


def test_cvar_is_the_mean_of_the_worst_tasks():
    values = np.arange(20.0)
    assert (cvar(values), cvar(values, 0.01), cvar(values, 1.0)) == (0.5, 0.0, 9.5)


def test_tasks_are_ranked_on_one_half_of_the_attempts_and_scored_on_the_other():
    rng = np.random.default_rng(0)
    alike = rng.binomial(5, 0.5, (2, 20_000)) / 5
    assert cvar(alike.mean(axis=0)) < 0.25, "chosen and scored on the same attempts, bad luck counts as difficulty"
    assert cvar_ranked_apart(*alike) == pytest.approx(0.5, abs=0.02), "no task is harder than another"
    hard = np.where(np.arange(20_000) < 2_000, 0.1, 0.9)
    parts = rng.binomial(20, hard, (2, 20_000)) / 20
    assert cvar_ranked_apart(*parts) == pytest.approx(0.1, abs=0.01)
    assert cvar_ranked_apart(np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.6, 0.0]), 0.3) == pytest.approx(
        (0.2 + 1.0) / 2
    )


def test_the_order_of_tasks_makes_no_difference_though_many_tie():
    rng = np.random.default_rng(1)
    hard_first = rng.binomial(1, np.where(np.arange(100) < 10, 0.0, 0.5), (2, 100)).astype(float)
    order = rng.permutation(100)
    both = cvar_ranked_apart(*hard_first), cvar_ranked_apart(*hard_first[:, order])
    assert both[0] == pytest.approx(both[1])
    assert cvar_ranked_apart(*hard_first) == pytest.approx(cvar_ranked_apart(*hard_first[:, ::-1]))
    failed = hard_first == 0  # more than a tenth fail in either half, so all of these stand for the worst
    assert both[0] == pytest.approx((hard_first[1][failed[0]].mean() + hard_first[0][failed[1]].mean()) / 2)


def test_cvar_of_a_study_is_ranked_apart_where_there_are_several_attempts():
    halves = [[0.0, *[1.0] * 9], [1.0] * 10]
    two = {**lesson([0.5, *[1.0] * 9]), "task_halves": halves, "success_halves": []}
    environment = {"environment": {"id": "e", "score_range": [0, 2]}}
    found = held_out_summary({"method": [two], "default": [lesson([0.5, *[1.0] * 9])]}, environment)
    # the first task is the worst of one half and has 1 in the other; there all are alike, and have .9 in the first
    assert (found["method"]["returns"]["cvar"], found["method"]["success"]["cvar"]) == pytest.approx((0.95, 0.475))
    assert (found["method"]["ranked_apart"], found["default"]["ranked_apart"]) == (True, False)
    assert found["default"]["returns"]["cvar"] == 0.5
    assert "on the same attempts" in held_out_table({"held_out": found, "method": None}).note
    own = {"method": {name: value for name, value in found["method"].items() if name != "ranked_apart"}}
    assert "on the same attempts" in held_out_table({"held_out": own, "method": None}).note, "of an older version"
    apart = held_out_table({"held_out": {"method": found["method"]}, "method": None})
    assert "scored on the other" in apart.note


def test_success_is_what_was_reported_or_the_score_and_a_failed_training_has_none():
    ten = [float(i) for i in range(10)]
    lessons = {"method": [lesson(ten), lesson([])], "random": [lesson(ten, [1.0] * 10)]}
    found = held_out_summary(lessons, {"environment": {"id": "e", "score_range": [0, 5]}})
    scores = np.clip(np.array(ten) / 5, 0, 1)
    assert found["method"]["success"]["mean"] == pytest.approx(scores.mean() / 2)
    assert found["method"]["success"]["cvar"] == 0.0
    assert found["method"]["returns"] == {"mean": 4.5, "iqm": 4.5, "cvar": 0.0}
    assert found["random"]["success"] == {"mean": 1.0, "iqm": 1.0, "cvar": 1.0}
    low, high = found["method"]["intervals"]["mean"]
    assert (low, high) == pytest.approx((0.0, scores.mean())), "of two trainings, one of which failed"
    assert found["random"]["intervals"] == {"mean": [1.0, 1.0], "iqm": [1.0, 1.0], "cvar": [1.0, 1.0]}
    table = held_out_table({"held_out": found, "method": "tpe"})
    assert "[0" in table.rows[0][2]
    assert [row[:2] for row in table.rows] == [("tpe", "success"), ("random search", "success")]
    assert held_out_summary({"method": [lesson(ten)]}, {"environment": "e"})["method"]["success"] is None


def test_steps_that_served_the_teacher_alone_are_beside_what_came_of_them():
    looked = [lesson([1.0], diary={"unlearned": [50 * i, 10]}) for i in (1, 2)]
    found = held_out_summary({"method": looked, "default": [lesson([1.0])]}, {"environment": "e"})
    assert (found["method"]["teacher_env_steps"], found["default"]["teacher_env_steps"]) == (85.0, None)
    table = held_out_table({"held_out": found, "method": None})
    assert [row[-1] for row in table.rows] == ["85", "-"]
    guided = [{**one, "teacher_env_steps": 40} for one in looked]
    assert held_out_summary({"method": guided}, {"environment": "e"})["method"]["teacher_env_steps"] == 125.0


def test_a_curriculum_is_read_from_diaries():
    episodes = np.zeros((20, 1, 16), int)
    episodes[0, 0, 0], episodes[10, 0, 15] = 3, 1
    diary = {
        "episodes": episodes.tolist(),
        "returns": (episodes * 2.0).tolist(),
        "successes": (episodes * 0.5).tolist(),
        "unlearned": [25] + [0] * 19,
    }
    found = curriculum([lesson([], diary=diary), lesson([], diary=diary)], [("width", 0.0, 16.0)], 1000)
    assert (found["trainings"], found["env_steps"], found["unlearned"]) == (2, 2000, 50)
    assert found["until"][:2] == [50, 100]
    assert (found["returns"][0][0][0], found["returns"][1][0][0]) == (2.0, None)
    table = curriculum_table(found, reports_success=True)
    assert [column.name for column in table.columns] == [
        "env steps",
        "episodes",
        "width",
        "return",
        "success",
        "learned from",
    ]
    assert table.rows[0] == ("100", "6", "0.5000", "2.00", "0.5000", "75%")
    assert table.rows[5][:3] == ("600", "2", "15.50")
    assert table.rows[1][2:] == ("-", "-", "-", "100%")
    assert "50 of them not learned from" in table.note
    assert len(curriculum_figure(found, "study").axes) == 4, "two maps, each with its colours"
    guided = [{**lesson([], diary=diary), "teacher_env_steps": 200} for _ in range(2)]
    later = curriculum(guided, [("width", 0.0, 16.0)], 1000)
    assert (later["before"], later["env_steps"], later["until"][:2]) == (400, 2000, [240, 280])
    assert curriculum_table(later, reports_success=True).rows[0][-1] == "69%", "50 of 160"
    assert "400 taken by a guide" in curriculum_table(later, reports_success=True).note
    assert curriculum([lesson([1.0])], [("width", 0.0, 1.0)], 1000) == {}
