"""The loss that a study found, as an objective of the catalogue: loaded, shown and exported as those that are shipped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autorl.errors import StudyError, UsageError
from autorl.interop.export import EXPORTS
from autorl.interop.learned_objective import write
from autorl.objectives.graphs.canonical import key
from autorl.objectives.graphs.export import export_files
from autorl.objectives.loader import load_objective
from autorl.outer.protocol import Status
from autorl.spaces import load_space
from autorl.studies.specification import from_mapping
from autorl.studies.trial import Trial

SPACE = load_space("loss_value")
GRAPH = load_objective("dqnreg_code").graph
BUDGET = {"trainings": 8, "env_steps": 1000}
STUDY = from_mapping(
    {
        "name": "losses",
        "environment": [
            {"id": "gymnax:CartPole-v1", "score_range": [0, 500]},
            {"id": "gymnax:Acrobot-v1", "score_range": [-500, -70], "role": "held_out"},
        ],
        "learner": "dqn",
        "search": {"space": "loss_value", "method": "evolution"},
        "budget": BUDGET,
    }
)
SEARCHED = Trial(
    "method", "search", 5, SPACE.to_json(SPACE.candidate(GRAPH)), 1000, seeds=(1,), scores=((0.5,),), score=0.5, status=Status.COMPLETED
)  # fmt: skip
RESULT = {
    "arms": {
        "method": {"seeds": [1, 2], "env_steps": 1000, "environment_scores": [0.25]},
        "random": {"seeds": [1, 2], "env_steps": 1000, "environment_scores": [0.125]},
        "objective:dqn": {"seeds": [1, 2], "env_steps": 1000, "environment_scores": [0.75]},
    }
}
ABOUT = {
    "command": ["/somewhere/bin/autorl", "run", "losses", "seeds.study=3"],
    "started": "2026-11-23T01:00:00",
    "packages": {"autorl": "9"},
}


def test_a_folder_of_the_catalogue_says_where_the_loss_comes_from(tmp_path: Path) -> None:
    made = load_objective(write(tmp_path / "mine", STUDY, SEARCHED, [SEARCHED], RESULT, ABOUT))
    assert (made.name, key(made.graph)) == ("mine", key(GRAPH))
    about = made.provenance
    assert about["found_by"] == {
        "study": "losses", "command": "autorl run losses seeds.study=3", "environments": ["gymnax:CartPole-v1"], "seeds": [0],
        "trial": 5, "trials": 1, "score": 0.5, "version": "9",
    }  # fmt: skip
    assert about["tested"] == [
        {
            "environment": "gymnax:Acrobot-v1", "learner": "dqn", "seeds": 2, "env_steps": 1000, "score": 0.25,
            "score_range": [-500.0, -70.0], "against": "random 0.125, dqn 0.75", "command": "autorl run losses seeds.study=3",
        }
    ]  # fmt: skip
    assert about["created"] == "2026-11-23"
    assert "Found by the search losses" in export_files(made, "numpy")["mine_numpy.py"]


def test_hyperparameters_that_were_searched_with_it_are_said(tmp_path: Path) -> None:
    space = load_space("joint_loss_and_hyperparameters")
    together = STUDY.model_copy(
        update={
            "search": STUDY.search.model_copy(update={"space": space.name}),
            "learner": STUDY.learner.model_copy(update={"hyperparameters": {"gamma": 0.5}}),
        }
    )
    sample = space.to_json({**space.sample(0), "objective": SPACE.candidate(GRAPH)})
    best = replace(SEARCHED, candidate=sample)
    (row,) = load_objective(write(tmp_path / "mine", together, best, [best], RESULT, ABOUT)).provenance["tested"]
    assert row["hyperparameters"] == {"gamma": 0.5, **sample["hyperparameters"]}
    assert "learning_rate" in row["hyperparameters"]


def test_an_objective_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", STUDY, SEARCHED, [SEARCHED], RESULT, ABOUT)
    with pytest.raises(UsageError, match="is there already"):
        write(folder, STUDY, SEARCHED, [SEARCHED], RESULT, ABOUT)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"], "and nothing half done beside it"


def test_the_graph_alone_is_a_file_of_ones_own(tmp_path: Path) -> None:
    text = EXPORTS.load("objective")(STUDY, SEARCHED, [SEARCHED])
    (tmp_path / "alone.json").write_text(text)
    assert key(load_objective(tmp_path / "alone.json").graph) == key(GRAPH)
    assert len(text.splitlines()) == len(json.loads(text)["nodes"]) + 6, "a line for each node"


def test_what_is_no_loss_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no trial has completed"):
        write(tmp_path / "mine", STUDY, None, [], RESULT, ABOUT)
    with pytest.raises(UsageError, match="expected a name of a-z"):
        write(tmp_path / "My loss", STUDY, SEARCHED, [SEARCHED], RESULT, ABOUT)
    numbers = from_mapping(
        {
            "environment": "gymnax:CartPole-v1",
            "learner": "ppo",
            "search": {"space": "ppo_arlbench"},
            "budget": {**BUDGET, "env_steps": 4096},
        }
    )
    trial = Trial("method", "search", 0, {"learning_rate": 1e-3}, 1000)
    with pytest.raises(UsageError, match="searched no loss graph"):
        EXPORTS.load("objective")(numbers, trial, [trial])
    assert list(tmp_path.iterdir()) == []
