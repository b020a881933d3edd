"""The report's section about a curriculum."""

import re

import numpy as np
import synthetic as sy

from autorl.analysis import curriculum_page, report
from autorl.environments.registry import make_environment
from autorl.studies.specification import from_mapping
from autorl.studies.trial import Curve, Trial

WIDE = {
    "environment": {
        "id": "contextual:CartPole-wide",
        "score_range": [0, 500],
        "tasks": {"vary": {"length": None, "masspole": None}, "grid": 2},
    },
    "learner": "ppo",
    "teacher": "uniform",
    "budget": {"env_steps": 10_000},
    "evaluation": {"episodes": 72},
}


def lesson(taught):
    episodes = np.ones((20, 2, 16))
    kept = {name: episodes.tolist() for name in ("episodes", "returns", "successes")}
    diary = {**kept, "unlearned": [0] * 20} if taught else None
    return {"environment": 0, "seed": 1, "tasks": [500.0, 0.0, 0.0, 0.0], "successes": [], "diary": diary}


def trial(arm):
    return Trial(arm, "test", 0, {}, 1000, seeds=(1,), curves=(Curve(0, 0, (500, 1000), (0.1, 0.25)),))


def found(lessons):
    return curriculum_page.readings(from_mapping(WIDE), [trial(arm) for arm in lessons], lessons)


def test_the_section_has_the_tasks_the_curves_and_the_map_of_every_arm():
    shown = found({"teacher:none": [lesson(False)], "method": [lesson(True)], "random": []})
    assert [list(one["arms"]) for one in shown] == [["method", "teacher:none"]]
    drawn = {}
    page = report.render(sy.study(count=5), sy.specification(), sy.MANIFEST, sy.SPACE, drawn, curricula=shown)
    assert ">Curriculum</h2>" in page
    assert {"curriculum-0", "training-curves-0", "task-success-0"} <= set(drawn)
    for words in (
        "length (geo. mean)",
        "no teacher: mean 0.25",
        "autorl curriculum show cartpole",
        "learning progress",
    ):
        assert words in page
    assert not re.search(r"<image|data:", page), "vectors alone"
    assert drawn["curriculum-0"].count("<path") < 400, "no path a cell, of which there are 1,920"


def test_without_a_teacher_it_is_about_held_out_tasks_and_without_either_there_is_none():
    shown = found({"method": [lesson(False)]})
    assert curriculum_page.heading(shown) == "Held-out tasks"
    made = curriculum_page.parts(shown, "s", "tpe", lambda figure, name: name)
    assert made == ["task-success-0"]
    assert found({"method": []}) == []
    assert "Curriculum" not in report.render(sy.study(count=5), sy.specification(), sy.MANIFEST, sy.SPACE)


def test_an_environment_that_cannot_be_made_here_is_named(monkeypatch):
    specification = from_mapping(WIDE)

    def gone(name):
        return make_environment("nowhere:At-all")

    monkeypatch.setattr("autorl.environments.registry.make_environment", gone)
    shown = curriculum_page.readings(specification, [trial("method")], {"method": [lesson(True)]})
    (told,) = curriculum_page.parts(shown, "s", "tpe", lambda figure, name: name)
    assert "contextual:CartPole-wide cannot be made here" in told
    assert "nowhere" in told
