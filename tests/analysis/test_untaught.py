"""Trainings that learned from next to none of their env steps are named, with what to do about it."""

import pytest

from autorl.analysis.held_out import lessons_summary
from autorl.analysis.work import untaught_sentence

SPECIFICATION = {"environment": {"id": "e"}, "budget": {"env_steps": 65_536}}


def lesson(unlearned, before=0):
    return {
        "environment": 0,
        "tasks": [],
        "successes": [],
        "diary": {"unlearned": unlearned},
        "teacher_env_steps": before,
    }


@pytest.mark.parametrize(
    ("lessons", "expected"),
    [
        ([lesson([32_768, 32_768])] * 2, {"trainings": 2, "of": 2, "learned": 0, "env_steps": 65_536}),
        ([lesson([60_000]), lesson([10_000])], {"trainings": 1, "of": 2, "learned": 5_536, "env_steps": 65_536}),
        ([lesson([30_000], 30_000)], {"trainings": 1, "of": 1, "learned": 5_536, "env_steps": 65_536}),
        ([lesson([58_000])], None),
        ([{**lesson([]), "diary": None}], None),
    ],
)
def test_what_was_learned_from_is_what_did_not_serve_the_teacher(lessons, expected):
    result = {**lessons_summary({"teacher:accel": lessons}, SPECIFICATION), "method": "random"}
    assert result["untaught"].get("teacher:accel") == expected
    text = untaught_sentence(result)
    assert bool(text) == (expected is not None)
    if expected:
        said = f"teacher accel, {expected['trainings']} of {expected['of']} training"
        assert said in text
        assert "smaller capacity or fill" in text


def test_steps_that_were_never_taken_were_not_learned_from():
    """Of a budget of 65,536 env steps, rollouts of 58,000 took only that many."""
    own = lesson([58_000])
    taken = {**own, "diary": {**own["diary"], "steps": [58_000]}}
    found = lessons_summary({"method": [taken]}, SPECIFICATION)["untaught"]
    assert found == {"method": {"trainings": 1, "of": 1, "learned": 0, "env_steps": 58_000}}
    failed = {**own, "diary": {"unlearned": [0], "steps": [0]}}
    assert lessons_summary({"method": [taken, failed]}, SPECIFICATION)["untaught"]["method"]["of"] == 1


def test_an_environment_s_own_length_counts_before_the_budget():
    own = {"environment": [{"id": "e", "env_steps": 1000}], "budget": {"env_steps": 65_536}}
    assert lessons_summary({"method": [lesson([880])]}, own)["untaught"] == {}
    assert lessons_summary({"method": [lesson([950])]}, own)["untaught"]["method"]["learned"] == 50
    assert untaught_sentence({"method": "random"}) == "", "results of older versions say nothing of it"
