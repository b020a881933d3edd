"""Teachers that a study is compared with: names beside parameters, written as they are read, vetted before the study is made."""

import pytest

from autorl.analysis.result import expected_arms
from autorl.spaces.plain_values import TEACHER, teacher_entries, with_teacher
from autorl.studies.schema import json_schema
from autorl.studies.specification import SpecificationError, from_mapping, parse, to_mapping, to_yaml

STUDY = {
    "environment": {"id": "point_mass:gate-2d"},
    "learner": "ppo",
    "teacher": {"name": "spdl", "parameters": {"max_kl": 0.2}},
    "budget": {"env_steps": 10_000},
}
TEACHERS = ["uniform", {"name": "sequence", "parameters": {"tasks": [[0.1, 0.2], [0.3, 0.4]]}}, "none"]


def read(teachers, **options):
    return from_mapping({**STUDY, "baselines": {"teachers": teachers}}, **options)


def test_names_stay_names_and_parameters_are_kept():
    found = read(TEACHERS, references=False)
    again = parse(to_yaml(found), references=False)
    assert again == found
    assert to_mapping(again)["baselines"]["teachers"] == TEACHERS, "as older versions wrote names"
    assert read("uniform", references=False) == read(["uniform"], references=False)
    assert read(TEACHERS[1], references=False) == read([TEACHERS[1]], references=False)
    assert from_mapping(found, {"baselines.teachers.1.parameters.tasks": [[0.5, 0.5]]}, references=False) != found


def test_each_has_an_arm_whatever_its_parameters():
    arms = expected_arms(to_mapping(read(TEACHERS, references=False)))
    assert arms[-3:] == ["teacher:none", "teacher:sequence", "teacher:uniform"]
    assert expected_arms({"learner": {}, "baselines": {"teachers": ["b", "a"]}})[-2:] == ["teacher:a", "teacher:b"]


def test_a_candidate_holds_the_parameters_and_gives_them_back():
    parameters = {"tasks": [[0.1, 0.2], [0.3, 0.4]], "episodes": 5}
    entries = teacher_entries("sequence", parameters)
    assert with_teacher(entries, None) == {TEACHER: {"name": "sequence", "parameters": parameters}}
    own = {"name": "sequence", "parameters": {"episodes": 7, "other": 1}}
    assert with_teacher(entries, own)[TEACHER]["parameters"] == {**parameters, "other": 1}


def test_the_schema_has_names_and_parameters():
    teacher = json_schema(names=True)["$defs"]["ComparedTeacher"]["anyOf"]
    assert {"none", "uniform"} <= set(teacher[0]["enum"]) == set(teacher[1]["properties"]["name"]["enum"])


def test_the_studys_own_teacher_once_more_is_refused_where_nothing_differs():
    for same in ("spdl", {"name": "spdl", "parameters": {"max_kl": 0.2}}):
        with pytest.raises(
            SpecificationError, match=r"'spdl' with the same parameters is the study's own. Remove it here"
        ):
            read([same])
    assert read([{"name": "spdl", "parameters": {"max_kl": 0.3}}]).baselines.teachers[0].name == "spdl"


def test_those_named_as_fitting_fit_in_mazes():
    with pytest.raises(SpecificationError) as caught:
        from_mapping({**STUDY, "environment": "maze:9x9", "teacher": "paired"})
    listed = str(caught.value).split("these fit: ")[1].split(", ")
    assert {"uniform", "plr", "accel"} <= set(listed)
    assert not {"learning_progress", "roll_in", "jump_start", "paired"} & set(listed)
    assert "dynamic_tasks" not in listed, "it would leave no env step of this budget to the agent"
