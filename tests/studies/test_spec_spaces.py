"""Every shipped search space can be asked for by an experiment with a learner, an environment and a budget that it fits."""

from __future__ import annotations

from typing import Any

import pytest

from autorl import catalogue
from autorl.spaces import load_space
from autorl.spaces.plain_values import leaves
from autorl.spaces.protocol import Space
from autorl.studies.specification import SpecificationError, from_mapping

SHIPPED = [name for name, path in catalogue.names("search_spaces").items() if path.parent.name == "search_spaces"]
TAUGHT = {
    "id": "contextual:CartPole-wide",
    "score_range": [0, 500],
    "tasks": {"vary": {"length": None, "masspole": None}},
}
PLACES = {"dqn": "gymnax:CartPole-v1", "ppo": "gymnax:CartPole-v1", "sac": "gymnax:Pendulum-v1"}


def learner_of(space: Space) -> str:
    """Return an algorithm that has what the parts of a space change."""
    for part in leaves(space):
        named = getattr(part, "learner", None)
        if named is not None:
            return str(named)
    families = {getattr(part, "family", None) for part in leaves(space)}
    return "ppo" if families & {"policy_gradient", "level"} else "dqn"


def experiment(name: str) -> dict[str, Any]:
    """Return an experiment that searches a shipped space."""
    space = load_space(name)
    learner = learner_of(space)
    made: dict[str, Any] = {
        "environment": PLACES[learner],
        "learner": learner,
        "search": {"space": name, "method": "random"},
        "budget": {"trainings": 8, "env_steps": 2_000_000},
    }
    dimensions = {d for part in leaves(space) for d in getattr(part, "dimensions", ())}
    teachers = {d.split(".")[1] for d in dimensions if d.startswith("teacher.")}
    if name == "curriculum_score_graph":
        teachers = {"plr"}
    if teachers:
        (teacher,) = teachers
        made |= {"environment": TAUGHT, "teacher": teacher}
    return made


@pytest.mark.parametrize("name", SHIPPED)
def test_an_experiment_may_search_it(name: str) -> None:
    specification = from_mapping(experiment(name))
    assert specification.search is not None
    assert specification.search.space == name


@pytest.mark.parametrize("method", ["tpe", "es", "gp", "evolution"])
def test_the_constants_of_a_loss_are_for_any_method_of_numbers(method: str) -> None:
    made = experiment("loss_constants")
    from_mapping({**made, "search": {"space": "loss_constants", "method": method}})


def test_a_budget_too_short_for_a_loss_is_said_of_the_budget() -> None:
    with pytest.raises(SpecificationError, match=r"budget\.env_steps: .*does not fit into a training of 2"):
        from_mapping(
            {**experiment("loss_constants"), "budget": {"trainings": 8, "env_steps": 2}, "evaluation": {"points": 1}}
        )
