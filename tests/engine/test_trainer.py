"""The promises of the population: a lane's bits are its own, programs are reused, failures are results."""

import dataclasses
import time
from functools import partial

import jax
import numpy as np
import pytest

from autorl.engine import chunk as chunk_module
from autorl.engine import trainer as trainer_module
from autorl.engine.devices import start
from autorl.engine.lanes import Job, evaluation_points
from autorl.engine.population import PopulationProgram
from autorl.engine.saver import Saver
from autorl.engine.trainer import Trainer
from autorl.environments.registry import make_environment
from autorl.environments.tasks import make_task
from autorl.errors import StudyInterrupted
from autorl.inner.dqn import DQN
from autorl.inner.ppo import PPO
from autorl.inner.sac import SAC
from autorl.outer.protocol import Status
from autorl.studies.trial import Stage

HORIZON = 1024
SMALL = {
    PPO: {"n_envs": 4, "n_steps": 32, "minibatch_size": 64, "update_epochs": 2, "hidden_size": 16},
    DQN: {"learning_starts": 64, "buffer_size": 512, "buffer_batch_size": 16, "hidden_size": 16},
    SAC: {"learning_starts": 64, "buffer_size": 512, "buffer_batch_size": 16, "hidden_size": 16},
}


def make_trainer(learner=PPO, environment="gymnax:CartPole-v1", devices=None, task=None, **kwargs):
    made = make_environment(environment)
    devices = devices or start()[:2]
    return Trainer([learner(made)], [make_task(made, task or {})], [HORIZON], 8, {}, devices, **kwargs)


def job(trial, seed=7, end=HORIZON, start=0, points=2, averaged=1, state=None, learner=PPO, **values):
    plan = (Stage(end, {**SMALL[learner], **values}),)
    return Job(trial, 0, seed, plan, evaluation_points(start, end, HORIZON, points), start, averaged, HORIZON, state)


def numbers(outcome):
    return (outcome.status, outcome.score, outcome.returns, outcome.env_steps, outcome.updates, outcome.train_env_steps)


