import io
import json
import math
import os
import pathlib
import subprocess
import sys
import warnings
from datetime import UTC, datetime

import numpy as np
import optuna
import pytest

from autorl.interop import optuna_storage
from autorl.outer.protocol import Status
from autorl.spaces import (
    ArraySpace,
    Bool,
    Categorical,
    Condition,
    Fixed,
    Float,
    HyperparameterSpace,
    Int,
    ProductSpace,
)
from autorl.studies.trial import Curve, Ledger, Trial

SPACE = HyperparameterSpace(
    "test",
    {
        "learning_rate": Float(1e-6, 1e-1, scale="log"),
        "gamma": Float(0.8, 0.9999, scale="one_minus_log"),
        "clip_eps": Float(0.0, 0.5),
        "batch": Categorical((64, 128, 256)),
        "activation": Categorical(("relu", "tanh")),
        "n_steps": Int(8, 512, log=True),
        "epochs": Int(1, 20),
        "normalise": Bool(),
        "width": Fixed(64),
        "alpha": Float(0.0, 1.0),
    },
    {"alpha": Condition("normalise", (True,))},
)


def make(number, status=Status.COMPLETED, arm="method", **fields):
    completed = status is Status.COMPLETED
    return Trial(
        arm=arm,
        phase="search",
        number=number,
        candidate=fields.pop("candidate", SPACE.sample(number)),
        env_steps=1000,
        seeds=(11, 12),
        status=status,
        score=float(number) * 1.5 - 7 if completed else None,
        scores=((1.0, 2.0),),
        curves=(Curve(0, 0, (500, 1000), (1.0, 3.0)), Curve(0, 1, (500, 1000), (2.0, None))),
        ledger=Ledger(train_env_steps=2000, wall_seconds=2.5),
        message="" if completed else "loss became nan",
        told=number,
        **fields,
    )


def storage(path):
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))


def load(path, name="study"):
    return optuna.load_study(study_name=name, storage=storage(path))


def test_values_states_and_parameters_come_back(tmp_path):
    path = tmp_path / "optuna.journal"
    trials = [
        make(0),
        make(1, parent=0, generation=1, origin="exploit"),
        make(2, Status.DIVERGED),
        make(3, Status.PRUNED),
        make(4),
    ]
    optuna_storage.write(path, "study", trials, SPACE, datetime(2026, 11, 21, tzinfo=UTC))
    study = load(path)
    assert study.direction.name == "MAXIMIZE"
    assert [t.state.name for t in study.trials] == ["COMPLETE", "COMPLETE", "FAIL", "PRUNED", "COMPLETE"]
    for ours, theirs in zip(trials, study.trials, strict=True):
        assert theirs.number == ours.number
        assert theirs.value == ours.score
        assert theirs.params == dict(ours.candidate)
        assert [type(v) for v in theirs.params.values()] == [type(ours.candidate[k]) for k in theirs.params]
        assert theirs.intermediate_values == {500: 1.5}
        assert (theirs.datetime_complete - theirs.datetime_start).total_seconds() == 2.5
        assert theirs.user_attrs["seeds"] == [11, 12]
        assert theirs.user_attrs["status"] == str(ours.status)
    assert study.trials[0].datetime_start.astimezone(UTC) == datetime(2026, 11, 21, tzinfo=UTC)
    assert study.trials[1].user_attrs["parent"] == 0
    assert study.trials[1].user_attrs["generation"] == 1
    assert study.trials[2].user_attrs["failure"] == "loss became nan"
    assert "parent" not in study.trials[0].user_attrs
    assert study.best_trial.number == 4


def test_distributions_are_the_spaces_own(tmp_path):
    optuna_storage.write(tmp_path / "o", "study", [make(i) for i in range(8)], SPACE)
    seen = {k: v for t in load(tmp_path / "o").trials for k, v in t.distributions.items()}
    d = optuna.distributions
    assert seen == {
        "learning_rate": d.FloatDistribution(1e-6, 1e-1, log=True),
        "gamma": d.FloatDistribution(0.8, 0.9999),
        "clip_eps": d.FloatDistribution(0.0, 0.5),
        "batch": d.CategoricalDistribution((64, 128, 256)),
        "activation": d.CategoricalDistribution(("relu", "tanh")),
        "n_steps": d.IntDistribution(8, 512, log=True),
        "epochs": d.IntDistribution(1, 20),
        "normalise": d.CategoricalDistribution((False, True)),
        "width": d.CategoricalDistribution((64,)),
        "alpha": d.FloatDistribution(0.0, 1.0),
    }


def test_conditional_parameters_are_absent_where_inactive(tmp_path):
    optuna_storage.write(tmp_path / "o", "study", [make(i) for i in range(20)], SPACE)
    trials = load(tmp_path / "o").trials
    assert {("alpha" in t.params) == t.params["normalise"] for t in trials} == {True}
    assert 0 < sum("alpha" in t.params for t in trials) < 20


def test_values_outside_the_space_are_kept_apart(tmp_path):
    candidate = {**SPACE.sample(0), "learning_rate": 5.0, "unknown": "x"}
    optuna_storage.write(tmp_path / "o", "study", [make(0, candidate=candidate)], SPACE)
    (trial,) = load(tmp_path / "o").trials
    assert "learning_rate" not in trial.params
    assert trial.user_attrs["outside the space"] == {"learning_rate": 5.0, "unknown": "x"}


