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