def same_state(a, b):
    return all(
        np.array_equal(x, y, equal_nan=True) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.mark.bits
@pytest.mark.parametrize(
    ("learner", "values"),
    [
        (PPO, {}),
        (PPO, {"minibatch_size": 16}),  # compiled in one piece
        *(pytest.param(other, {}, marks=pytest.mark.slow) for other in (DQN, SAC)),
    ],
)
def test_a_lane_depends_on_nothing_but_itself(learner, values):
    one = partial(job, learner=learner, **values)
    environment = "probe:continuous_truncation" if learner is SAC else "gymnax:CartPole-v1"
    two = make_trainer(learner, environment)
    alone = two.run([one(0, seed=11)], keep_states=True)[0]
    crowd = [one(i, seed=100 + i, learning_rate=10.0 ** -(1 + i % 4)) for i in range(5)]
    crowd.insert(3, one(9, seed=11))
    amid = two.run(crowd, keep_states=True)[3]
    four = make_trainer(learner, environment, devices=jax.devices()[:4]).run([one(0, seed=11)], keep_states=True)[0]
    assert alone.status is Status.COMPLETED
    assert numbers(alone) == numbers(amid) == numbers(four)
    assert same_state(alone.state, amid.state)
    assert same_state(alone.state, four.state)


@pytest.mark.bits
def test_lane_counts_change_no_bit(monkeypatch):
    held = []
    for lanes in (4, 16):
        monkeypatch.setattr(trainer_module, "LANES_ON_CPU", lanes)
        held.append(make_trainer().run([job(0), job(1, seed=8)], keep_states=True))
    for a, b in zip(*held, strict=True):
        assert numbers(a) == numbers(b)
        assert same_state(a.state, b.state)


def widths(trainer):
    return sorted(key[-1] for key in trainer.programs)


@pytest.mark.bits
def test_large_states_get_no_more_lanes_than_needed(monkeypatch):
    """Each call copies the states of all lanes."""
    small, large = make_trainer(), make_trainer()
    jobs = [job(i, seed=7 + i) for i in range(5)]
    before = small.run(jobs, keep_states=True)
    monkeypatch.setattr(trainer_module, "HEAVY_STATE", 1)
    after = large.run(jobs, keep_states=True)
    assert (widths(small), widths(large)) == ([32], [8])
    for a, b in zip(before, after, strict=True):
        assert numbers(a) == numbers(b)
        assert same_state(a.state, b.state)
    large.run(jobs * 8)
    assert widths(large) == [8, 32], "never more than of small states; the eight that are left find a program made"


def test_a_call_that_costs_much_is_not_made_ever_shorter(monkeypatch):
    train, calls = PopulationProgram.train, []

    def dear(self, *arguments):
        calls.append(int(arguments[3].max()))
        time.sleep(0.05)  # as where gigabytes of replay are copied
        return train(self, *arguments)

    monkeypatch.setattr(PopulationProgram, "train", dear)
    monkeypatch.setattr(chunk_module, "SEGMENT_SECONDS", 0.01)
    assert make_trainer().run([job(0)])[0].status is Status.COMPLETED
    assert calls[0] == 0, "the first one trains nothing: what a call costs is measured"
    assert calls[-3:] == [128, 512, 1024], "once the speed is known, both segments are trained at a stroke"


@pytest.mark.bits
def test_short_calls_change_no_bit(monkeypatch):
    whole = make_trainer().run([job(0)], keep_states=True)[0]
    monkeypatch.setattr(chunk_module, "SEGMENT_SECONDS", 2e-4)
    cut = make_trainer().run([job(0, points=4)], keep_states=True)[0]
    assert same_state(whole.state, cut.state)
    assert whole.score == cut.score


def test_continuing_from_a_parent_equals_going_on():
    trainer = make_trainer()
    whole = trainer.run([job(0)], keep_states=True)[0]
    first = trainer.run([job(0, end=HORIZON // 2)], keep_states=True)[0]
    second = trainer.run([job(1, start=HORIZON // 2, state=first.state)], keep_states=True)[0]
    assert same_state(whole.state, second.state)
    assert first.train_env_steps + second.train_env_steps == whole.train_env_steps
    assert first.updates + second.updates == whole.updates


def test_the_score_is_the_mean_of_the_last_evaluations():
    trainer = make_trainer()
    last, mean, all_of_them = trainer.run(
        [job(0, points=4), job(0, points=4, averaged=3), job(0, points=4, averaged=9)]
    )
    assert last.returns == mean.returns == all_of_them.returns
    assert last.score == last.returns[-1]
    assert mean.score == pytest.approx(np.mean(last.returns[-3:]))
    assert all_of_them.score == pytest.approx(np.mean(last.returns))


def test_programs_are_reused_and_never_retraced():
    trainer = make_trainer()
    for generation in range(4):
        trainer.run([job(i, seed=generation, learning_rate=0.001 * (1 + i + generation)) for i in range(3)])
    assert trainer.trace_counts() == [{"init": 1, "train": 1, "evaluate": 1}]


def test_each_static_signature_is_one_program():
    trainer = make_trainer()
    outcomes = trainer.run([job(0), job(1, minibatch_size=32), job(2, learning_rate=0.1), job(3, minibatch_size=32)])
    assert [o.status for o in outcomes] == [Status.COMPLETED] * 4
    assert len(trainer.programs) == 2
    compiled = trainer.compiled_programs()
    assert [(e["environment"], e["form"], e["static"]["minibatch_size"]) for e in compiled] == [(0, 0, 64), (0, 0, 32)]
    assert all(e["seconds"] > 0 and "learning_rate" not in e["static"] for e in compiled)


@pytest.mark.bits
def test_diverged_members_leave_the_others_bit_equal():
    trainer = make_trainer(environment="probe:observation_action_reward")
    good = [job(i, seed=i, learning_rate=0.001 * (1 + i)) for i in range(3)]
    without = trainer.run(good, keep_states=True)
    wild = job(7, seed=3, learning_rate=1e30, max_grad_norm=1e30)
    among = trainer.run([good[0], wild, *good[1:]], keep_states=True)
    assert among[1].status is Status.DIVERGED
    assert among[1].score is None
    for a, b in zip(without, [among[0], *among[2:]], strict=True):
        assert numbers(a) == numbers(b)
        assert same_state(a.state, b.state)


def test_a_learning_rate_of_ten_ranks_last_and_leaves_the_others_bit_equal():
    trainer = make_trainer()
    good = [job(i, seed=i, learning_rate=0.001) for i in range(3)]
    without = trainer.run(good, keep_states=True)
    among = trainer.run([*good[:2], job(7, seed=3, learning_rate=10.0), good[2]], keep_states=True)
    wild = among.pop(2)
    assert wild.score is None or wild.score < min(o.score for o in among)
    for a, b in zip(without, among, strict=True):
        assert numbers(a) == numbers(b)
        assert same_state(a.state, b.state)


def test_a_nan_reward_is_a_diverged_trial():
    outcome = make_trainer(environment="probe:nan_reward").run([job(0)])[0]
    assert (outcome.status, outcome.score) == (Status.DIVERGED, None)
    assert "non-finite" in outcome.message


def test_a_candidate_that_cannot_be_built_is_invalid_and_the_rest_trains():
    outcomes = make_trainer().run([job(0, learning_rate=-1.0), job(1)])
    assert [o.status for o in outcomes] == [Status.INVALID, Status.COMPLETED]
    assert "learning_rate" in outcomes[0].message


def test_a_crash_of_one_program_is_a_result(monkeypatch):
    trainer = make_trainer()
    good = trainer.run([job(0)])[0]
    program = next(iter(trainer.programs.values()))
    monkeypatch.setattr(program, "train", lambda *a: (_ for _ in ()).throw(RuntimeError("boom")))
    bad, other = trainer.run([job(0), job(1, minibatch_size=32)])
    assert (bad.status, bad.message) == (Status.CRASHED, "RuntimeError: boom")
    assert other.status is Status.COMPLETED
    assert good.status is Status.COMPLETED


def test_running_out_of_memory_halves_the_population(monkeypatch):
    expected = [numbers(o) for o in make_trainer().run([job(i, seed=i) for i in range(6)])]
    original, lanes = PopulationProgram.train, []

    def tight(self, *arguments):
        lanes.append(self.lanes)
        if self.lanes > 4:
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return original(self, *arguments)

    monkeypatch.setattr(PopulationProgram, "train", tight)
    trainer = make_trainer()
    assert [numbers(o) for o in trainer.run([job(i, seed=i) for i in range(6)])] == expected
    assert list(dict.fromkeys(lanes)) == [32, 16, 8, 4]
    assert [numbers(o) for o in trainer.run([job(i, seed=i) for i in range(6)])] == expected
    assert lanes[-1] == 4
    assert lanes.count(32) == 1, "what did not fit is not tried again"


def test_a_lane_that_does_not_fit_alone_is_out_of_memory(monkeypatch):
    def full(self, *arguments):
        raise MemoryError

    monkeypatch.setattr(PopulationProgram, "train", full)
    assert [o.status for o in make_trainer().run([job(0)])] == [Status.OUT_OF_MEMORY]


@pytest.mark.slow
def test_vmapped_lanes_train_the_same_agents_to_rounding():
    mapped = make_trainer(vectorise="map").run([job(i, seed=i) for i in range(4)])
    vmapped = make_trainer(vectorise="vmap").run([job(i, seed=i) for i in range(4)])
    assert [o.train_env_steps for o in mapped] == [o.train_env_steps for o in vmapped]
    assert [o.updates for o in mapped] == [o.updates for o in vmapped]
    assert all(o.status is Status.COMPLETED for o in vmapped)


def seats_of(trainer, monkeypatch):
    """Return a list that `trainer` fills with how many lanes trained, call by call."""
    train, calls = PopulationProgram.train, []

    def counted(self, states, hp, tasks, until, horizon):
        before = np.asarray(states.progress.env_steps)
        calls.append(int((until > before).sum()))
        return train(self, states, hp, tasks, until, horizon)

    monkeypatch.setattr(PopulationProgram, "train", counted)
    return calls


@pytest.mark.bits
def test_a_lane_whose_job_diverged_is_given_to_the_next_one(monkeypatch):
    monkeypatch.setattr(trainer_module, "LANES_ON_CPU", 4)
    monkeypatch.setattr(chunk_module, "FIRST_SHARE", 1.0)
    trainer = make_trainer(environment="probe:observation_action_reward")
    good = [job(i, seed=i, points=4, learning_rate=0.001 * (1 + i)) for i in range(6)]
    expected = trainer.run(good, keep_states=True)
    wild = [job(7 + i, seed=3 + i, points=4, learning_rate=1e30, max_grad_norm=1e30) for i in range(2)]
    calls, told = seats_of(trainer, monkeypatch), []
    among = trainer.run([wild[0], *good[:2], wild[1], *good[2:]], keep_states=True, done=lambda i, o: told.append(i))
    assert [o.status for o in among].count(Status.DIVERGED) == 2
    assert told == [[0, 3], [1, 2], [4, 5], [6, 7]]
    assert calls == [4, 4, 4, 4, 4, 2, 2, 2] + [0] * (len(calls) - 8)
    for a, b in zip(expected, [*among[1:3], *among[4:]], strict=True):
        assert numbers(a) == numbers(b)
        assert same_state(a.state, b.state)
    assert trainer.trace_counts() == [{"init": 1, "train": 1, "evaluate": 1, "replace": 1}]


class Kept(Saver):
    """Keeps trainings in flight in memory, by trial, each time it may."""

    def __init__(self, jobs, held):
        self.jobs, self.held = jobs, held

    def load(self, like):
        return {i: self.held[j.trial] for i, j in enumerate(self.jobs) if j.trial in self.held}

    def save(self, held, *, force=False):
        self.held.clear()
        self.held.update({self.jobs[i].trial: copied(one) for i, one in held().items()})


def copied(held):
    return held._replace(outcome=dataclasses.replace(held.outcome))


@pytest.mark.bits
@pytest.mark.parametrize(("check", "segments"), [(2, 0), (5, 1)], ids=["amid-the-first-segment", "after-it"])
def test_what_was_in_flight_in_more_lanes_goes_on_in_fewer(monkeypatch, check, segments):
    monkeypatch.setattr(chunk_module, "FIRST_SHARE", 0.5)
    monkeypatch.setattr(trainer_module, "LANES_ON_CPU", 4)
    jobs = [job(i, seed=i, points=4, learning_rate=0.001 * (1 + i)) for i in range(10)]
    four, two = make_trainer(devices=jax.devices()[:4]), make_trainer()
    expected = two.run(jobs, keep_states=True)
    calls, held, ended = {"left": check}, {}, {}

    def stop():
        calls["left"] -= 1
        if not calls["left"]:
            raise StudyInterrupted("stopped")

    def done(indices, outcomes):
        ended.update({jobs[i].trial: o for i, o in zip(indices, outcomes, strict=True)})

    four.check = stop
    with pytest.raises(StudyInterrupted):
        four.run(jobs, keep_states=True, done=done, saver=lambda waiting: Kept(waiting, held))
    assert (len(held), len(ended)) == (8, 0)
    assert {one.segments for one in held.values()} == {segments}
    assert any(int(one.state.progress.updates) for one in held.values())
    found = two.run(jobs, keep_states=True, saver=lambda waiting: Kept(waiting, held))
    assert [key[-1] for key in (*four.programs, *two.programs)] == [8, 4]
    for a, b in zip(expected, found, strict=True):
        assert numbers(a) == numbers(b)
        assert a.evaluation_env_steps == b.evaluation_env_steps
        assert same_state(a.state, b.state)
