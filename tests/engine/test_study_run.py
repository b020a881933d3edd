"""Whole studies, tiny: phases, seeds, equal work, failures, resuming in the middle, schedules."""

import contextlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import autorl
from autorl.engine import inflight
from autorl.engine.methods import method_of
from autorl.engine.selection import choose_finalists, pick_winner, with_given
from autorl.errors import StudyError, StudyInterrupted, UsageError
from autorl.inner.task_statistics import iqm
from autorl.outer.protocol import Status
from autorl.studies.trial import Stage, Trial

sys.path.append(str(Path(__file__).parents[1] / "reliability"))
from kill_harness import specification, without_clock


def run(root, method="random", name=None, report=None, **changes):
    spec = {**specification(method), **changes}
    return autorl.run(spec, name=name, root=root, report=report)


def told(study):
    return without_clock(study.summary() | {"study": "", "path": ""})


@pytest.fixture(scope="module")
def tpe(tmp_path_factory):
    return run(tmp_path_factory.mktemp("tpe"), "tpe")


def test_a_study_has_a_method_a_random_and_a_default_arm(tpe):
    keys = [(t.arm, t.phase, t.number) for t in tpe.trials(None, None)]
    assert keys.count(("default", "test", 0)) == 1
    assert sum(arm == "method" and phase == "search" for arm, phase, _ in keys) == 12
    assert sum(arm == "random" and phase == "search" for arm, phase, _ in keys) == 12
    assert sum(phase == "test" for _, phase, _ in keys) == 3
    assert all(t.status is Status.COMPLETED for t in tpe.trials(None, None))


def test_the_random_baseline_gets_equal_work(tpe):
    work = {arm: sum(t.ledger.train_env_steps for t in tpe.trials(arm, None)) for arm in ("method", "random")}
    assert work["method"] == work["random"]


def test_seeds_of_the_phases_are_disjoint(tpe):
    seeds = {phase: {s for t in tpe.trials(None, phase) for s in t.seeds} for phase in ("search", "finalists", "test")}
    assert [len(seeds[p]) for p in ("search", "finalists", "test")] == [1, 2, 2]
    assert len(set.union(*seeds.values())) == 5


def test_the_winner_is_the_finalist_with_the_best_tuning_scores(tpe):
    finalists = tpe.trials("method", "finalists")
    winner = max(finalists, key=lambda t: iqm(t.scores[0]))
    (test,) = tpe.trials("method", "test")
    assert test.candidate == winner.candidate == tpe.best
    assert test.source == winner.source


def test_search_scores_are_means_of_evaluations_and_test_scores_the_last(tpe):
    for trial in tpe.trials(None, None):
        curve = trial.curves[0].scores
        expected = curve[-1] if trial.phase == "test" else sum(curve) / len(curve)
        assert trial.scores[0][0] == pytest.approx(expected)


def test_the_ledger_counts_what_was_trained(tpe):
    for trial in tpe.trials(None, None):
        assert trial.ledger.train_env_steps == 512 * len(trial.seeds)
        assert trial.ledger.evaluation_env_steps > 0
        assert trial.ledger.updates > 0


def test_running_a_finished_study_again_changes_nothing(tpe):
    before = told(tpe)
    autorl.resume(tpe.path)
    assert told(tpe) == before


def test_programs_were_traced_once_in_the_whole_study(tpe):
    from autorl.studies.record import Record

    with Record.open(tpe.folder.record, readonly=True) as record:
        programs = record.meta("programs")
    assert programs == [{"init": 1, "train": 1, "evaluate": 1}]  # one program for all arms, phases and generations
    assert re.search(r"<p>1 compiled program, [^:]+ of compiling: everything", tpe.folder.report.read_text())


@pytest.mark.parametrize("method", [pytest.param("random", marks=pytest.mark.slow), "pbt"])
def test_a_study_stopped_between_segments_goes_on_from_there(tmp_path, monkeypatch, method):
    whole = run(tmp_path / "whole", method)
    monkeypatch.setattr(inflight, "SAVE_SECONDS", 0.0)
    used = []
    load = inflight.InflightSaver.load
    monkeypatch.setattr(inflight.InflightSaver, "load", lambda self, like: used.append(load(self, like)) or used[-1])

    calls = {"left": 7}

    def stop_sometimes(self):
        calls["left"] -= 1
        if calls["left"] == 0:
            calls["left"] = 12
            self.request()
        original(self)

    from autorl.engine.session import Stopper

    original = Stopper.check
    monkeypatch.setattr(Stopper, "check", stop_sometimes)
    study = autorl.create(specification(method), root=tmp_path / "stopped")
    stops = 0
    while not study.finished:
        with contextlib.suppress(StudyInterrupted):
            study.run()
        stops += not study.finished
        assert stops < 50
    assert stops >= 2
    assert any(used), "no population was ever taken up in the middle"
    assert told(study) == told(whole)


