"""Which statistic over held-out tasks an evaluation comes to: what a search then maximises."""

from types import SimpleNamespace

import numpy as np
import pytest

from autorl.engine.chunk import Chunk
from autorl.engine.lanes import Job
from autorl.engine.session import Session
from autorl.inner.evaluation import TaskSet
from autorl.inner.protocol import Evaluation
from autorl.inner.task_statistics import over_tasks
from autorl.studies.specification import EnvironmentChoice
from autorl.studies.specification import Evaluation as Evaluated
from autorl.studies.trial import Stage

TASKS = 10
RETURNS = np.arange(2 * TASKS, dtype=np.float32)[::-1].copy() ** 2
SUCCESSES = np.sqrt(RETURNS) / (2 * TASKS)
"""Of two attempts at each of ten tasks, in the order of evaluations."""


def outcome(statistic, exams=True, measure="return"):
    """Return the outcome of one evaluation, by a program that returns `RETURNS` and `SUCCESSES`."""

    def evaluate(states, hp, exam, seeds, active):
        return Evaluation(np.stack([RETURNS, RETURNS]), np.array([5, 5]), np.stack([SUCCESSES, SUCCESSES]))

    program = SimpleNamespace(lanes=2, devices=[None], compile_seconds=0.0, evaluate=evaluate)
    job = Job(0, 0, 7, (Stage(100, {}),), (100,), horizon=100)
    exam = [TaskSet({"length": np.zeros(TASKS)})] if exams else []
    chunk = Chunk(program, [job], [[{}]], [{}], [100], lambda: None, exam, statistic, measure)
    states = SimpleNamespace(progress=SimpleNamespace(diverged=np.zeros(2, bool), env_steps=np.array([100, 100])))
    chunk.seat()
    chunk.evaluate(states)
    return chunk.outcomes[0]


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


@pytest.mark.parametrize("statistic", ["mean", "iqm", "cvar"])
def test_it_may_be_of_success_and_then_no_range_scales_it(statistic):
    found = outcome(statistic, measure="success")
    halves = SUCCESSES.reshape(2, TASKS).astype(np.float64)
    assert found.returns == pytest.approx((over_tasks(statistic, halves.mean(axis=0), halves),))
    choice = EnvironmentChoice(id="maze:9x9", score_range=(0.0, 2.0))
    for measure, scaled in (("return", (0.0, 2.0)), ("success", None)):
        specification = SimpleNamespace(evaluation=Evaluated(measure=measure), environments=(choice,))
        session = SimpleNamespace(specification=specification, environments=[choice])
        assert Session.score_range(session, 0) == scaled
