"""`autorl run`: overrides, names, what is printed where, and the two by-products (a record of the result, the run in Python)."""

import ast
import json
import subprocess
import sys

import pytest
import yaml
from command_line import call, experiment, write

import autorl

SHORT = ("budget.trainings=2", "budget.env_steps=64", "baselines.default=false", "finalists=1")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory with a small experiment in it."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "small", experiment())
    return tmp_path


def test_overrides_name_and_root_are_obeyed(here):
    done = call("run", "small.yaml", *SHORT, "seeds.test=2", "--name", "mine", "--root", "elsewhere", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["study"] == "mine"
    resolved = yaml.safe_load((here / "elsewhere" / "mine" / "study.yaml").read_text())
    assert resolved["budget"] == {"trainings": 2, "env_steps": 64}
    assert resolved["seeds"]["test"] == 2
    assert len(done.json["result"]["arms"]["method"]["seeds"]) == 2
    again = call("run", "small.yaml", *SHORT, "--name", "mine", "--root", "elsewhere", "--json")
    assert again.json["study"] == "mine-2", "a second run never touches the first"
    assert not (here / "studies").exists()


def test_people_get_progress_on_one_stream_and_the_result_on_the_other(here):
    write(here, "MyExperiment", experiment())
    done = call("run", "MyExperiment.yaml", *SHORT)
    assert done.code == 0
    assert done.err.startswith("study studies/myexperiment\nsearch: 0/2 trials")
    assert "search: 2/2 trials" in done.err
    assert done.out.startswith("PPO tuned by random search on observation_action_reward scores ")
    for words in ("Result on test seeds", "95 % interval", "Winner", "learning_rate"):
        assert words in done.out
    assert done.out.endswith("\nReport: studies/myexperiment/report.html\n")
    assert "\n\n\n" not in done.out
    assert (here / "studies" / "myexperiment" / "report.html").stat().st_size > 1000


def test_who_runs_again_what_was_interrupted_is_told_how_to_go_on_with_it(here):
    autorl.create("small.yaml", name="mine", root="studies")
    again = call("run", "small.yaml", *SHORT, "--name", "mine")
    said = "mine is not finished; autorl resume mine goes on with it. This is another study.\n"
    assert again.err.startswith(f"{said}study studies/mine-2\n")
    third = call("run", "small.yaml", *SHORT, "--name", "mine")
    assert third.err.startswith("study studies/mine-3\n"), "the one before it is finished"


def test_quiet_shows_no_progress_but_the_result(here):
    done = call("run", "small.yaml", *SHORT, "--quiet")
    assert (done.code, done.err) == (0, "")
    assert "Result on test seeds" in done.out


def test_failures_are_shown(here):
    space = {"dimensions": {"learning_rate": {"type": "categorical", "choices": [0.001, 1e30]}}}
    write(here, "half", experiment(search={"space": space, "method": "sobol"}, baselines={"random": False}))
    done = call("run", "half.yaml", "budget.env_steps=512")
    assert done.code == 0
    assert (
        "2 of 6 trials failed; each ranks behind every trial that completed:\n  2 diverged, such as trial " in done.out
    )
    assert "search: 4/4 trials, 2 failed | best " in done.err
    assert "2 diverged, such as trial " in call("show", "half").out


def test_a_study_all_of_whose_trainings_failed_ends_with_1_and_its_result(here):
    space = {"dimensions": {"learning_rate": {"type": "float", "low": 1e30, "high": 1e32, "scale": "log"}}}
    write(here, "lost", experiment(search={"space": space, "method": "random"}, baselines={"default": False}))
    done = call("run", "lost.yaml", "budget.trainings=2", "budget.env_steps=512")
    assert done.code == 1
    assert "of 2 trials that ended none completed" in done.out
    assert "Report: studies/lost/report.html" in done.out
    again = call("resume", "lost", "--json")
    assert again.code == 1
    assert again.json["best"] is None


def test_record_writes_the_result_beside_the_experiment(here):
    done = call("run", "small.yaml", *SHORT, "--record", "--json")
    assert done.code == 0
    assert done.err == "Recorded: small.result.json\n"
    recorded = json.loads((here / "small.result.json").read_text())
    assert recorded["experiment"] == "small"
    assert recorded["result"] == done.json["result"]
    arm = recorded["result"]["arms"]["method"]
    assert arm["interval"][0] <= arm["score"] <= arm["interval"][1]
    assert sum(row["train_env_steps"] for row in recorded["result"]["ledger"]) == 2 * 64 + 3 * 64
    assert recorded["versions"]["autorl"] == autorl.__version__
    assert {"jax", "flax", "numpy", "optuna"} <= set(recorded["versions"])
    assert recorded["seeds"]["test"] == arm["seeds"]
    assert recorded["specification"]["budget"]["env_steps"] == 64


def test_a_record_that_cannot_be_written_is_refused_before_the_study(here, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    done = call("run", "small.yaml", "--record")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: --record: cannot write beside 'small.yaml'.")
    assert not (here / "studies").exists()


@pytest.mark.slow
def test_as_python_prints_a_program_that_does_the_same(here):
    printed = call("run", "small.yaml", *SHORT, "--name", "in-python", "--root", "it's here", "--as-python")
    assert (printed.code, printed.err) == (0, "")
    assert not (here / "it's here").exists(), "it is printed, not run"
    done = subprocess.run([sys.executable, "-c", printed.out], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    ours = call("run", "small.yaml", *SHORT, "--name", "by-hand", "--json").json
    theirs = autorl.load("in-python", root="it's here")
    assert theirs.result["arms"] == ours["result"]["arms"]
    best, headline, report = done.stdout.splitlines()
    assert ast.literal_eval(best) == ours["best"] == theirs.best
    assert headline == ours["result"]["headline"]
    assert (here / report).is_file()


def test_as_python_leaves_out_what_is_not_said_and_refuses_what_is_wrong(here):
    assert "autorl.run('quickstart')\n" in call("run", "quickstart", "--as-python").out
    onward = call("run", "quickstart", "--from", "earlier", "--as-python").out
    assert "autorl.run('quickstart', ['search.warm_start=earlier'])\n" in onward
    again = call("run", "quickstart", "--from", "earlier", "search.warm_start.retrain=3", "--as-python").out
    assert "['search.warm_start.retrain=3', 'search.warm_start.study=earlier']" in again, (
        "what is said beside it counts"
    )
    whole = ("search={space: ppo_continuous}", "search.warm_start=other")
    last = call("run", "quickstart", *whole, "--from", "earlier", "--as-python").out
    assert "'search.warm_start=other', 'search.warm_start=earlier']" in last, "and it counts, whatever is said before"
    mapping = ("search.warm_start={retrain: 3}", "--from", "earlier", "--as-python")
    assert (
        "'search.warm_start={retrain: 3}', 'search.warm_start.study=earlier']"
        in call("run", "quickstart", *mapping).out
    )
    wrong = call("run", "quickstrat", "--as-python")
    assert (wrong.code, wrong.out) == (2, "")
    assert "Did you mean 'quickstart'?" in wrong.err


def test_an_environment_of_ones_own_is_found_in_the_working_directory(here):
    (here / "my_task.py").write_text(
        "from autorl.environments.registry import make_environment\n\n\n"
        "def mine():\n    return make_environment('probe:observation_action_reward')\n"
    )
    command = [sys.executable, "-P", "-m", "autorl", "run", "small.yaml", "environment=my_task:mine", *SHORT, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["environments"] == ["my_task:mine"]


def test_trials_are_logged_where_a_flag_says_so(tmp_path):
    pytest.importorskip("tensorboardX")
    path = write(tmp_path, "logged", experiment(baselines={"random": False, "default": False}))
    done = call("run", path, "--root", tmp_path / "studies", "--quiet", "--log", "tensorboard")
    assert (done.code, done.err) == (0, "")
    logged = tmp_path / "studies" / "logged" / "logs" / "tensorboard"
    groups = {p.name: len(list(p.iterdir())) for p in logged.iterdir() if p.is_dir()}
    assert groups == {"search": 4, "finalists": 2, "test": 1}


def test_an_unknown_logger_starts_no_study(tmp_path):
    path = write(tmp_path, "logged", experiment())
    done = call("run", path, "--root", tmp_path / "studies", "--log", "tensorbord")
    assert (done.code, done.err) == (2, "error: log: unknown logger 'tensorbord'. Did you mean 'tensorboard'?\n")
    assert not (tmp_path / "studies").exists()