@pytest.mark.bits
@pytest.mark.slow
def test_a_population_saved_on_two_devices_goes_on_on_four(tmp_path, monkeypatch):
    from autorl.engine import devices
    from autorl.engine.session import Stopper

    whole = run(tmp_path / "whole", "random")
    start, used = devices.start, []
    monkeypatch.setattr(devices, "start", lambda count=None: start(count)[:2])
    calls = {"made": 0}

    def stop_once(self):
        calls["made"] += 1
        if calls["made"] == 12:
            self.request()
        original(self)

    original = Stopper.check
    monkeypatch.setattr(Stopper, "check", stop_once)
    load = inflight.InflightSaver.load
    monkeypatch.setattr(inflight.InflightSaver, "load", lambda self, like: used.append(load(self, like)) or used[-1])
    study = autorl.create(specification("random"), root=tmp_path / "moved")
    with pytest.raises(StudyInterrupted):
        study.run()
    monkeypatch.setattr(devices, "start", lambda count=None: start(count)[:4])
    study.run()
    assert any(used)
    assert told(study) == told(whole)


def test_what_another_version_left_in_flight_is_trained_again(tmp_path):
    import numpy as np

    from autorl.engine.inflight import NAME, InflightSaver
    from autorl.engine.lanes import Job, Outcome
    from autorl.engine.saver import Held
    from autorl.studies import checkpoint

    jobs = [Job(0, 0, 1, (Stage(10, {}),), (10,))]
    saver, like = InflightSaver(tmp_path, "p", jobs), {"a": np.zeros(3), "b": np.zeros(2)}
    saver.save(lambda: {0: Held(1, Outcome(updates=5), {"a": np.ones(3), "b": np.ones(2)})}, force=True)
    found = InflightSaver(tmp_path, "p", jobs).load(like)[0]
    assert (found.segments, found.outcome, found.state["a"].tolist()) == (1, Outcome(updates=5), [1, 1, 1])
    among = [replace(jobs[0], seed=2), *jobs]  # others wait as well: each training is known by what it is
    assert list(InflightSaver(tmp_path, "p", among).load(like)) == [1]
    assert InflightSaver(tmp_path, "p", jobs).load({"a": np.zeros(4), "b": np.zeros(2)}) == {}
    assert InflightSaver(tmp_path, "p", jobs).load({"a": np.zeros(3)}) == {}
    assert InflightSaver(tmp_path, "other work", jobs).load(like) == {}
    (path,) = tmp_path.glob(f"{NAME}*")
    path.write_bytes(path.read_bytes()[:-20])
    assert InflightSaver(tmp_path, "p", jobs).load(like) == {}
    assert checkpoint.names(tmp_path) == [NAME]


def test_an_environment_that_crashes_can_be_mended(tmp_path, monkeypatch):
    from autorl.environments.probes import ObservationActionReward

    step = ObservationActionReward.step
    study = autorl.create(specification("random"), root=tmp_path)
    monkeypatch.setattr(ObservationActionReward, "step", lambda *a: 1 / 0)
    with pytest.raises(StudyError, match=r"first batch crashed.*ZeroDivisionError"):
        study.run()
    monkeypatch.setattr(ObservationActionReward, "step", step)
    study.run()
    assert all(t.status is Status.COMPLETED for t in study.trials(None, None))


def test_a_population_of_another_size_than_the_trainings_is_refused(tmp_path):
    search = {**specification("pbt")["search"], "settings": {"population_size": 2, "intervals": 2}}
    with pytest.raises(UsageError, match=r"population_size: expected 4.*got 2"):
        run(tmp_path, "pbt", search=search)


def test_a_lineage_that_began_anew_is_replayed_to_the_end():
    trials = [trial(0, None), trial(1, None), trial(2, 1.0, generation=1), trial(3, 2.0, {"x": 5}, generation=1)]
    (best, *_) = choose_finalists(trials, 1, continues=True, horizon=20)
    assert (best.source, best.candidate, best.schedule) == (3, {"x": 5}, None)


