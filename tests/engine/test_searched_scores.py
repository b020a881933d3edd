"""Evolution of level scores, tiny: all candidates are one program, and the winner can be exported and trained again."""

import pytest
import yaml

import autorl
from autorl.studies.record import Record
from autorl.studies.specification import from_mapping
from autorl.studies.trial import COMPILED

pytestmark = pytest.mark.slow

SMALL = {"n_envs": 2, "n_steps": 64, "minibatch_size": 64, "update_epochs": 1, "hidden_size": 4, "n_layers": 1}
OVERRIDES = {
    "environment": [
        {"id": "maze:9x9", "score_range": [0, 1], "tasks": {"held_out": 4, "seed": seed}, "role": role}
        for seed, role in ((0, "train"), (1, "held_out"))
    ],
    "teacher.parameters": {"capacity": 16, "fill": 0.2},
    "search.settings": {"population_size": 4, "tournament": 2, "batch": 4},
    "budget": {"trainings": 8, "env_steps": 1024},
    "seeds": {"tuning": 1, "test": 2},
    "evaluation.episodes": 4,
    "finalists": 2,
    "baselines": {"random": False},
    **{f"learner.hyperparameters.{name}": value for name, value in SMALL.items()},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return autorl.run("search_over_scores", OVERRIDES, name="scores", root=tmp_path_factory.mktemp("studies"))


def test_all_scores_train_in_one_program(study):
    searched = study.trials("method", "search")
    assert [trial.status for trial in searched] == ["completed"] * 8
    assert len({str(trial.candidate) for trial in searched}) == 8
    with Record.open(study.folder.record, readonly=True) as record:
        compiled = record.meta(COMPILED)
    # of each environment: the graphs; and of the one that is tested in, the default, which is written by hand
    assert sorted(one["environment"] for one in compiled) == [0, 1, 1]


def test_the_winner_is_read_exported_and_trained_again(study):
    exported = yaml.safe_load(study.export())
    assert exported["teacher"]["parameters"]["score"]["graph"] == study.best["graph"]
    again = from_mapping(exported)
    assert again.teacher.parameters["capacity"] == 16
    assert "Best different level scores" in study.report().read_text()
