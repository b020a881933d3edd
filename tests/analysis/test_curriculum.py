"""Held-out tasks and curricula, from numbers that can be added up by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.analysis.curriculum import curriculum, curriculum_of, curriculum_table, learning_progress
from autorl.analysis.held_out import cvar, cvar_ranked_apart, held_out_summary, held_out_table
from autorl.environments.features import Feature
from autorl.environments.registry import make_environment
from autorl.environments.task_points import task_points
from autorl.inner.diary import BINS, INTERVALS, Episodes, empty_diary, stepped, written
from autorl.studies.specification import from_mapping
from autorl.studies.trial import Curve, Trial


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
        "features": [[0.375 * (k == 0) + 1.0 * (k == 10)] for k in range(20)],
        "steps": [50] * 20,
        "unlearned": [25] + [0] * 19,
    }
    found = curriculum([lesson([], diary=diary), lesson([], diary=diary)], [Feature("width", 0.0, 16.0)], 1000)
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
    assert table.rows[0] == ("100", "6", "2.00", "2.00", "0.5000", "75%")
    assert table.rows[5][:3] == ("600", "2", "16.00"), "no middle of a bin"
    assert table.rows[1][2:] == ("-", "-", "-", "100%")
    assert "50 of them not learned from" in table.note
    assert "of 2 trainings together." in table.note
    assert "geometric" not in table.note
    assert found["training_returns"][1][:2] == [2.0, None]
    guided = [{**lesson([], diary={**diary, "steps": [40] * 20}), "teacher_env_steps": 200} for _ in range(2)]
    later = curriculum(guided, [Feature("width", 0.0, 16.0)], 1000)
    assert (later["before"], later["env_steps"], later["until"][:2]) == (400, 2000, [240, 280])
    assert curriculum_table(later, reports_success=True).rows[0][-1] == "69%", "50 of 160"
    assert "400 taken by a guide" in curriculum_table(later, reports_success=True).note
    assert curriculum([lesson([1.0])], [Feature("width", 0.0, 1.0)], 1000) == {}


def test_the_ledger_has_the_steps_that_were_taken_and_intervals_are_as_long_as_rollouts():
    """Rollouts of 300 steps in a budget of 1,000: three fit, the fourth would not. Nothing is said of what was not taken."""
    counts = np.zeros((20, 1, 16), int)
    counts[[0, 6, 12], 0, [0, 8, 8]] = 10
    steps = [300 * (k in (0, 6, 12)) for k in range(20)]
    diary = {
        "episodes": counts.tolist(),
        "returns": (counts * np.arange(20)[:, None, None]).tolist(),
        "successes": counts.tolist(),
        "features": (counts.sum(axis=2) * 0.25).tolist(),
        "steps": steps,
        "unlearned": steps,
    }
    found = curriculum([lesson([], diary=diary)], [Feature("x", 0.0, 8.0)], 1000)
    assert (found["env_steps"], found["unlearned"], found["until"]) == (900, 900, [300, 600, 900])
    assert found["tasks"] == [[2.0]] * 3
    assert found["learning_progress"][2][0][8] == 6.0, "from the rollout before"
    table = curriculum_table(found, reports_success=False)
    assert [row[-1] for row in table.rows] == ["0%"] * 3
    assert "900 env steps, 900 of them not learned from" in table.note


def test_diaries_of_older_versions_have_neither_steps_nor_sums_of_features():
    old = filled([[2, 1], [0, 0], [1, 1]], [[10.0, 7.0], [0.0, 0.0], [9.0, 1.0]])
    old = {name: values for name, values in old.items() if name not in ("steps", "features")}
    found = curriculum([lesson([], diary=old)], [Feature("x", 0.0, 16.0)], 1000)
    assert (found["env_steps"], found["until"]) == (1000, [100, 1000])
    assert found["tasks"] == [[pytest.approx(0.5 * 2 / 3 + 1.5 / 3)], [1.0]], "the middles of their bins"
    assert [row[-1] for row in curriculum_table(found, reports_success=False).rows] == ["100%"] * 2
    looked = curriculum(
        [lesson([], diary={**old, "unlearned": [100, 0, 450, *[0] * 17]})], [Feature("x", 0.0, 16.0)], 1000
    )
    assert [row[-1] for row in curriculum_table(looked, reports_success=False).rows] == ["0%", "50%"]


def test_trainings_that_failed_early_end_where_they_failed():
    diary = filled([[2, 1], [1, 1]], [[10.0, 7.0], [9.0, 1.0]])
    failed = {**diary, "steps": [50, 50, *[0] * 18]}
    assert curriculum([lesson([], diary=failed)], [Feature("x", 0.0, 1.0)], 1000)["until"] == [50, 100]


def filled(episodes, returns):
    """A diary of one feature from [K][N] counts and mean returns, each episode at the lower end of its bin."""
    told = {name: np.zeros((INTERVALS, 1, BINS)) for name in ("episodes", "returns", "successes")}
    told["episodes"][: len(episodes), 0, : len(episodes[0])] = episodes
    told["returns"][: len(episodes), 0, : len(episodes[0])] = np.multiply(episodes, returns)
    sums = told["episodes"] @ (np.arange(BINS) / BINS)
    counted = {"steps": [50] * INTERVALS, "unlearned": [0] * INTERVALS, "features": sums.tolist()}
    return {**{name: values.tolist() for name, values in told.items()}, **counted}


def test_learning_progress_is_the_absolute_change_of_a_cell_from_the_interval_before():
    returns = np.array([[[1.0, 5.0, np.nan]], [[4.0, 3.0, 2.0]], [[4.5, np.nan, 2.0]]])
    expected = np.array([[[np.nan] * 3], [[3.0, 2.0, np.nan]], [[0.5, np.nan, 0.0]]])
    np.testing.assert_array_equal(learning_progress(returns), expected)
    diary = filled([[2, 1], [4, 0], [1, 1]], [[10.0, 7.0], [6.0, 0.0], [9.0, 1.0]])
    found = curriculum([lesson([], diary=diary)], [Feature("x", 0.0, 1.0)], 1000)
    assert [row[0][:2] for row in found["learning_progress"][:4]] == [
        [None, None],
        [4.0, None],
        [3.0, None],
        [None] * 2,
    ]


def test_what_trainings_were_paid_is_kept_apart():
    diaries = [filled([[3, 1], [0, 0], [2, 2]], [[1.0, 5.0], [0.0, 0.0], [4.0, 8.0]]), filled([[1]], [[7.0]])]
    found = curriculum([lesson([], diary=d) for d in diaries], [Feature("x", 0.0, 1.0)], 1000)
    assert [row[:3] for row in found["training_returns"]] == [[2.0, None, 6.0], [7.0, None, None]]


WIDE = {
    "environment": {
        "id": "contextual:CartPole-wide",
        "score_range": [0, 500],
        "tasks": {"vary": {"length": None, "masspole": None}, "grid": 3},
    },
    "learner": "ppo",
    "teacher": "uniform",
    "budget": {"env_steps": 10_000},
    "evaluation": {"episodes": 72},
}


@pytest.fixture(scope="module")
def drawn():
    """Tasks of the uniform teacher, their values, and the diary that a training writes of them."""
    environment = make_environment("contextual:CartPole-wide")
    points = task_points(environment, {"length": None, "masspole": None})
    where = jax.vmap(points.sample)(jax.random.split(jax.random.key(0), 4000))
    tasks = jax.vmap(points.task, (None, 0))(environment.default_task(), where)
    all_of, none = jnp.ones(len(where), bool), jnp.zeros(len(where))
    begun = stepped(empty_diary(2), all_of, jnp.float32(0.0))
    diary = written(begun, Episodes(where, none + 100.0, none, all_of, all_of), jnp.float32(0.0))
    kept = {name: np.asarray(getattr(diary, name)).tolist() for name in diary._fields if name != "levels"}
    return {name: np.asarray(tasks[name], np.float64) for name in ("length", "masspole")}, kept


@pytest.mark.parametrize("recorded", [{}, {"features": [["steps", 0.0, 9.0], ["masspole", 0.05, 10.0]]}])
def test_the_mean_task_is_that_of_the_tasks_played_though_their_scale_is_log(drawn, recorded):
    tasks, diary = drawn
    trial = Trial("method", "test", 0, {}, 1000, curves=(Curve(0, 0, (500, 1000), (0.25, None)),))
    told = {**lesson([1.0] * 9, diary=diary), **recorded}
    found = curriculum_of(from_mapping(WIDE), [told], 0, trial)
    assert found["evaluations"] == {"env_steps": [500, 1000], "scores": [[0.25, None]], "held_out": True}
    assert found["score_range"] == [0, 500]
    table = curriculum_table(found, reports_success=False)
    row = dict(zip((column.name for column in table.columns), table.rows[0], strict=True))
    assert float(row["masspole (geo. mean)"]) == pytest.approx(np.exp(np.log(tasks["masspole"]).mean()), rel=1e-4)
    assert "geometric mean of a dimension" in table.note
    if recorded:
        assert found["features"][0] == ["steps", 0.0, 9.0, False, False], (
            "records of older versions do not say which are log"
        )
    else:
        assert float(row["length (geo. mean)"]) == pytest.approx(np.exp(np.log(tasks["length"]).mean()), rel=1e-4)
