"""`autorl import`: another tool's search space as a file of ours."""

import json
from pathlib import Path

import pytest
import yaml
from command_line import call

from autorl.errors import AutoRLError
from autorl.interop.carl import held_out_contexts
from autorl.spaces import load_space
from autorl.studies.models import EnvironmentChoice

CONFIGSPACE = Path(__file__).parents[1] / "interop" / "configspace_1_2.json"


def test_a_configspace_file_becomes_a_space_file(tmp_path):
    path = tmp_path / "made.yaml"
    done = call("import", "configspace", CONFIGSPACE, "-o", path, "--learner", "dqn")
    assert (done.code, done.out, done.err) == (0, f"{path}\n", "")
    space = load_space(str(path))
    assert (space.learner, space.source, len(space.dimensions)) == ("dqn", "ConfigSpace, configspace_1_2.json", 12)
    assert call("import", "configspace", CONFIGSPACE, "--learner", "dqn").out == path.read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "made.json"], "error: --output: a space file ends in .yaml, got 'made.json'"),
        (["--learner", "dqm"], "error: unknown learner 'dqm'. Did you mean 'dqn'?"),
    ],
)
def test_wrong_options(options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("import", "configspace", CONFIGSPACE, *options)
    assert (done.code, done.out, list(tmp_path.iterdir())) == (2, "", [])
    assert done.err.startswith(words)


def test_what_cannot_be_represented_writes_nothing(tmp_path):
    data = json.loads(CONFIGSPACE.read_text())
    data["forbiddens"] = [{"name": "n_layers", "type": "EQUALS", "value": 4}]
    (tmp_path / "forbidding.json").write_text(json.dumps(data))
    done = call("import", "configspace", tmp_path / "forbidding.json", "-o", tmp_path / "out.yaml")
    assert (done.code, (tmp_path / "out.yaml").exists()) == (AutoRLError.exit_code + 1, False)
    assert done.err.startswith("error: forbidding.json: forbidden combination")


def test_a_study_of_ours_goes_through_optuna_and_back(finished, tmp_path):
    space, trials = tmp_path / "again.yaml", tmp_path / "trials.jsonl"
    done = call("import", "optuna", finished / "optuna.log", "--study", "tuned", "-o", space, "--trials", trials)
    assert (done.code, done.out, done.err) == (0, f"{space}\n{trials}\n", "")
    assert set(load_space(str(space)).dimensions) == {"learning_rate", "gamma"}
    lines = [json.loads(line) for line in trials.read_text().splitlines()]
    assert len(lines) == 4
    assert set(lines[0]) == {"candidate", "score", "status"}


def test_contexts_of_carl_become_the_tasks_of_an_experiment(tmp_path):
    contexts = held_out_contexts({"id": "contextual:Acrobot-v1", "tasks": {"held_out": 3}})
    (tmp_path / "contexts.json").write_text(json.dumps({**contexts, "default": {"LINK_MOI": 1.0}}))
    made = tmp_path / "made.yaml"
    arguments = ("import", "carl", tmp_path / "contexts.json", "--environment", "contextual:Acrobot-v1")
    done = call(*arguments, "-o", made)
    assert (done.code, done.out, done.err) == (0, f"{made}\n", "")
    assert call(*arguments).out == made.read_text()
    section = yaml.safe_load(made.read_text())["environment"]
    assert section["tasks"]["named"][3] == {"link_length_1": 1.0}, "the default task, which is not written empty"
    assert len(EnvironmentChoice.model_validate(section).tasks.named) == 4
    back = held_out_contexts(section)
    assert {i: back[i] for i in range(3)} == contexts


def test_a_context_space_becomes_what_a_teacher_varies(tmp_path):
    entries = [
        {"type": "uniform_float", "name": n, "lower": low, "upper": 2.0}
        for n, low in (("length", 0.1), ("masscart", 1))
    ]
    (tmp_path / "space.json").write_text(json.dumps({"hyperparameters": entries}))
    done = call("import", "carl", tmp_path / "space.json", "--environment", "contextual:CartPole-v1")
    assert yaml.safe_load(done.out) == {
        "environment": {
            "id": "contextual:CartPole-v1",
            "tasks": {"vary": {"length": [0.1, 2.0], "masscart": [1.0, 2.0]}},
        }
    }


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ('[{"width": 1}]', "contextual:CartPole-v1", "error: contexts.json: context 0: unknown feature 'width'"),
        ("[]", "contextual:CartPole-v1", "error: contexts.json: there is no context in it"),
        ("{", "contextual:CartPole-v1", "error: contexts.json: no JSON"),
        (
            "[{}]",
            "gymnax:CartPole-v1",
            "error: contexts.json: environment 'gymnax:CartPole-v1' has no counterpart in CARL",
        ),
    ],
)
def test_contexts_that_cannot_be_imported(tmp_path, text, environment, words):
    (tmp_path / "contexts.json").write_text(text)
    done = call("import", "carl", tmp_path / "contexts.json", "--environment", environment, "-o", tmp_path / "out.yaml")
    assert (done.code, done.out, (tmp_path / "out.yaml").exists()) == (2, "", False)
    assert done.err.startswith(words)
