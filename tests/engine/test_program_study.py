"""A search over the programs of Co-Reyes et al. (2021), tiny: what wins is shorter than any of them, and every phase must take it."""

import pytest

import autorl
from autorl.engine.session import Session
from autorl.engine.winner import sizes
from autorl.objectives.graphs.starts_coreyes import REFERENCES
from autorl.spaces import load_space
from autorl.studies.specification import from_mapping
from autorl.studies.trial import Trial

SMALL = {"n_envs": 1, "buffer_size": 64, "buffer_batch_size": 8, "learning_starts": 16, "hidden_size": 4, "n_layers": 1}
SEARCH = {"space": "loss_coreyes2021", "method": "evolution", "settings": {"population_size": 3, "tournament": 2}}
EXPERIMENT = {
    "name": "programs",
    "environment": "probe:observation_action_reward",
    "learner": {"algorithm": "dqn", "hyperparameters": SMALL},
    "search": SEARCH,
    "budget": {"trainings": 4, "env_steps": 128},
    "seeds": {"search": 1, "tuning": 2, "test": 2},
    "evaluation": {"episodes": 2, "points": 1},
    "finalists": 2,
    "parsimony": 0.001,
    "baselines": {"random": False},
}


def test_the_size_of_a_finalist_is_known_though_it_is_no_program_of_the_space():
    space = load_space(SEARCH["space"])
    short = space.candidate(REFERENCES["dqn_reg"])
    assert space.validate(short), "9 nodes, where programs have 18"
    session = Session(from_mapping(EXPERIMENT), None, None, [])
    assert sizes(session.space)(Trial("method", "finalists", 0, space.to_json(short), 128)) == space.size(short)


@pytest.mark.slow
def test_a_search_over_programs_compares_shorter_finalists_and_reaches_its_result(tmp_path):
    study = autorl.run(EXPERIMENT, root=tmp_path)
    space = load_space(SEARCH["space"])
    finalists = study.trials("method", "finalists")
    assert len(finalists) == 2
    assert all(len(space.graph(trial.candidate).nodes) < space.nodes for trial in finalists)
    assert study.result["state"] == "complete"
    assert study.result["proposals"]["method"]["made"] >= 4
    assert "What became of candidates" in study.report().read_text()
    assert study.best in [trial.candidate for trial in finalists]


@pytest.mark.parametrize(
    ("method", "settings"), [("tpe", {"n_startup_trials": 2}), ("es", {"population_size": 2}), ("auto", {})]
)
def test_the_constants_of_a_loss_are_tuned_by_a_study(tmp_path, method, settings):
    search = {"space": "loss_constants", "method": method, "settings": settings}
    study = autorl.run({**EXPERIMENT, "name": "constants", "search": search, "parsimony": 0}, root=tmp_path)
    graphs = [trial.candidate["graph"] for trial in study.trials("method", "search")]
    assert len(graphs) == 4
    assert len({str([node.get("c") for node in graph["nodes"]]) for graph in graphs}) > 1
    assert len({str([(node["op"], node["in"]) for node in graph["nodes"]]) for graph in graphs}) == 1, "one formula"
    given = study.space.starts()[0]["graph"]
    assert graphs[0] == given, "what it tunes is tried first"
    assert [trial.origin for trial in study.trials("method", "search")].count("start") == 1
    assert given in [trial.candidate["graph"] for trial in study.trials("method", "finalists")]
    assert study.result["state"] == "complete"


@pytest.mark.slow
def test_a_loss_and_its_hyperparameters_are_evolved_together(tmp_path):
    settings = {"population_size": 3, "tournament": 2, "batch": 4}
    search = {"space": "joint_loss_and_hyperparameters", "method": "evolution", "settings": settings}
    made = {**EXPERIMENT, "name": "together", "search": search, "parsimony": 0}
    study = autorl.run({**made, "budget": {"trainings": 8, "env_steps": 128}}, root=tmp_path)
    trials = study.trials("method", "search")
    for part in ("objective", "hyperparameters"):
        assert len({str(trial.candidate[part]) for trial in trials}) > 1
    assert any(trial.ancestor is not None for trial in trials)
    assert study.result["state"] == "complete"


def test_the_loss_as_given_is_not_trained_again_by_a_study_that_goes_on(tmp_path):
    search = {"space": "loss_constants", "method": "tpe", "settings": {"n_startup_trials": 2}}
    first = {
        **EXPERIMENT,
        "name": "first",
        "search": search,
        "parsimony": 0,
        "baselines": {"default": False, "random": False},
    }
    autorl.run(first, root=tmp_path)
    more = {
        **first,
        "name": "more",
        "search": {**search, "warm_start": "first"},
        "budget": {"trainings": 6, "env_steps": 128},
    }
    study = autorl.run(more, root=tmp_path)
    graphs = [trial.candidate["graph"] for trial in study.trials("method", "search")]
    assert len(graphs) == 6
    assert graphs.count(study.space.starts()[0]["graph"]) == 1
