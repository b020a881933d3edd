"""Env steps that are taken for a teacher before the training are part of the training's budget; there are no others beside the agent's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from corridor import CORRIDOR, END, ONWARDS, POINTS, Corridor, course

from autorl.curricula.control import control
from autorl.curricula.courses import agent_steps, any_course
from autorl.engine.devices import start
from autorl.engine.lanes import Job
from autorl.engine.lessons import CourseMaker, lesson_of
from autorl.engine.trainer import Trainer
from autorl.errors import UsageError
from autorl.inner.ppo import PPO
from autorl.outer.protocol import Status
from autorl.studies.trial import Stage

GUIDED = {"name": "jump_start", "parameters": {"guide": ONWARDS, "trajectories": 2, "episodes": 2, "stages": 2}}
SIZES = {"n_envs": 2, "n_steps": 16, "minibatch_size": 32, "update_epochs": 1, "hidden_size": 4, "n_layers": 1}
GUIDE, AGENT = 2 * END, 4 * 32
TOTAL = GUIDE + AGENT


@pytest.fixture(scope="module")
def trainer():
    courses = [CourseMaker(CORRIDOR, None, (0.0, 1.0))]
    return Trainer([PPO(CORRIDOR)], [CORRIDOR.default_task()], [TOTAL], 2, {}, start()[:1], courses=courses)


def job(points, begin=0, state=None, teacher=GUIDED):
    plan = (Stage(points[-1], {**SIZES, "teacher": teacher}),)
    return Job(0, 0, 7, plan, points, begin, 1, TOTAL, state)


def test_a_training_ends_where_the_guides_steps_and_the_agents_are_its_budget(trainer):
    told: list[int] = []
    (whole,) = trainer.run([job((TOTAL,))], keep_states=True, stepped=told.append)
    assert whole.status is Status.COMPLETED, whole.message
    assert (whole.train_env_steps, whole.teacher_env_steps, whole.env_steps) == (TOTAL, GUIDE, (TOTAL,))
    assert int(whole.state.progress.env_steps) == AGENT
    assert sum(told) == TOTAL
    assert lesson_of(whole, 0, 7)["teacher_env_steps"] == GUIDE
    first = GUIDE + 64
    (half,) = trainer.run([job((first,))], keep_states=True)
    (rest,) = trainer.run([job((TOTAL,), first, half.state)], keep_states=True)
    assert (half.train_env_steps, rest.train_env_steps) == (first, TOTAL - first), "the guide's on the ledger once"
    for a, b in zip(jax.tree.leaves(whole.state), jax.tree.leaves(rest.state), strict=True):
        assert (a == b).all(), "and the horizon is the same for both"


def test_a_part_of_a_training_too_short_for_the_agent_says_so(trainer):
    (none,) = trainer.run([job((GUIDE + 20,))])
    assert none.status is Status.INVALID
    assert "than the 20 granted" in none.message


@pytest.mark.parametrize("until", [GUIDE - 4, GUIDE])
def test_a_part_of_a_training_that_ends_before_the_agents_first_step_judges_nothing(trainer, until):
    (none,) = trainer.run([replace(job((until,)), goes_on=True)])
    assert (none.status, none.score) == (Status.INVALID, None)
    assert f"ends after {until} env steps, and its teacher took {GUIDE} before the agent's first" in none.message
    assert "let the first cut, hurdle or interval be later" in none.message


def test_a_guide_that_leaves_the_agent_nothing_is_refused(trainer):
    many = {**GUIDED, "parameters": {**GUIDED["parameters"], "trajectories": 13}}
    (found,) = trainer.run([job((TOTAL,), teacher=many)])
    assert found.status is Status.INVALID
    assert "takes 156 env steps before the training, which are part of its budget of 152" in found.message
    assert "fewer trajectories" in found.message
    assert agent_steps(course("go_explore"), 10) == 10


CALLS: list[int] = []


@dataclass(frozen=True)
class Counting(Corridor):
    """Says when it is stepped."""

    name: str = "test:counting"

    def step(self, key: Any, state: Any, action: Any, task: Any) -> Any:
        jax.debug.callback(lambda _: CALLS.append(1), state.time)
        return super().step(key, state, action, task)


@pytest.mark.slow
def test_starting_where_the_guide_was_takes_no_step_beyond_those_of_the_agent():
    environment = Counting()
    guided = any_course(GUIDED, environment, None, (0.0, 1.0))
    learner, hp = PPO(environment), PPO.prepare({**SIZES, "teacher": guided}, AGENT, {})
    task, until = CORRIDOR.default_task(), jnp.int32(AGENT)
    train = jax.jit(lambda state, hp: learner.train(state, hp, task, until, until))
    state = jax.jit(lambda hp: learner.init(jax.random.key(0), hp, task))(hp)
    jax.effects_barrier()
    CALLS.clear()
    after = jax.block_until_ready(train(state, hp))
    jax.effects_barrier()
    assert len(CALLS) == int(after.progress.env_steps) == AGENT
    assert int(after.actors.lessons.diary.episodes[:, 0, -1].sum()) > 0, "of episodes that were started by the guide"


def test_the_steps_of_the_control_policy_are_counted():
    known = control(CORRIDOR, POINTS, CORRIDOR.default_task(), 3, 2)
    assert known.points.shape == (3, 1)
    # each episode lasts 20 steps, or at least the 12 to the end
    assert 6 * END <= int(known.env_steps) <= 6 * CORRIDOR.max_episode_steps
    choice = {"name": "dynamic_tasks", "parameters": {"control_tasks": 3, "control_episodes": 2}}
    assert any_course(choice, CORRIDOR, POINTS, (0.0, 1.0)).env_steps_before == int(known.env_steps)
    with pytest.raises(UsageError, match="fewer control_tasks or control_episodes of the teacher"):
        agent_steps(any_course(choice, CORRIDOR, POINTS, (0.0, 1.0)), 72)
    assert course("roll_in").env_steps_before == 0