def test_a_population_continues_from_its_parents(tmp_path):
    study = run(tmp_path, "pbt")
    trials = {t.number: t for t in study.trials()}
    assert len(trials) == 16
    children = [t for t in trials.values() if t.parent is not None]
    assert len(children) == 12
    assert all(trials[t.parent].generation == t.generation - 1 for t in children)
    assert any(t.origin == "exploit" for t in children)
    assert sum(t.ledger.train_env_steps for t in trials.values()) == 4 * 512
    finalist = study.trials("method", "finalists")[0]
    assert finalist.env_steps == 512
    assert finalist.parent is None


def test_a_diverged_candidate_ranks_last_and_the_study_completes(tmp_path):
    space = {"dimensions": {"learning_rate": {"type": "categorical", "choices": [0.001, 1e30]}}}
    learner = {
        "algorithm": "ppo",
        "hyperparameters": {"n_envs": 2, "n_steps": 16, "hidden_size": 8, "max_grad_norm": 1e30},
    }
    study = run(tmp_path, "random", learner=learner, search={"space": space, "method": "random"})
    statuses = {t.candidate["learning_rate"]: t.status for t in study.trials()}
    assert statuses == {0.001: Status.COMPLETED, 1e30: Status.DIVERGED}
    assert study.best == {"learning_rate": 0.001}
    assert study.finished


def test_a_study_of_failures_only_still_ends(tmp_path):
    study = run(tmp_path, "tpe", environment="probe:nan_reward")
    assert all(t.status is Status.DIVERGED for t in study.trials())
    assert study.best is None
    assert study.finished
    assert study.folder.report.exists()


def test_several_environments_are_scored_on_their_ranges(tmp_path):
    environments = [
        {"id": "probe:observation_action_reward", "score_range": [-1, 1]},
        {"id": "probe:action_reward", "score_range": [-1, 1]},
    ]
    study = run(tmp_path, "random", environment=environments)
    for trial in study.trials():
        assert len(trial.scores) == 2
        assert trial.score == pytest.approx(sum(row[0] for row in trial.scores) / 2)
        assert 0 <= trial.score <= 1


def test_a_plain_experiment_is_tested_beside_the_default(tmp_path):
    spec = {**specification("random")}
    del spec["search"]
    study = autorl.run(spec | {"budget": {"trainings": 1, "env_steps": 512}}, root=tmp_path)
    arms = {t.arm: t for t in study.trials(None, "test")}
    assert set(arms) == {"method", "default"}
    assert arms["method"].candidate["n_envs"] == 2
    assert arms["default"].candidate == {}


def test_method_seeds_differ_between_the_arms(tpe):
    draws = [
        method_of(tpe.specification, arm).ask(method_of(tpe.specification, arm).init(), 1)[0].candidate
        for arm in ("method", "random")
    ]
    assert draws[0] != draws[1]


def trial(number, score, candidate=None, **changes):
    status = Status.DIVERGED if score is None else Status.COMPLETED
    return Trial(
        "method",
        "search",
        number,
        candidate or {"x": number},
        10,
        score=score,
        scores=((score,),),
        status=status,
        **changes,
    )


def test_finalists_are_the_best_distinct_candidates():
    trials = [trial(0, 1.0), trial(1, 3.0, {"x": 9}), trial(2, 2.5, {"x": 9}), trial(3, None), trial(4, 2.0)]
    assert [f.source for f in choose_finalists(trials, 2, continues=False)] == [1, 4]
    assert choose_finalists([trial(0, None)], 3, continues=False) == []


def test_what_a_search_that_cuts_was_given_first_is_a_finalist():
    cut = replace(trial(0, None, {"x": 5}), status=Status.PRUNED, origin="start")
    second = replace(trial(1, None, {"x": 6}), status=Status.PRUNED, origin="start")
    found = [trial(2, 3.0, {"x": 7}), trial(3, 2.0, {"x": 8}), trial(4, 1.0, {"x": 9})]
    trials = [cut, second, *found]

    def sources(trials, count):
        return [f.source for f in with_given(choose_finalists(trials, count, continues=False), trials, count)]

    assert sources(trials, 3) == [2, 3, 0], "it takes the last place"
    assert sources(trials, 9) == [2, 3, 4, 0], "or one that is free"
    assert sources(trials, 1) == [2], "a single place is the best one's"
    assert sources([replace(cut, status=Status.DIVERGED), *found], 3) == [2, 3, 4]
    assert sources([replace(cut, candidate={"x": 7}), *found], 3) == [2, 3, 4], "it is one already"
    assert sources(found, 3) == [2, 3, 4]


