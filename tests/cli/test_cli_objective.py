"""``autorl objective``: list, show, export, evaluate; wrong usage is one message."""

import json
import re
import subprocess
import sys

import pytest
from command_line import call

from autorl.objectives.loader import names


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_list_names_every_objective_with_a_sentence():
    done = call("objective", "list", "--json")
    assert [row["name"] for row in done.json["objectives"]] == list(names())
    assert all(row["description"].endswith(".") for row in done.json["objectives"])
    assert "dqnreg_paper" in call("objective", "list").out


def test_a_damaged_objective_hides_no_other(tmp_path):
    (tmp_path / "learned_objectives" / "broken").mkdir(parents=True)
    (tmp_path / "learned_objectives" / "broken" / "provenance.json").write_text("{")
    for verb in (("objective", "list"), ("list", "objectives")):
        rows = {row["name"]: row["description"] for row in call(*verb, "--json").json["objectives"]}
        assert rows["broken"].startswith("cannot be read: ")
        assert rows["dqn"] == "Half the squared one-step TD error: DQN."


def test_show_tells_formula_graph_source_and_picture(tmp_path):
    done = call("objective", "show", "dqnreg_paper")
    assert (done.code, done.err) == (0, "")
    for part in (
        "loss = 0.1 * q_action + delta^2",
        "where delta = q_action - (reward + discount * max_a(q_target_next))",
        r"L = 0.1\,Q(s,a) + \delta^2",
        "loss = x4 + x5",
        "Co-Reyes",
        "KeyCorridorS3R1",
        "Picture: studies/objectives/dqnreg_paper.png",
    ):
        assert part in done.out
    assert (tmp_path / "studies/objectives/dqnreg_paper.png").read_bytes().startswith(b"\x89PNG")


def test_show_as_json_and_as_svg(tmp_path):
    shown = call("objective", "show", "dqn", "--json", "--picture", "dqn.svg").json
    assert shown["formula"] == "0.5 * (q_action - (reward + discount * max_a(q_target_next)))^2"
    assert shown["registers"] == ["q_action", "q_target_next", "reward", "discount"]
    assert shown["provenance"]["source"]["year"] == 2015
    assert shown["evaluated"] == []
    assert "<svg" in (tmp_path / "dqn.svg").read_text()
    alone = call("objective", "show", f"{shown['folder']}/graph.json", "--json")
    assert alone.json["graph"] == shown["graph"]


def test_show_says_where_it_was_tested_and_needs_no_picture(tmp_path):
    (tmp_path / "studies/objectives/dqn.png").mkdir(parents=True)
    done = call("objective", "show", "dqn")
    assert done.code == 0
    assert "No picture: cannot write" in done.out
    assert "scaled by [-200, -110]" in done.out
    assert "double_dqn 0.0158, dqnreg_paper 0" in done.out
    assert re.search(r"^minigrid:Empty-Random-5x5 +dqn \(1\) .* 0\.1170 ", done.out, re.M)
    assert re.search(r"^minigrid:Empty-Random-5x5 +dqn \(2\) .* 0 ", done.out, re.M)
    assert "\n(1) Measured by: autorl run discover_from_dqn" in done.out
    assert "\n(2) Measured by: autorl run dqnreg_generalises" in done.out
    assert call("objective", "show", "dqn", "--json").json["picture"] is None
    asked = call("objective", "show", "dqn", "--picture", "studies/objectives/dqn.png")
    assert (asked.code, "cannot write" in asked.err) == (3, True)
    assert "Not tested yet: autorl objective evaluate cql --environments" in call("objective", "show", "cql").out


def test_export_writes_files_that_pass_their_own_test(tmp_path):
    done = call("objective", "export", "dqn_clipped", "--to", "numpy", "--output", "out")
    assert done.out.split() == ["out/dqn_clipped_numpy.py", "out/test_dqn_clipped_numpy.py"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout
    assert call("objective", "export", "dqn", "--to", "latex").out == "dqn_latex.tex\ntest_dqn_latex.py\n"
    assert call("objective", "export", "dqn", "--to", "dot").out == "dqn_graph.dot\ntest_dqn_graph.py\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "dqnreg_papr"], 2, "Did you mean 'dqnreg_paper'"),
        (["show", "../dqn"], 2, "no folder of an objective"),
        (["show", "dqn", "--picture", "dqn.gif"], 2, "--picture: expected"),
        (["export", "dqn", "--to", "pytorch"], 2, "Did you mean 'torch'"),
        (["evaluate", "dqn", "-e", "gymnax:CartPoll-v1"], 2, "Did you mean 'gymnax:CartPole-v1'"),
        (["evaluate", "dqn", "dqn", "-e", "gymnax:CartPole-v1"], 2, "each once"),
        (["evaluate", "dqn", "-e", ","], 2, "environments: expected at least one"),
        (["evaluate", "dqn", "-e", "gymnax:CartPole-v1", "--set", "gamma"], 2, "--set: expected name=value"),
        (["evaluate", "dqn", "-e", "gymnax:CartPole-v1", "--set", "gama=1"], 2, "gama"),
        (["evaluate", "dqn", "-e", "gymnax:CartPole-v1", "--range", "A=1,2"], 2, "--range: expected one of"),
        (
            ["evaluate", "dqn", "-e", "gymnax:CartPole-v1", "--range", "gymnax:CartPole-v1=2"],
            2,
            "--range: expected ENV",
        ),
        (["evaluate", "dqn", "-e", "probe:one", "--range", "probe:one=-inf,0"], 2, "finite numbers, LOW below HIGH"),
        (["evaluate", "dqn", "-e", "gymnax:CartPole-v1", "--learner", "trpo"], 2, "trpo"),
        (
            ["evaluate", "dqn", "ppo_clip", "-e", "gymnax:CartPole-v1"],
            2,
            "objective 'ppo_clip': reads the registers 'policy_gradient', but dqn",
        ),
        (["evaluate", "dqn", "-e", "gymnax:CartPole-v1", "--seeds", "0"], 2, "--seeds"),
    ],
)
def test_wrong_usage_is_one_message(arguments, code, message):
    done = call("objective", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"op": "max_a", "in": ["q_target_next"]}, "reads nothing that the network puts out"),
        ({"op": "sub", "in": ["q_action", "q_action"]}, "no slope in what the network puts out"),
    ],
    ids=["no-path", "a-path-without-slope"],
)
def test_a_loss_that_teaches_nothing_is_not_trained(tmp_path, node, message):
    graph = {"language": "autorl", "family": "value", "nodes": [node]}
    (tmp_path / "flat.json").write_text(json.dumps(graph))
    done = call("objective", "evaluate", "dqn", "flat.json", "-e", "gymnax:CartPole-v1")
    assert (done.code, done.out) == (2, "")
    assert "objective 'flat'" in done.err
    assert message in done.err


