"""Teachers as dimensions of a space: names with dots, arrays, and how a candidate becomes a teacher with parameters."""

import pytest

from autorl.errors import UsageError
from autorl.spaces import load_space
from autorl.spaces.nearest import nearest_candidate
from autorl.spaces.plain_values import plain_values, with_teacher

UNIT = {"type": "float", "low": 0.0, "high": 1.0}
JOINT = {
    "parts": {
        "hyperparameters": {"dimensions": {"learning_rate": UNIT}},
        "curriculum": {"teacher": "schedule", "dimensions": {"means": {**UNIT, "shape": [2, 2]}, "uniform": UNIT}},
    }
}
CHOSEN = {
    "dimensions": {
        "teacher": {"type": "categorical", "choices": ["uniform", "spdl"]},
        "teacher.spdl.zeta": {**UNIT, "when": {"teacher": "spdl"}},
    }
}


def test_a_part_of_a_teacher_has_its_parameters_and_the_entries_of_its_arrays():
    space = load_space(JOINT)
    names = [f"teacher.schedule.means.{i}.{j}" for i in range(2) for j in range(2)] + ["teacher.schedule.uniform"]
    assert list(space.parts["curriculum"].dimensions) == names
    assert space.unit_dimension == 6
    values = plain_values(space, space.to_json(space.from_unit([0.5, 0.1, 0.2, 0.3, 0.4, 0.9])))
    fixed = {"name": "schedule", "parameters": {"knots": 2, "uniform": 0.5}}
    found = with_teacher(values, fixed)
    assert found == {
        "learning_rate": 0.5,
        "teacher": {
            "name": "schedule",
            "parameters": {"knots": 2, "uniform": 0.9, "means": [[0.1, 0.2], [0.3, 0.4]]},
        },
    }


def test_a_search_may_choose_the_teacher_and_only_its_own_parameters_come_with_it():
    space = load_space(CHOSEN)
    for key in range(20):
        candidate = space.to_json(space.sample(key))
        found = with_teacher(plain_values(space, candidate), None)["teacher"]
        assert found["name"] == candidate["teacher"]
        assert list(found["parameters"]) == (["zeta"] if found["name"] == "spdl" else [])
    other = with_teacher({"teacher": "uniform", "teacher.spdl.zeta": 1.0}, {"name": "spdl", "parameters": {"zeta": 2}})
    assert other == {"teacher": {"name": "uniform", "parameters": {}}}
    assert with_teacher({"learning_rate": 1.0}, None) == {"learning_rate": 1.0}


def test_a_search_can_begin_with_a_teachers_own_parameters():
    own = {"learning_rate": 0.25, "teacher.schedule.uniform": 0.125, "teacher.schedule.means.1.0": 0.75}
    flat = nearest_candidate(load_space(JOINT), own)
    assert flat["hyperparameters"]["learning_rate"] == 0.25
    assert flat["curriculum"]["teacher.schedule.uniform"] == 0.125
    assert flat["curriculum"]["teacher.schedule.means.1.0"] == 0.75
    assert flat["curriculum"]["teacher.schedule.means.0.0"] == 0.5, "in the middle where nothing is known"


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ({"teacher.spdl": UNIT}, "teacher.NAME.PARAMETER"),
        ({"teacher.spdl.zeta.x": UNIT}, "teacher.NAME.PARAMETER"),
        ({"some.other": UNIT}, "names are letters"),
        ({"teacher.schedule.means": {**UNIT, "shape": [0]}}, "shape: expected whole numbers from 1 to 1000"),
    ],
)
def test_other_names_with_dots_are_refused(dimensions, message):
    with pytest.raises(UsageError, match=message):
        load_space({"dimensions": dimensions})
