"""Ask and tell with a user's own objective: no jax, resumable, failures are results."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import autorl
from autorl.errors import StudyLockedError, UsageError
from autorl.outer.protocol import Status

SPACE = {"dimensions": {"x": {"type": "float", "low": -5, "high": 5}, "n": {"type": "int", "low": 1, "high": 9}}}


def make(root, method="random", trainings=12, env_steps=1, **settings):
    search = {"space": SPACE, "method": method, "settings": settings}
    budget = {"trainings": trainings, "env_steps": env_steps}
    return autorl.create({"name": "own", "search": search, "budget": budget}, root=root)


def objective(candidate):
    return -((candidate["x"] - 1) ** 2) - (candidate["n"] - 4) ** 2


SETTINGS = {"pbt": {"population_size": 4, "intervals": 3}}


@pytest.mark.parametrize("method", ["random", "sobol", "tpe", "es", "pbt"])
def test_every_method_can_be_driven_and_finds_what_it_was_told_is_best(tmp_path, method):
    seen = {}
    with make(
        tmp_path, method, trainings=4 if method == "pbt" else 12, env_steps=3, **SETTINGS.get(method, {})
    ) as study:
        for _ in range(12):
            trial = study.ask()
            seen[trial.number] = objective(trial.candidate)
            study.tell(trial, seen[trial.number])
        with pytest.raises(UsageError, match="budget"):
            study.ask()
        assert [t.score for t in study.trials()] == [seen[n] for n in sorted(seen)]
        pool = [t for t in study.trials() if method != "pbt" or t.generation == 2]
        assert study.best_trial.score == max(t.score for t in pool)


def test_asking_ahead_and_telling_out_of_order(tmp_path):
    with make(tmp_path, "tpe") as study:
        first, second = study.ask(), study.ask()
        assert (first.number, second.number) == (0, 1)
        study.tell(second, 1.0)
        study.tell(first.number, 2.0)
        assert [t.told for t in study.trials()] == [1, 0]


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
def test_failures_rank_last_and_do_not_stop_the_study(tmp_path, bad):
    with make(tmp_path, "tpe") as study:
        worst = study.ask()
        study.tell(worst, bad)
        trial = study.ask()
        study.tell(trial, -1e9)
        failed = study.trials()[0]
        assert failed.score is None
        assert failed.status in (Status.CRASHED, Status.DIVERGED)
        assert study.best_trial.number == trial.number


@pytest.mark.parametrize(
    ("score", "status", "message"),
    [("high", None, "expected a number"), (True, None, "expected a number"), (None, "completed", "has a score")],
)
def test_nonsense_is_refused_and_the_trial_stays_pending(tmp_path, score, status, message):
    with make(tmp_path) as study:
        trial = study.ask()
        with pytest.raises(UsageError, match=message):
            study.tell(trial, score, None if status is None else Status(status))
        with pytest.raises(UsageError, match="has ended"):
            study.tell(trial, math.nan, Status.RUNNING)
        study.tell(np.int64(trial.number), np.float32(1.0))


def test_a_study_with_a_learner_is_not_asked(tmp_path):
    spec = {
        "environment": "probe:two_step",
        "learner": "ppo",
        "search": {"space": "ppo_continuous", "method": "random"},
    }
    study = autorl.create(spec | {"budget": {"trainings": 4, "env_steps": 4096}}, root=tmp_path)
    with pytest.raises(UsageError, match="trains agents by itself"):
        study.ask()


def test_an_evolution_strategy_waits_for_its_generation(tmp_path):
    with make(tmp_path, "es", population_size=4) as study:
        asked = [study.ask() for _ in range(4)]
        with pytest.raises(UsageError, match="must be told trials 0, 1, 2, 3"):
            study.ask()
        for trial in asked:
            study.tell(trial, objective(trial.candidate))
        assert study.ask().generation == 1


def test_a_trial_is_told_once(tmp_path):
    with make(tmp_path) as study:
        trial = study.ask()
        study.tell(trial, 1.0)
        with pytest.raises(UsageError, match="told once"):
            study.tell(trial, 2.0)
        with pytest.raises(UsageError, match="not pending"):
            study.tell(99, 2.0)


def test_what_was_asked_and_never_told_is_given_out_again(tmp_path):
    uninterrupted = []
    with make(tmp_path / "a", "tpe") as study:
        for _ in range(12):
            uninterrupted.append(study.ask())
            study.tell(uninterrupted[-1], objective(uninterrupted[-1].candidate))
    study = make(tmp_path / "b", "tpe")
    for trial in uninterrupted[:5]:
        assert study.ask() == trial
        study.tell(trial, objective(trial.candidate))
    lost = study.ask()
    study.close()
    with autorl.load(study.path) as again:
        assert again.ask() == lost == uninterrupted[5]
        again.tell(lost, objective(lost.candidate))
        for trial in uninterrupted[6:]:
            assert again.ask() == trial
            again.tell(trial, objective(trial.candidate))


def test_a_second_writer_is_refused_with_the_pid(tmp_path):
    with make(tmp_path) as study:
        study.ask()
        with pytest.raises(StudyLockedError, match=str(os.getpid())):
            autorl.load(study.path).ask()


def test_ask_and_tell_need_no_jax(tmp_path):
    code = f"""
import sys, autorl
search = {{"space": {SPACE!r}, "method": "tpe"}}
study = autorl.create({{"search": search, "budget": {{"trainings": 12, "env_steps": 1}}}}, root={str(tmp_path)!r})
with study:
    for _ in range(12):
        trial = study.ask()
        study.tell(trial, -trial.candidate["x"] ** 2)
assert study.best is not None
assert not {{"jax", "torch", "matplotlib"}} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_evolution_strategies_search_arrays(tmp_path):
    space = {"parts": {"rule": {"arrays": {"w": [3, 2], "b": [2]}, "init_scale": 0.5}, "step": SPACE}}
    target = {"w": np.arange(6.0).reshape(3, 2) / 6, "b": np.ones(2)}
    settings = {"algorithm": "CMA_ES", "population_size": 8}
    spec = {
        "search": {"space": space, "method": "es", "settings": settings},
        "budget": {"trainings": 240, "env_steps": 1},
    }
    with autorl.create(spec, root=tmp_path) as study:
        for _ in range(240):
            trial = study.ask()
            rule = trial.candidate["rule"]
            assert rule["w"].shape == (3, 2)
            study.tell(trial, -sum(float(((rule[k] - target[k]) ** 2).sum()) for k in target))
    scores = [t.score for t in study.trials()]
    assert max(scores[-40:]) > max(scores[:8]) * 0.3
    held = study.space.from_json(study.best)
    assert -sum(float(((held["rule"][k] - target[k]) ** 2).sum()) for k in target) == pytest.approx(max(scores))


def test_a_learner_cannot_be_given_arrays_or_an_es_nominal_choices(tmp_path):
    arrays = {"arrays": {"w": [3]}}
    spec = {"environment": "probe:two_step", "learner": "ppo", "budget": {"trainings": 4, "env_steps": 4096}}
    with pytest.raises(UsageError, match="ask and tell"):
        autorl.create(spec | {"search": {"space": arrays, "method": "es"}}, root=tmp_path)
    with pytest.raises(UsageError, match=r"tpe.*cannot search.*Methods that can: .*es"):
        autorl.create({"search": {"space": arrays, "method": "tpe"}, "budget": spec["budget"]}, root=tmp_path)
