"""The search method of a study has the batch that the experiment asks for. No agent is trained."""

import pytest

from autorl.engine.auto import self_contained
from autorl.engine.methods import method_of
from autorl.studies.specification import from_mapping


@pytest.mark.parametrize(
    ("search", "asked"),
    [
        ({"method": "auto"}, 16),
        ({"method": "auto", "batch": 60}, 60),
        ({"method": "auto", "batch": 4}, 16),  # the engine asks for four of them at a time
        ({"method": "random", "batch": 60}, 60),
        ({"method": "random", "batch": 60, "settings": {"batch": 80}}, 80),
    ],
)
def test_a_method_can_be_asked_for_a_whole_batch(search, asked):
    kept = self_contained(
        from_mapping(
            {
                "environment": "gymnax:CartPole-v1",
                "learner": "dqn",
                "search": {"space": "dqn_arlbench", **search},
                "budget": {"trainings": 96, "env_steps": 50_000},
                "evaluation": {"points": 10},
            }
        )
    )
    method = method_of(kept, "method")
    assert method.available(method.init()) == asked


NUMBERS = {"dimensions": {f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(40)}}
DEFAULTS = "It begins with the learner's default configuration."


@pytest.mark.parametrize(
    ("changes", "said"),
    [({}, True), ({"start": [{"gamma": 0.9}]}, False), ({"policy": "whole"}, True)],
    ids=["cut", "own-start", "whole"],
)
def test_auto_says_that_it_begins_with_the_defaults_where_it_does(changes, said):
    space = {"dimensions": {"gamma": {"type": "float", "low": 0.5, "high": 1.0}}}
    kept = self_contained(
        from_mapping(
            {
                "environment": "gymnax:CartPole-v1",
                "learner": "ppo",
                "search": {"space": space, "method": "auto", **changes},
                "budget": {"trainings": 20, "env_steps": 50_000},
            }
        )
    )
    assert (DEFAULTS in kept.search.chosen) is said
    assert kept.search.start[0]["gamma"] == (0.99 if said else 0.9)


@pytest.mark.parametrize("start", [[], [{f"x{i}": 0.5 for i in range(40)}]], ids=["nothing-given", "a-start"])
def test_what_auto_chooses_is_what_is_checked(start):
    asked = {"search": {"space": NUMBERS, "method": "auto", "start": start}, "budget": {"trainings": 300}}
    kept = self_contained(from_mapping(asked))
    assert kept.search.method == ("tpe" if start else "es")
    assert DEFAULTS not in kept.search.chosen
    assert method_of(kept, "method").name == kept.search.method
