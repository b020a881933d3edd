"""`autorl import`: another tool's search space as a file of ours."""

import json
from pathlib import Path

import pytest
from command_line import call

from autorl.errors import AutoRLError
from autorl.spaces import load_space

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
