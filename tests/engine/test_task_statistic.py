"""Which statistic over held-out tasks an evaluation comes to: what a search then maximises."""

from types import SimpleNamespace

import numpy as np
import pytest

from autorl.engine.chunk import Chunk
from autorl.engine.lanes import Job, Outcome
from autorl.inner.evaluation import TaskSet
from autorl.inner.protocol import Evaluation
from autorl.inner.task_statistics import over_tasks
from autorl.studies.trial import Stage

TASKS = 10
RETURNS = np.arange(2 * TASKS, dtype=np.float32)[::-1].copy() ** 2
"""Of two attempts at each of ten tasks, in the order of evaluations."""


def outcome(statistic, exams=True):
    """Return the outcome of one evaluation, by a program that returns `RETURNS`."""

    def evaluate(states, hp, exam, seeds, active):
        return Evaluation(np.stack([RETURNS, RETURNS]), np.array([5, 5]), np.ones((2, 2 * TASKS), np.float32))

    program = SimpleNamespace(lanes=2, devices=[None], compile_seconds=0.0, evaluate=evaluate)
    job = Job(0, 0, 7, (Stage(100, {}),), (100,), horizon=100)
    exam = [TaskSet({"length": np.zeros(TASKS)})] if exams else []
    chunk = Chunk(program, [job], [[{}]], [{}], [100], lambda: None, exam, statistic)
    states = SimpleNamespace(progress=SimpleNamespace(diverged=np.zeros(2, bool), env_steps=np.array([100, 100])))
    found = [Outcome()]
    chunk.evaluate(states, 0, found)
    return found[0]


@pytest.mark.parametrize("statistic", ["mean", "iqm", "cvar"])
def test_an_evaluation_comes_to_the_statistic_that_was_chosen(statistic):
    found = outcome(statistic)
    halves = RETURNS.reshape(2, TASKS)
    assert np.array(found.task_halves) == pytest.approx(halves)
    assert found.returns == pytest.approx((over_tasks(statistic, halves.mean(axis=0), halves),))
    assert found.evaluation_env_steps == 5


def test_they_differ_and_the_mean_is_that_of_all_episodes():
    values = {statistic: outcome(statistic).returns[0] for statistic in ("mean", "iqm", "cvar")}
    assert len(set(values.values())) == 3
    assert values["mean"] == outcome("mean", exams=False).returns[0] == RETURNS.mean(dtype=np.float64)
