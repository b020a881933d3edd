"""A search judges no trial by an agent that has not begun to train, for its teacher acted first."""

import re

import pytest

from autorl.engine.lessons import CourseMaker
from autorl.environments.registry import make_environment
from autorl.studies.specification import SpecificationError, from_mapping

TEACHER = {"name": "dynamic_tasks", "parameters": {"control_tasks": 16, "control_episodes": 2}}
ENVIRONMENT = {
    "id": "contextual:CartPole-v1",
    "score_range": [0, 500],
    "task": {"tau": 0.01},
    "tasks": {"vary": {"gravity": [5.0, 15.0]}},
}
SPACE = {"dimensions": {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.01}}}
BASE = {
    "environment": ENVIRONMENT,
    "learner": "ppo",
    "teacher": TEACHER,
    "search": {"space": SPACE, "method": "random"},
    "budget": {"trainings": 16, "env_steps": 20_000},
    "evaluation": {"points": 40},
}
PBT = {"space": SPACE, "method": "pbt", "settings": {"population_size": 16, "intervals": 40}}
EARLY = [
    ({"search": {**BASE["search"], "policy": "halving"}}, "search.policy", "'halving'", "search.policy: whole"),
    ({"hurdle": {"env_steps": 500, "score": 0.2}}, "hurdle.env_steps", "500", "a later hurdle"),
    ({"search": {"space": SPACE}, "evaluation": {"points": 16}}, "search.method", "'auto'", "search.policy: whole"),
    ({"search": PBT}, "search.settings.intervals", "40", "fewer intervals"),
]
LATE = [
    {"search": {**BASE["search"], "policy": "halving"}, "evaluation": {"points": 4}},
    {"hurdle": {"env_steps": 15_000, "score": 0.2}},
    {"search": {"space": SPACE}, "evaluation": {"points": 5}},
    {"search": {"space": SPACE, "policy": "whole"}},
    {"search": {**PBT, "settings": {"population_size": 16, "intervals": 4}}},
]


@pytest.fixture(scope="module")
def steps():
    """Env steps that a training takes for the teacher."""
    (choice,) = from_mapping(BASE, references=False).environments
    return CourseMaker.of(choice, make_environment(choice.id)).course(TEACHER).env_steps_before


@pytest.mark.parametrize(("changed", "field", "value", "remedy"), EARLY, ids=["policy", "hurdle", "auto", "population"])
def test_what_is_judged_before_the_agents_first_step_is_refused(steps, changed, field, value, remedy):
    with pytest.raises(SpecificationError) as caught:
        from_mapping({**BASE, **changed})
    (problem,) = caught.value.problems
    assert problem.field == field
    text = str(caught.value)
    judged = re.search(rf"{value} judges trials first after (\d+) env steps", text)
    assert judged, text
    assert int(judged[1]) <= steps
    assert f"teacher 'dynamic_tasks' takes {steps} before" in text, "in the study's own task, as the training does"
    assert remedy in text


@pytest.mark.parametrize("changed", LATE, ids=["policy", "hurdle", "auto", "whole", "population"])
def test_what_is_judged_later_is_not(changed):
    from_mapping({**BASE, **changed})