def test_finalists_of_a_population_are_schedules():
    trials = [
        trial(0, 5.0),
        trial(1, 1.0),
        trial(2, 6.0, {"x": 0}, parent=0, generation=1),
        trial(3, 7.0, {"x": 8}, parent=0, generation=1),
    ]
    first, second = choose_finalists(trials, 2, continues=True)
    assert (first.source, first.schedule) == (3, (Stage(10, {"x": 0}), Stage(20, {"x": 8})))
    assert (second.source, second.schedule) == (2, None)


def test_the_winner_is_chosen_by_interquartile_mean_with_failures_as_the_worst_score():
    def finalist(number, scores):
        return Trial("method", "finalists", number, {"x": number}, 10, scores=(tuple(scores),), status=Status.COMPLETED)

    steady = finalist(0, [5.0, 5.0, 5.0, 5.0])
    lucky = finalist(1, [0.0, 4.0, 4.0, 100.0])
    failing = finalist(2, [9.0, 9.0, None, None])
    assert pick_winner([lucky, steady]) is steady
    assert pick_winner([failing, steady, lucky]) is steady
    assert pick_winner([]) is None
    assert pick_winner([finalist(0, [None, None])]) is None


def test_of_finalists_that_cannot_be_told_apart_the_smallest_wins():
    def finalist(number, scores):
        return Trial("method", "finalists", number, {"x": number}, 10, scores=(tuple(scores),), status=Status.COMPLETED)

    best = finalist(0, [0.90, 0.95, 0.99, 0.97])
    near = finalist(1, [0.91, 0.94, 0.98, 0.97])
    behind = finalist(2, [0.85, 0.90, 0.94, 0.92])
    sizes = {0: 8, 1: 5, 2: 3}
    assert pick_winner([best, near, behind]) is best
    assert pick_winner([best, near, behind], lambda t: sizes[t.number]) is near, (
        "behind by less than two standard errors"
    )
    assert pick_winner([best, behind], lambda t: sizes[t.number]) is best, "always behind: paired, it can be told apart"


def test_finalists_of_one_behaviour_count_once_by_their_mean_and_train_the_simplest():
    trials = [trial(0, 9.0, {"x": 1}), trial(1, 1.0, {"x": -1}), trial(2, 6.0, {"x": 2})]
    found = choose_finalists(
        trials, 3, continues=False, identity=lambda t: str(abs(t.candidate["x"])), simplest=lambda c: {"x": abs(c["x"])}
    )
    assert [(f.source, f.candidate) for f in found] == [(2, {"x": 2}), (0, {"x": 1})]


def test_the_best_of_each_form_is_a_finalist_before_its_kin():
    trials = [
        trial(i, score, {"x": x}) for i, (score, x) in enumerate([(9.0, 1.1), (8.0, 1.2), (7.0, 2.0), (6.0, 1.3)])
    ]

    def chosen(count):
        found = choose_finalists(trials, count, continues=False, kin=lambda t: str(int(t.candidate["x"])))
        return [f.source for f in found]

    assert [chosen(count) for count in (1, 2, 3, 9)] == [[0], [0, 2], [0, 1, 2], [0, 1, 2, 3]]


def test_a_part_costs_what_parsimony_says_when_finalists_are_chosen_and_compared():
    trials = [trial(0, 0.90, {"x": 3}), trial(1, 0.89, {"x": 1}), trial(2, 0.5, {"x": 0})]
    sizes = {"size": lambda t: t.candidate["x"]}
    assert [f.source for f in choose_finalists(trials, 2, continues=False, **sizes)] == [0, 1]
    assert [f.source for f in choose_finalists(trials, 2, continues=False, parsimony=0.01, **sizes)] == [1, 0]

    def finalist(number, scores):
        return Trial("method", "finalists", number, {"x": number}, 10, scores=(tuple(scores),), status=Status.COMPLETED)

    large, small = finalist(5, [0.95, 0.96, 0.97, 0.96]), finalist(1, [0.93, 0.94, 0.95, 0.94])
    assert pick_winner([large, small], sizes["size"]) is large
    assert pick_winner([large, small], sizes["size"], 0.01) is small
