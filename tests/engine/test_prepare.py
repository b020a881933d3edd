"""A training's functions are compiled side by side before it begins, and are the same that would be compiled when first called."""

import contextlib
import threading

import jax
import numpy as np
import pytest

from autorl.engine import population
from autorl.engine.devices import start
from autorl.engine.lanes import Job
from autorl.engine.trainer import Trainer
from autorl.environments.registry import make_environment
from autorl.environments.tasks import make_task
from autorl.inner.algorithms import ALGORITHMS
from autorl.inner.evaluation import TaskSet
from autorl.studies.trial import Stage

HORIZON = 64
CARTPOLE = make_environment("gymnax:CartPole-v1")
VALUES = {"n_envs": 4, "n_steps": 4, "minibatch_size": 16, "update_epochs": 1, "hidden_size": 8}


def trainer(**others):
    return Trainer(
        [ALGORITHMS.load("ppo")(CARTPOLE)], [make_task(CARTPOLE, {})], [HORIZON], 2, {}, start()[:2], **others
    )


def jobs(count):
    """Return trainings of which the first has one segment, the others two, so that its lane becomes free before theirs."""
    half = HORIZON // 2
    points = [(half,), *[(half, HORIZON)] * (count - 1)]
    return [Job(trial, 0, 3, (Stage(own[-1], VALUES),), own, horizon=HORIZON) for trial, own in enumerate(points)]


@pytest.fixture
def no_preparing(monkeypatch):
    def undo():
        monkeypatch.setattr(population.PopulationProgram, "prepare", lambda *_, **__: None)

    return undo


@pytest.mark.parametrize(
    ("count", "functions"), [(1, {"init", "train", "evaluate"}), (33, {"init", "train", "evaluate", "replace"})]
)
def test_all_is_compiled_before_the_first_call(count, functions, monkeypatch, no_preparing):
    late, mains = [], []
    whole, compiled = population.PopulationProgram._compile, jax.stages.Lowered.compile

    def lately(self, name, call):
        late.append(name)
        return whole(self, name, call)

    def told(self, *options):
        mains.append(threading.current_thread() is threading.main_thread())
        return compiled(self, *options)

    monkeypatch.setattr(population.PopulationProgram, "_compile", lately)
    monkeypatch.setattr(jax.stages.Lowered, "compile", told)
    prepared = trainer()
    early = prepared.run(jobs(count), keep_states=True)
    assert late == []
    assert mains == [False] * len(functions)
    no_preparing()
    unprepared = trainer()
    others = unprepared.run(jobs(count), keep_states=True)
    assert set(late) == functions
    assert prepared.trace_counts() == unprepared.trace_counts() == [dict.fromkeys(functions, 1)]
    for mine, other in zip(early, others, strict=True):
        assert mine.returns == other.returns
        jax.tree.map(np.testing.assert_array_equal, mine.state, other.state)


def test_evaluations_are_compiled_for_the_tasks_that_they_have():
    tasks = [make_task(CARTPOLE, {"length": length}) for length in (0.4, 0.5)]
    exam = TaskSet(jax.tree.map(lambda *x: np.stack(x), *tasks))
    one = trainer(exams=[exam])
    (outcome,) = one.run(jobs(1))
    assert len(outcome.tasks) == 2
    assert one.trace_counts() == [dict.fromkeys(("init", "train", "evaluate"), 1)]


def test_what_is_compiled_unsplit_is_compiled_when_it_is_called(monkeypatch):
    events = []
    whole = population.PopulationProgram._compile

    @contextlib.contextmanager
    def unsplit():
        events.append("unsplit")
        yield
        events.append("split again")

    def told(self, name, call):
        made = whole(self, name, call)
        events.append(name)
        return made

    monkeypatch.setattr(population.PopulationProgram, "_compile", told)
    monkeypatch.setattr(population, "unsplit", unsplit)
    monkeypatch.setattr(population, "WIDE", 100)
    trainer().run(jobs(1))
    assert events == ["init", "unsplit", "split again", "train", "evaluate"]


def test_an_environment_that_fails_while_it_is_traced_fails_its_trainings_alone(monkeypatch):
    def broken(*_):
        raise ValueError("no such state")

    learner = type(trainer().learners[0])
    monkeypatch.setattr(learner, "evaluate", broken)
    broken_there = trainer()
    for _ in range(2):  # what was compiled before it failed is kept
        (outcome,) = broken_there.run(jobs(1))
        assert outcome.status.value == "crashed"
        assert outcome.message == "ValueError: no such state"
        assert broken_there.trace_counts()[0]["train"] == 1
    assert broken_there.compile_seconds > 0.0
