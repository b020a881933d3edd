"""Lineage on a worked example: three members, three generations, one copy and one restart."""

from __future__ import annotations

import numpy as np
import pytest

from autorl.errors import StudyError
from autorl.outer.lineage import ancestors, changes, describe, final_generation, same_candidate, schedule
from autorl.outer.protocol import Proposal
from autorl.studies.trial import Trial


def proposal(number, lr, parent=None, generation=0, origin="keep", steps=100):
    return Proposal(number, {"lr": lr}, steps, parent, generation, origin)


# member 0 goes on unchanged; member 1 copies member 0, then goes on; member 2 restarts from scratch
TRIALS = [
    proposal(0, 0.1, origin="sample"),
    proposal(1, 0.2, origin="sample"),
    proposal(2, 0.3, origin="sample"),
    proposal(3, 0.1, parent=0, generation=1),
    proposal(4, 0.12, parent=0, generation=1, origin="exploit"),
    proposal(5, 0.4, generation=1, origin="sample"),
    proposal(6, 0.1, parent=3, generation=2, steps=50),
    proposal(7, 0.12, parent=4, generation=2, steps=50),
    proposal(8, 0.4, parent=5, generation=2, steps=50),
]


def test_ancestors_run_from_the_first_trial_to_the_trial_itself():
    assert [t.number for t in ancestors(TRIALS, 7)] == [0, 4, 7]
    assert [t.number for t in ancestors(TRIALS, 0)] == [0]
    assert [t.number for t in ancestors(reversed(TRIALS), 8)] == [5, 8]


def test_schedule_is_cumulative_and_merges_equal_neighbours():
    assert schedule(TRIALS, 6) == ((250, {"lr": 0.1}),)
    assert schedule(TRIALS, 7) == ((100, {"lr": 0.1}), (250, {"lr": 0.12}))
    assert schedule(TRIALS, 8) == ((150, {"lr": 0.4}),)


def test_a_candidate_that_comes_back_is_a_stage_of_its_own():
    trials = [proposal(0, 0.1), proposal(1, 0.2, parent=0), proposal(2, 0.1, parent=1)]
    assert schedule(trials, 2) == ((100, {"lr": 0.1}), (200, {"lr": 0.2}), (300, {"lr": 0.1}))


def test_final_generation():
    assert [t.number for t in final_generation(reversed(TRIALS))] == [6, 7, 8]
    assert final_generation([]) == ()


def test_description_is_plain_data():
    rows = describe(TRIALS)
    assert [row["number"] for row in rows] == list(range(9))
    assert rows[0]["children"] == [3, 4]
    assert rows[7] == {
        "number": 7,
        "generation": 2,
        "origin": "keep",
        "parent": 4,
        "root": 0,
        "children": [],
        "from_env_steps": 200,
        "until_env_steps": 250,
        "candidate": {"lr": 0.12},
        "changed": {},
    }
    assert rows[4]["changed"] == {"lr": (0.1, 0.12)}
    assert rows[8]["root"] == 5
    assert rows[5]["from_env_steps"] == 0


def test_trials_of_the_record_are_as_good_as_proposals():
    trials = [
        Trial("method", "search", p.number, p.candidate, p.env_steps, p.parent, p.generation, p.origin) for p in TRIALS
    ]
    assert schedule(trials, 7) == schedule(TRIALS, 7)
    assert ancestors(trials, 7)[0] is trials[0]


def test_changes_name_absent_and_nested_dimensions():
    old = {"part": {"a": 1, "b": True}, "w": np.zeros(2, np.float32)}
    new = {"part": {"a": 2, "c": "x"}, "w": np.zeros(2, np.float32)}
    assert changes(old, new) == {"part.a": (1, 2), "part.b": (True, None), "part.c": (None, "x")}


def test_equality_of_candidates_looks_at_every_entry_and_type():
    a = {"w": np.array([1.0, 2.0], np.float32)}
    assert same_candidate(a, {"w": np.array([1.0, 2.0], np.float32)})
    assert not same_candidate(a, {"w": np.array([1.0, 2.5], np.float32)})
    assert not same_candidate(a, {"w": np.array([1.0, 2.0], np.float64)})
    assert not same_candidate(a, {"w": [1.0, 2.0]})
    assert not same_candidate({"b": True}, {"b": 1})
    assert not same_candidate({"b": 1}, {})


@pytest.mark.parametrize(
    ("trials", "number", "message"),
    [
        (TRIALS, 9, "there is no trial 9 among 9"),
        ([proposal(3, 0.1, parent=0)], 3, "trial 3 continues from trial 0, which is missing"),
        (
            [proposal(0, 0.1, parent=1), proposal(1, 0.1, parent=0)],
            1,
            "trial 0 continues from trial 1, which comes after",
        ),
        ([proposal(0, 0.1, parent=0)], 0, "comes after it"),
        ([proposal(0, 0.1), proposal(0, 0.2)], 0, "two trials are numbered 0"),
    ],
)
def test_a_damaged_record_is_an_error_not_an_endless_loop(trials, number, message):
    with pytest.raises(StudyError, match=message):
        ancestors(trials, number)
