"""`autorl run` of a comparison: tables, JSON, record, resumption, and what it refuses."""

import json
import subprocess
import sys

import pytest
from command_line import call, write

import autorl

COMPARISON = {
    "description": "A small one.",
    "objectives": ["dqn", "dqnreg_paper"],
    "learner": {"algorithm": "dqn", "hyperparameters": {"hidden_size": 8, "learning_starts": 16, "buffer_size": 32}},
    "environment": {"id": "probe:action_reward", "score_range": [0, 1], "env_steps": 64},
    "seeds": {"test": 2},
    "evaluation": {"episodes": 2, "points": 2, "averaged": 1},
    "tuning": {
        "space": {"dimensions": {"gamma": {"type": "float", "low": 0.5, "high": 0.9}}},
        "configurations": 2,
    },
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory with a small comparison in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    write(tmp_path / "experiments", "small", COMPARISON)
    return tmp_path


def test_run_trains_once_prints_everything_and_records(here):
    done = call("run", "small", "--record")
    assert done.code == 0, done.err
    assert done.err.startswith("comparison: 0/")
    for words in ("small: 2 objectives of dqn", "As given on", "Tuned on", "P(better)", "Chosen", "Equal work: each"):
        assert words in done.out
    files = f"Figure, tuned: studies/objectives/small-tuned.png\nScores: {here}/experiments/small.scores.jsonl\n"
    assert done.out.endswith(files)
    kept = (here / "studies/objectives/scores.jsonl").read_text()
    assert 8 <= len(kept.splitlines()) <= 12
    recorded = json.loads((here / "experiments/small.result.json").read_text())
    again = call("run", "small", "--json")
    assert (again.code, again.err) == (0, "")
    assert (here / "studies/objectives/scores.jsonl").read_text() == kept, "nothing is trained twice"
    assert recorded["result"] == {k: v for k, v in again.json.items() if k not in ("specification", "seeds", "figures")}
    assert (recorded["experiment"], recorded["specification"]) == ("small", again.json["specification"])
    assert recorded["versions"]["autorl"] == autorl.__version__
    assert len(recorded["seeds"]["test"]) == 2
    assert not set(recorded["seeds"]["test"]) & set(recorded["seeds"]["tuning"])
    tuned = recorded["result"]["panels"]["tuned"]["objectives"]["dqn"]
    assert len(tuned["environments"]["probe:action_reward"]["scores"]) == 2
    more = call("run", "small", "seeds.test=3", "tuning=null", "objectives=[dqn]", "--json")
    assert (more.code, more.err) == (0, "")
    assert len((here / "studies/objectives/scores.jsonl").read_text().splitlines()) == len(kept.splitlines()) + 1
    (row,) = call("objective", "show", "dqn", "--json").json["evaluated"][:1]
    assert row["seeds"] == 3, "test seeds alone"


@pytest.mark.slow
def test_a_record_of_scores_goes_on_elsewhere(here):
    part = call("run", "small", "tuning=null", "seeds.test=1", "--record", "--json")
    assert part.code == 0, part.err
    record = here / "experiments/small.scores.jsonl"
    first = record.read_text()
    assert len(first.splitlines()) == 2
    changed = [{**json.loads(line), "score": 0.125} for line in first.splitlines()]  # what no training here gives
    record.write_text("".join(json.dumps(line) + "\n" for line in changed) + '{"key": "half a l')
    more = call("run", "small", "tuning=null", "--root", "elsewhere", "--record", "--json")
    assert more.code == 0, more.err
    assert (
        "experiments/small.scores.jsonl holds 2 scores, which are not trained again. To measure anew, remove it."
        in more.err
    )
    for own in more.json["panels"]["given"]["objectives"].values():
        assert 0.125 in own["environments"]["probe:action_reward"]["scores"], "taken up, not trained again"
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert lines[:2] == changed
    assert len({line["key"] for line in lines}) == len(lines) == 4
    assert len((here / "elsewhere/objectives/scores.jsonl").read_text().splitlines()) == 2
    third = call("run", "small", "tuning=null", "--root", "third", "--json")
    assert third.code == 0, third.err
    assert len((here / "third/objectives/scores.jsonl").read_text().splitlines()) == 4, (
        "without --record all is trained"
    )


@pytest.mark.slow
def test_as_python_prints_a_program_that_does_the_same(here):
    short = ["tuning=null", "objectives=[dqn]", "seeds.test=1"]
    printed = call("run", "small", *short, "--root", "here", "--as-python")
    assert (printed.code, printed.err) == (0, "")
    assert not (here / "here").exists(), "it is printed, not run"
    done = subprocess.run([sys.executable, "-c", printed.out], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    ours = call("run", "small", *short, "--root", "here", "--json").json["panels"]["given"]["objectives"]["dqn"]
    assert done.stdout == f"given dqn {ours['iqm']} {ours['interval']}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["objectives=[dqn, dqnreg]"], 2, "objectives.1: unknown learned objective 'dqnreg'. Did you mean"),
        (["budget.trainings=5"], 2, "budget: unknown field"),
        (["seeds.test=0", "learner=sarsa"], 2, "seeds.test: expected a whole number >= 1"),
        (["seeds.test=0", "learner=sarsa"], 2, "unknown learner 'sarsa'"),
        (["--name", "mine"], 2, "--name: a comparison makes no study"),
        (["seeds.tets=1", "--as-python"], 2, "Did you mean 'test'?"),
    ],
)
def test_wrong_usage_is_one_message_and_leaves_nothing(here, arguments, code, message):
    done = call("run", "small", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert done.err.startswith(("error: ", "Usage: "))
    assert "Traceback" not in done.err
    assert not (here / "studies").exists()


def test_a_record_that_cannot_be_written_is_refused_first(here, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    done = call("run", "small", "--record")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: --record: cannot write beside ")
    assert not (here / "studies").exists()


def test_a_comparison_is_listed_and_is_no_study(here):
    rows = {row["name"]: row["description"] for row in call("list", "experiments", "--json").json["experiments"]}
    assert rows["small"] == "A small one."
    assert rows["dqnreg_generalises"].startswith("Whether DQNReg generalises: four losses")
    with pytest.raises(autorl.errors.UsageError, match=r"autorl\.run_comparison"):
        autorl.run("small")
    with pytest.raises(autorl.errors.UsageError, match="objectives: missing"):
        autorl.run_comparison("quickstart")


def test_a_comparison_all_of_whose_trainings_failed_ends_with_1_and_its_tables(here):
    learner = {
        "algorithm": "dqn",
        "hyperparameters": {**COMPARISON["learner"]["hyperparameters"], "learning_rate": 1e30},
    }
    lost = {**{k: v for k, v in COMPARISON.items() if k != "tuning"}, "learner": learner, "env_steps": 256}
    write(here / "experiments", "lost", {**lost, "environment": {**COMPARISON["environment"], "env_steps": 256}})
    done = call("run", "lost")
    assert done.code == 1
    assert "2 of 2" in done.out
    assert "Scores: " in done.out
