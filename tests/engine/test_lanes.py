import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorl.engine.endings import by_task
from autorl.engine.inflight import outcome_from
from autorl.engine.lanes import (
    Job,
    Outcome,
    evaluation_points,
    final_score,
    flatten,
    lane,
    segments,
    spread,
    stack,
    static_groups,
    unflatten,
)
from autorl.engine.population import lanes_for
from autorl.studies.trial import Stage


def test_attempts_are_told_by_task_and_by_halves():
    whole, halves = by_task(np.array([1.0, 10.0, 2.0, 20.0, 6.0, 60.0], np.float32), 2)
    assert (whole, halves) == ((3.0, 30.0), ((1.0, 10.0), (4.0, 40.0)))
    assert by_task(np.array([1.0, 2.0]), 2) == ((1.0, 2.0), ())


def test_an_outcome_that_was_saved_is_the_same_and_an_older_one_has_no_halves():
    made = Outcome(tasks=(1.0,), task_halves=((0.0,), (2.0,)), returns=(1.0,), env_steps=(8,))
    entry = {**dataclasses.asdict(made), "status": "running", "task_halves": [[0.0], [2.0]]}
    assert outcome_from(entry) == made
    older = {name: value for name, value in entry.items() if not name.endswith("_halves")}
    assert outcome_from(older).task_halves == ()


def test_evaluation_points_end_at_the_end_and_follow_the_share_of_the_horizon():
    assert evaluation_points(0, 100, 100, 5) == (20, 40, 60, 80, 100)
    assert evaluation_points(40, 60, 100, 5) == (60,)
    assert evaluation_points(0, 10, 100, 5) == (10,)


def test_segments_are_cut_at_evaluations_and_at_changes_of_the_plan():
    job = Job(0, 0, 1, (Stage(30, {"a": 1}), Stage(100, {"a": 2})), (50, 100))
    assert [(s.until, s.stage, s.evaluate) for s in segments(job)] == [(30, 0, False), (50, 1, True), (100, 1, True)]


def test_segments_of_a_continued_trial_begin_after_its_start():
    job = Job(0, 0, 1, (Stage(60, {"a": 2}),), (60,), start=40)
    assert [(s.until, s.evaluate) for s in segments(job)] == [(60, True)]


@pytest.mark.parametrize(
    ("need", "devices", "lanes"), [(1, 1, 2), (1, 2, 4), (5, 2, 8), (8, 2, 8), (33, 2, 64), (3, 8, 16)]
)
def test_lanes_are_powers_of_two_with_two_a_device(need, devices, lanes):
    assert lanes_for(need, devices) == lanes


@given(st.integers(1, 64), st.sampled_from([1, 2, 4]))
def test_jobs_are_dealt_out_evenly(count, devices):
    lanes = lanes_for(count, devices)
    where = spread(count, lanes, devices)
    assert len(set(where.tolist())) == count
    share = np.bincount(where // (lanes // devices), minlength=devices)
    assert share.max() - share.min() <= 1


@given(st.integers(0, 64), st.sets(st.integers(0, 63)), st.sampled_from([1, 2, 4]))
def test_free_lanes_are_dealt_out_evenly(count, taken, devices):
    count = min(count, 64 - len(taken))
    where = spread(count, 64, devices, sorted(taken)).tolist()
    assert len(set(where)) == count
    assert not taken & set(where)
    load = np.bincount([x // (64 // devices) for x in {*where, *taken}], minlength=devices)
    before = np.bincount([x // (64 // devices) for x in taken], minlength=devices)
    assert all(load[d] == before[d] or load[d] <= load.min() + 1 for d in range(devices)), (
        "no device gets more than it must"
    )


def test_static_groups_keep_the_order_of_first_appearance():
    assert static_groups(["b", "a", "b", "c", "a"]) == [[0, 2], [1, 4], [3]]


def test_stack_and_lane_undo_each_other():
    trees = [{"x": np.float32(i), "y": np.arange(3) + i} for i in range(3)]
    where = spread(3, 4, 2)
    stacked = stack(trees, where, 4)
    for tree, place in zip(trees, where, strict=True):
        held = lane(stacked, int(place))
        assert held["x"] == tree["x"]
        assert (held["y"] == tree["y"]).all()


def test_flatten_and_unflatten_undo_each_other():
    tree = {"b": (np.arange(3), np.float32(2.0)), "a": np.ones((2, 2))}
    again = unflatten(tree, flatten(tree))
    assert (again["b"][0] == tree["b"][0]).all()
    assert (again["a"] == tree["a"]).all()


def test_the_score_of_a_training_is_the_mean_of_its_last_evaluations_if_all_were_finite():
    assert final_score((1.0, 2.0, 4.0), 2) == 3.0
    assert final_score((1.0, 2.0), 5) == 1.5
    assert final_score((None, 2.0, 4.0), 2) == 3.0
    assert final_score((1.0, None, 4.0), 2) is None
    assert final_score((), 3) is None
