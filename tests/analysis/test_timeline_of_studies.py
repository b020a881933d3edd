"""What real studies under a policy trained is found again in its order, whoever proposes and whatever they cut."""

import pytest

import autorl
from autorl.analysis.anytime import best_so_far
from autorl.analysis.timeline import timeline
from autorl.analysis.work import granted

EXPERIMENT = {
    "name": "timeline",
    "environment": "probe:observation_action_reward",
    "learner": {
        "algorithm": "ppo",
        "hyperparameters": {"n_envs": 4, "n_steps": 16, "minibatch_size": 32, "hidden_size": 8, "n_layers": 1},
    },
    "search": {
        "space": {"dimensions": {"gamma": {"type": "float", "low": 0.5, "high": 0.99}}},
        "settings": {"batch": 3},
    },
    "budget": {"trainings": 12, "env_steps": 640},
    "seeds": {"search": 2, "tuning": 1, "test": 1},
    "baselines": {"random": False, "default": False},
    "evaluation": {"episodes": 4, "points": 5, "averaged": 2},
    "finalists": 2,
}


@pytest.mark.parametrize(
    "policy", ["race", *(pytest.param(p, marks=pytest.mark.slow) for p in ("asha", "halving", "hyperband", "median"))]
)
def test_the_order_of_a_real_study_is_found_again(tmp_path, policy):
    search = {**EXPERIMENT["search"], "policy": policy, "method": "random"}
    study = autorl.run({**EXPERIMENT, "search": search}, root=tmp_path)
    trials, given = study.trials(), study.plain_specification()
    found = timeline(trials, given)
    assert found.exact
    assert found.moments[-1].work == granted(trials, given) <= 12 * 640 * 2
    curve = best_so_far(trials, given)
    assert curve.score[-1] == pytest.approx(max(t.score for t in trials if t.score is not None))
    assert curve.work[0] >= 640 * 2
    assert curve.work[-1] == found.moments[-1].work