def test_nested_spaces_and_arrays(tmp_path):
    space = ProductSpace(
        {"hyperparameters": HyperparameterSpace("a", {"x": Float(0, 1)}), "weights": ArraySpace({"w": (2, 3)})}
    )
    candidate = space.to_json(space.sample(1))
    optuna_storage.write(tmp_path / "o", "study", [make(0, candidate=candidate)], space)
    (trial,) = load(tmp_path / "o").trials
    assert trial.params == {"hyperparameters.x": candidate["hyperparameters"]["x"]}
    assert "outside the space" not in trial.user_attrs


def test_random_search_is_a_study_of_its_own_and_other_phases_are_none(tmp_path):
    finalist = Trial("method", "finalists", 0, SPACE.sample(0), 1000, status=Status.COMPLETED, score=1e9, seeds=(1,))
    optuna_storage.write(
        tmp_path / "o", "study", [make(0), make(0, arm="random"), make(1, arm="random"), finalist], SPACE
    )
    assert len(load(tmp_path / "o").trials) == 1
    assert load(tmp_path / "o").best_value < 1e9
    assert len(load(tmp_path / "o", "study (random search)").trials) == 2


def test_a_later_file_extends_an_earlier_one(tmp_path):
    # so a dashboard that has the file open, and remembers how far it read, goes on rightly
    trials = [make(i) for i in range(6)]
    running = [make(i, Status.RUNNING) for i in (3, 5)]
    optuna_storage.write(tmp_path / "o", "study", [*trials[:3], running[0], trials[4], running[1]], SPACE)
    before = (tmp_path / "o").read_bytes()
    reader = storage(tmp_path / "o")
    assert len(reader.get_all_trials(0)) == 3  # up to the first that is running
    optuna_storage.write(tmp_path / "o", "study", trials, SPACE)
    assert (tmp_path / "o").read_bytes().startswith(before)
    assert [t.value for t in reader.get_all_trials(0)] == [t.score for t in trials]
    assert [p.name for p in tmp_path.iterdir()] == ["o"]


def test_an_empty_study(tmp_path):
    optuna_storage.write(tmp_path / "o", "study", [], SPACE)
    assert load(tmp_path / "o").trials == []


def test_intermediate_values_that_are_not_finite_are_left_out(tmp_path):
    trial = Trial(
        "method", "search", 0, SPACE.sample(0), 10, status=Status.COMPLETED, score=1.0,
        curves=(Curve(0, 0, (1, 2, 3), (math.nan, 4.0, math.inf)),),
    )  # fmt: skip
    optuna_storage.write(tmp_path / "o", "study", [trial], SPACE)
    assert load(tmp_path / "o").trials[0].intermediate_values == {2: 4.0}


def test_the_file_grows_as_the_trials_do_and_is_written_once(tmp_path, monkeypatch):
    """A journal synced for each of 512 trials takes minutes."""
    syncs = []
    monkeypatch.setattr(os, "fsync", syncs.append)
    trials = [make(i) for i in range(512)]
    optuna_storage.write(tmp_path / "few", "study", trials[:64], SPACE)
    few = len(syncs)
    optuna_storage.write(tmp_path / "o", "study", trials, SPACE)
    assert len(syncs) - few == few
    assert (tmp_path / "o").stat().st_size < 10 * (tmp_path / "few").stat().st_size
    assert len(load(tmp_path / "o").trials) == 512


def test_plain_text_without_pickle(tmp_path):
    optuna_storage.write(tmp_path / "o", "study", [make(i) for i in range(150)], SPACE)
    lines = (tmp_path / "o").read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert len(lines) == 152


def test_verbosity_is_restored_and_nothing_announced(tmp_path, capfd):
    before = optuna.logging.get_verbosity()
    optuna_storage.write(tmp_path / "o", "study", [make(0)], SPACE)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr().err == ""


def test_importing_the_module_imports_no_optuna():
    code = "import sys, autorl.interop.optuna_storage; sys.exit('optuna' in sys.modules or 'jax' in sys.modules)"
    root = pathlib.Path(optuna_storage.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0


def test_optuna_dashboard_lists_and_shows_the_study(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dashboard = pytest.importorskip("optuna_dashboard")
        optuna_storage.write(tmp_path / "o", "study", [make(i) for i in range(4)], SPACE)
        app = dashboard.wsgi(storage(tmp_path / "o"))

        def get(path):
            status = []
            environ = {
                "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "x", "SERVER_PORT": "80",
                "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http",
            }  # fmt: skip
            body = b"".join(app(environ, lambda s, h, e=None: status.append(s)))
            assert status[0].startswith("200"), (status, body)
            return json.loads(body)

        (listed,) = get("/api/studies")["study_summaries"]
        assert listed["study_name"] == "study"
        shown = get(f"/api/studies/{listed['study_id']}")
    assert [t["values"][0] for t in shown["trials"]] == pytest.approx([i * 1.5 - 7 for i in range(4)])
    assert np.isfinite(shown["trials"][0]["intermediate_values"][0]["value"])
