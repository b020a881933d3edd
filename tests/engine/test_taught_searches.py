"""Searches over curricula, tiny: any outer loop that can, alone or with a loss graph, by success or by return."""

import pytest

import autorl

PPO = {"n_envs": 2, "n_steps": 64, "minibatch_size": 64, "update_epochs": 1, "hidden_size": 4, "n_layers": 1}
DQN = {"n_envs": 2, "hidden_size": 4, "n_layers": 1, "buffer_size": 512, "learning_starts": 64, "buffer_batch_size": 16}
SMALL = {
    "environment": {
        "id": "contextual:CartPole-wide",
        "score_range": [0, 500],
        "tasks": {"vary": {"length": None, "masspole": None}, "grid": 2},
    },
    "learner": {"algorithm": "ppo", "hyperparameters": PPO},
    "teacher": "schedule",
    "budget": {"trainings": 8, "env_steps": 512},
    "seeds": {"tuning": 1, "test": 2},
    "evaluation": {"episodes": 8, "points": 2},
    "finalists": 2,
    "baselines": {"random": False, "default": False},
}


def searched(root, **changes):
    made = autorl.run({**SMALL, **changes}, name="searched", root=root)
    assert {t.status.value for t in made.trials(None, None)} <= {"completed", "pruned"}
    return made


@pytest.mark.slow
def test_an_evolution_strategy_moves_the_knots_of_a_schedule(tmp_path):
    search = {"space": "curriculum_schedule", "method": "es", "settings": {"population_size": 4}}
    made = searched(tmp_path, search=search)
    trials = made.trials()
    assert [t.generation for t in trials] == [0] * 4 + [1] * 4
    assert {t.origin for t in trials[4:]} == {"model"}
    assert len({str(t.candidate) for t in trials}) == 8
    assert all(name.startswith("teacher.schedule.") for t in trials for name in t.candidate)


@pytest.mark.slow
def test_a_curriculum_and_a_loss_are_evolved_together(tmp_path):
    made = searched(
        tmp_path,
        learner={"algorithm": "dqn", "hyperparameters": DQN},
        teacher={"name": "spdl", "parameters": {"initial_mean": 0.5}},
        search={
            "space": "joint_curriculum_and_loss",
            "method": "evolution",
            "settings": {"population_size": 4, "tournament": 2, "batch": 4},
        },
    )
    trials = made.trials()
    assert {len({str(t.candidate[part]) for t in trials}) > 1 for part in ("curriculum", "objective")} == {True}
    assert any(t.ancestor is not None for t in trials), "children of tested parents"


@pytest.mark.slow
@pytest.mark.parametrize(
    "search",
    [{"method": "pbt", "settings": {"intervals": 2}}, {"method": "random", "policy": "halving"}],
)
def test_success_may_be_what_is_searched_for(search, tmp_path):
    space = {
        "name": "rate",
        "dimensions": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "scale": "log"}},
    }
    made = searched(
        tmp_path,
        environment={"id": "maze:9x9", "tasks": {"held_out": 4}, "score_range": [0, 5]},
        teacher="plr",
        search={"space": space, **search},
        evaluation={"episodes": 8, "points": 4, "measure": "success"},
    )
    held_out = made.result["held_out"]["method"]
    assert made.result["arms"]["method"]["score"] == pytest.approx(held_out["success"]["mean"], abs=1e-6)
    assert "(mean success over the held-out tasks)" in made.result["headline"]