def test_where_every_training_fails_it_says_why_and_exits_with_1(tmp_path):
    asked = [
        "objective",
        "evaluate",
        "dqn",
        "-e",
        "probe:observation_action_reward",
        "--seeds",
        "2",
        "--env-steps",
        "64",
    ]
    asked += ["--episodes", "2", "--set", "hidden_size=8", "--set", "learning_starts=16", "--set", "buffer_size=32"]
    done = call(*asked, "--set", "learning_rate=1e38", "--quiet")
    assert done.code == 1
    assert "In probe:observation_action_reward every training failed: nothing can be compared." in done.out
    assert "2 trainings ended as diverged, such as dqn in probe:observation_action_reward: non-finite loss" in done.out
    assert done.err.endswith("error: nothing was measured: every training failed, as said above\n")


def test_evaluate_trains_once_and_show_knows_it(tmp_path):
    asked = ["objective", "evaluate", "dqn", "-e", "probe:constant_reward", "--seeds", "2", "--env-steps", "64"]
    asked += ["--episodes", "2", "--set", "hidden_size=8", "--set", "learning_starts=16", "--set", "buffer_size=32"]
    first = call(*asked, "--json")
    assert first.code == 0, first.err
    assert first.json["objectives"]["dqn"]["trainings"] == 2
    assert first.json["objectives"]["dqn"]["train_env_steps"] == 128
    assert first.json["learner"] == "dqn"
    kept = (tmp_path / "studies/objectives/scores.jsonl").read_text()
    assert [json.loads(line)["score"] for line in kept.splitlines()] == [1.0, 1.0]
    again = call(*asked, "--quiet")
    assert "Objectives on probe:constant_reward" in again.out
    assert (tmp_path / "studies/objectives/scores.jsonl").read_text() == kept
    assert (tmp_path / "studies/objectives/evaluation.png").read_bytes().startswith(b"\x89PNG")
    (row,) = call("objective", "show", "dqn", "--json").json["evaluated"]
    assert (row["environment"], row["seeds"], row["env_steps"], row["score"]) == ("probe:constant_reward", 2, 64, 1.0)
    assert row["evaluation"]["episodes"] == 2
    assert "(measured here, 2 episodes; autorl" in call("objective", "show", "dqn").out


def test_a_loss_that_a_search_found_goes_into_the_catalogue(tmp_path):
    study = {
        "environment": "mdp:lottery", "learner": "tabular", "finalists": 1, "budget": {"trainings": 4, "env_steps": 128},
        "search": {"space": "loss_td_given", "method": "evolution", "settings": {"population_size": 4, "batch": 4}},
        "seeds": {"tuning": 1, "test": 2}, "evaluation": {"episodes": 2, "points": 1}, "baselines": {"random": False, "default": False},
    }  # fmt: skip
    (tmp_path / "los.yaml").write_text(json.dumps(study))
    ran = call("run", "los.yaml", "--quiet")
    assert ran.code == 0, ran.err
    done = call("export", "los", "--to", "objective", "-o", "learned_objectives/mine")
    assert (done.code, done.out) == (0, "learned_objectives/mine\n"), done.err
    assert call("export", "los", "--to", "objective", "-o", "alone.json").out == "alone.json\n"
    shown, alone = call("objective", "show", "mine"), call("objective", "show", "alone.json", "--json")
    assert (shown.code, alone.code) == (0, 0), shown.err + alone.err
    assert "Found by the search los (seeds 0): " in shown.out
    assert [line.split()[:4] for line in shown.out.splitlines() if line.startswith("mdp:")] == [
        ["mdp:lottery", "tabular", "128", "2"]
    ]
    assert alone.json["graph"] == call("objective", "show", "mine", "--json").json["graph"]
