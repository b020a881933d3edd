"""A curriculum and a loss searched together, by the names of their spaces."""

import pytest

from autorl.spaces import load_space
from autorl.spaces.plain_values import OBJECTIVE, TEACHER, plain_values, with_teacher
from autorl.studies.specification import SpecificationError, from_mapping

STUDY = {
    "environment": {"id": "contextual:CartPole-wide", "score_range": [0, 500], "tasks": {"vary": {"length": None, "masspole": None}}},
    "learner": "dqn",
    "teacher": {"name": "spdl", "parameters": {"initial_mean": 0.5}},
    "search": {"space": "joint_curriculum_and_loss", "method": "evolution"},
    "budget": {"trainings": 8, "env_steps": 20_000},
}  # fmt: skip


def test_the_shipped_one_is_searched_by_an_experiment():
    assert from_mapping(STUDY).search.space == "joint_curriculum_and_loss"
    space = load_space(STUDY["search"]["space"])
    values = with_teacher(plain_values(space, space.to_json(space.sample(0))), STUDY["teacher"])
    assert set(values) == {OBJECTIVE, TEACHER}
    assert len(values[TEACHER]["parameters"]["initial_mean"]) == 2


def test_a_name_in_its_parts_that_is_none_is_said_alone():
    space = {"parts": {"curriculum": "curriculum_spdl", "objective": "loss_of_dqn"}}
    with pytest.raises(SpecificationError, match="parts: objective: unknown search space 'loss_of_dqn'") as caught:
        from_mapping({**STUDY, "search": {"space": space, "method": "random"}})
    assert len(caught.value.problems) == 1
