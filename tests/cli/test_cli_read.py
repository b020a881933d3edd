"""The verbs that only read: list, show, report, compare."""

import json
import shutil
from dataclasses import asdict

import pytest
from command_line import call, experiment, write

import autorl
from autorl import catalogue
from autorl.curricula.teachers import ALL_TEACHERS
from autorl.environments.registry import environment_names
from autorl.inner.algorithms import ALGORITHMS
from autorl.outer.budget.policies import POLICIES
from autorl.outer.methods import METHODS
from autorl.outer.tasks.methods import ALL_TASK_METHODS


def listed(kind, *more):
    done = call("list", kind, "--json", *more)
    assert (done.code, done.err) == (0, "")
    assert list(done.json) == [kind]
    return done.json[kind]


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("spaces", lambda: catalogue.names("search_spaces")),
        ("objectives", lambda: catalogue.names("learned_objectives")),
        ("experiments", lambda: catalogue.names("experiments")),
        ("methods", lambda: METHODS),
        ("policies", lambda: POLICIES),
        ("learners", lambda: ALGORITHMS),
        ("teachers", lambda: ALL_TEACHERS),
        ("task_methods", lambda: ALL_TASK_METHODS),
        ("environments", environment_names),
    ],
)
def test_list_knows_what_the_catalogues_and_registries_know(kind, known):
    assert [row["name"] for row in listed(kind)] == list(known())
    text = call("list", kind).out
    assert text.startswith(f"{kind}\n")
    assert all(name in text for name in known())


def test_list_tells_each_thing_by_a_whole_sentence():
    for kind in ("spaces", "experiments"):
        for row in listed(kind):
            assert row["description"].endswith("."), row
            assert row["description"][0].isupper(), row
    methods = {row["name"]: row for row in listed("methods")}
    assert all(set(row["searches"].split(", ")) == METHODS.load(name).searches for name, row in methods.items())
    assert all(row["reference"] for row in methods.values())
    for row in listed("task_methods"):
        assert row["chooses"].endswith("."), row
        assert row["reference"], row


def test_list_without_a_kind_is_all_kinds(finished):
    done = call("list", "--json", "--root", finished.parent)
    assert list(done.json) == [
        "spaces",
        "objectives",
        "experiments",
        "methods",
        "policies",
        "learners",
        "teachers",
        "task_methods",
        "environments",
        "studies",
    ]
    assert done.json["studies"] == [{"name": "tuned", "trials": 4, "state": "finished"}]
    wrong = call("list", "spces")
    assert (wrong.code, wrong.out) == (2, "")
    assert "unknown kind 'spces'. Did you mean 'spaces'?" in wrong.err


def test_list_finds_the_users_own_and_says_what_is_broken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    write(tmp_path / "experiments", "mine", experiment(description="My very own."))
    (tmp_path / "experiments" / "broken.yaml").write_text("# Mine too.\nlerner: ppo\n")
    rows = {row["name"]: row["description"] for row in listed("experiments")}
    assert rows["mine"] == "My very own."
    assert rows["broken"].startswith("cannot be read: experiments/broken.yaml:2:1: lerner")


def test_a_damaged_study_hides_no_other(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "whole")
    shutil.copytree(finished, tmp_path / "damaged")
    (tmp_path / "damaged" / "record.sqlite").write_bytes(b"no database")
    damaged, whole = listed("studies", "--root", tmp_path)
    assert whole == {"name": "whole", "trials": 4, "state": "finished"}
    assert damaged["trials"] is None
    assert damaged["state"].startswith("cannot be read: ")
    assert "is not a database" in damaged["state"]


def test_show_prints_every_trial_the_best_and_the_result(finished):
    study = autorl.load(finished)
    held = call("show", finished, "--json").json
    assert held["finished"] is True
    assert held["specification"] == json.loads(json.dumps(study.plain_specification()))
    trials = study.trials(None, None)
    assert held["trials"] == json.loads(json.dumps([asdict(t) for t in trials]))
    assert len(trials) == 4 + 2 + 2, "search, finalists, and the winner's test beside the default's"
    for trial in held["trials"]:
        assert {"number", "candidate", "parent", "seeds", "status", "score", "ledger"} <= set(trial)
        assert trial["status"] == "completed"
        assert trial["ledger"]["train_env_steps"] == trial["env_steps"] * len(trial["seeds"])
    assert held["best"]["candidate"] == study.best
    assert held["result"]["arms"]["method"]["candidate"] == study.best
    text = call("show", finished).out
    assert text.startswith(f"{finished} (finished)\nA small one.\n\nTrials\n")
    assert study.result["headline"] in text
    assert "\n\n\n" not in text


def test_show_shows_the_best_twenty_or_all(tmp_path):
    space = {"dimensions": {"x": {"type": "float", "low": 0.0, "high": 1.0}}}
    spec = {"name": "own", "search": {"space": space, "method": "random"}, "budget": {"trainings": 25, "env_steps": 1}}
    with autorl.create(spec, root=tmp_path) as study:
        for _ in range(25):
            trial = study.ask()
            study.tell(trial, trial.candidate["x"])
    few, every = (call("show", tmp_path / "own", *more).out for more in ((), ("--all",)))
    assert few.startswith(f"{tmp_path / 'own'} (an objective of your own)\n")
    assert few.count("completed  x=") == 20
    assert "The best 20 of 25 trials." in few
    assert every.count("completed  x=") == 25
    assert call("show", tmp_path / "own", "--json").json["result"]["own_objective"]["told"] == 25


def test_report_writes_anew_and_says_where(finished):
    (finished / "report.html").unlink()
    (finished / "optuna.log").unlink()
    done = call("report", "tuned", "--root", finished.parent)
    assert (done.code, done.out) == (0, f"{finished / 'report.html'}\n")
    assert done.err == f"Dashboard: optuna-dashboard {finished / 'optuna.log'}\n"
    assert "<html" in (finished / "report.html").read_text()


def test_compare_says_where_two_studies_are_not_comparable(finished, evolved):
    done = call("compare", finished, evolved, "--json")
    assert (done.code, done.err) == (0, "")
    assert [s["name"] for s in done.json["studies"]] == ["tuned", evolved.name]
    assert done.json["pairs"] == [], "different environments are never paired"
    warnings = " ".join(done.json["warnings"])
    assert "NOT equal work" in warnings
    assert "environments" in warnings
    text = call("compare", "tuned", evolved, "--root", finished.parent).out
    assert "Warning: NOT equal work" in text


def test_compare_pairs_studies_of_one_question_even_of_one_name(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "tuned")
    done = call("compare", finished, tmp_path / "tuned", "--json")
    assert [s["name"] for s in done.json["studies"]] == [str(finished), str(tmp_path / "tuned")]
    (pair,) = done.json["pairs"]
    assert pair["difference"] == 0
    assert done.json["warnings"] == []
    done = call("compare", finished, tmp_path / "tuned", "--report", tmp_path / "page.html")
    assert (done.code, done.err) == (0, f"Report: {tmp_path / 'page.html'}\n")
    assert "Performance profiles" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("count", [1, 2])
def test_compare_wants_two_different_studies(finished, count):
    done = call("compare", *[finished] * count)
    assert done.code == 2
    assert done.err.startswith("error: compare: ")
