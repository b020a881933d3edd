"""Studies under a budget policy: whole studies, tiny. Trials train on from their own states, and any kill changes nothing."""

from dataclasses import replace

import pytest

import autorl
from autorl.analysis.rungs import rung_rows, rungs_table
from autorl.engine.merit import by_merit
from autorl.engine.paused import PausedStore
from autorl.engine.rung_trials import block_of, completed, pruned
from autorl.engine.session import Session
from autorl.engine.winner import best_of
from autorl.outer.protocol import Status
from autorl.studies.problems import SpecificationError
from autorl.studies.record import Record
from autorl.studies.specification import from_mapping
from autorl.studies.trial import AT_HURDLE, Trial

SPACE = {
    "dimensions": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.03, "scale": "log"},
        "gamma": {"type": "float", "low": 0.5, "high": 0.99},
    }
}
BASE = {
    "name": "rungs",
    "environment": "probe:observation_action_reward",
    "learner": {
        "algorithm": "ppo",
        "hyperparameters": {"n_envs": 4, "n_steps": 16, "minibatch_size": 32, "hidden_size": 8, "n_layers": 1},
    },
    "search": {"space": SPACE, "method": "random", "policy": "race", "settings": {"batch": 16}},
    "budget": {"trainings": 16, "env_steps": 640},
    "seeds": {"search": 2, "tuning": 1, "test": 1},
    "baselines": {"random": False, "default": False},
    "evaluation": {"episodes": 4, "points": 5, "averaged": 2},
    "finalists": 2,
}


class Killed(BaseException):
    """Nothing in a study catches it: what it interrupts is as if it had been killed."""


def run(root, **search):
    return autorl.run({**BASE, "search": {**BASE["search"], **search}}, root=root)


def content(study):
    held = list(study.summary()["trials"])
    for trial in held:
        del trial["ledger"]["wall_seconds"], trial["ledger"]["compile_seconds"]
    return held, study.best, study.result["headline"]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    events = []
    return autorl.run(BASE, root=tmp_path_factory.mktemp("raced"), report=events.append), events


@pytest.fixture(scope="module")
def raced(watched):
    return watched[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    return autorl.run(
        {**BASE, "search": {**BASE["search"], "policy": "whole"}, "budget": {"trainings": 33, "env_steps": 640}},
        root=root,
    )


def test_a_trial_that_is_cut_is_the_beginning_of_the_whole_one(raced, whole):
    others = {t.number: t for t in whole.trials()}
    assert len(raced.trials()) == 33
    for trial in raced.trials():
        other = others[trial.number]
        assert trial.candidate == other.candidate
        for curve, uncut in zip([c for c in trial.curves if c.seed < 2], other.curves, strict=True):
            assert curve.scores == uncut.scores[: len(curve.scores)]
            assert curve.env_steps == uncut.env_steps[: len(curve.scores)]
        if trial.status is Status.COMPLETED:
            assert trial.scores[0][:2] == other.scores[0]


def test_env_steps_are_on_the_ledger_once(raced):
    for trial in raced.trials():
        further = len(trial.seeds) // 2 - 1
        assert trial.ledger.train_env_steps == 2 * trial.env_steps + further * 2 * 640
    assert raced.result["work"]["method"] == sum(t.ledger.train_env_steps for t in raced.trials()) <= 16 * 640 * 2


def test_half_are_kept_at_each_rung_and_the_others_are_pruned(raced):
    reached = [t.env_steps // 128 for t in raced.trials()]
    assert [sum(r >= rung for r in reached) for rung in (1, 2, 3, 4, 5)] == [33, 16, 8, 4, 2]
    assert sorted(len(t.seeds) for t in raced.trials())[-3:] == [2, 4, 4], "the last two are raced on further seeds"
    for trial in raced.trials():
        assert trial.told is not None
        if trial.env_steps < 640:
            assert (trial.status, trial.score) == (Status.PRUNED, None)
            assert f"at {trial.env_steps / 640:.0%} of the steps" in trial.message
            assert trial.values[AT_HURDLE] == pytest.approx(sum(trial.scores[0]) / 2)
    first = sorted(raced.trials(), key=lambda t: -sum(c.scores[0] for c in t.curves[:2]))
    kept = sum(first[15].curves[i].scores[0] for i in (0, 1))
    assert all(sum(c.scores[0] for c in t.curves[:2]) >= kept for t in raced.trials() if t.env_steps > 128)


def test_the_best_is_what_the_policy_says_before_the_test_and_what_was_tested_after_it(raced):
    searched, specification = raced.trials(), raced.specification
    worth = {t.number: t.score for t in by_merit(specification, searched)}
    assert len(worth) == 2, "those trained to the end"

    def best(trials):
        return best_of(trials, raced.space, 0.0, lambda own: by_merit(specification, own)).number

    first, second = sorted(worth, key=lambda number: -worth[number])
    assert best(searched) == first
    tested = next(t for t in raced.trials(None, "test") if t.arm == "method")
    assert best([*searched, replace(tested, source=second)]) == second
    # on the way: all that reached the highest rung so far
    half = [
        replace(t, status=Status.RUNNING, score=None, env_steps=min(t.env_steps, 256), curves=short)
        if t.env_steps > 128
        else t
        for t in searched
        for short in [tuple(replace(c, scores=c.scores[:2], env_steps=c.env_steps[:2]) for c in t.curves[:2])]
    ]
    leading = {t.number: sum(sum(c.scores) for c in t.curves) for t in half if t.env_steps == 256}
    assert best(half) == max(leading, key=lambda number: leading[number]), "by the mean of its checkpoints so far"


@pytest.mark.parametrize(("repeat", "blocks"), [(0, [0, 1, 2, 3]), (1, [1, 0, 2, 3]), (2, [2, 0, 1, 3])])
def test_no_trial_trains_a_seed_twice_not_even_one_that_repeats_another(repeat, blocks):
    session = Session(from_mapping(BASE), None, None, [])
    trial = Trial("method", "search", 7, {}, 640, seeds=session.seeds("search", repeat))
    assert [block_of(session, trial, number).seeds for number in range(4)] == [
        session.seeds("search", k) for k in blocks
    ]


def test_progress_shows_the_best_of_those_that_came_furthest(watched):
    study, events = watched
    shown = [e for e in events if e.phase == "search" and e.best is not None]
    assert sorted({round(e.reached, 2) for e in shown}) == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert (shown[-1].trials, shown[-1].trials_total, shown[-1].failures) == (33, 33, 0)
    assert shown[-1].env_steps == shown[-1].env_steps_total == study.result["work"]["method"]
    assert shown[-1].best == max(t.score for t in by_merit(study.specification, study.trials()))
    again = []
    for trial in study.trials():  # as it stood when all had come to the first cut
        curves = tuple(replace(c, scores=c.scores[:1], env_steps=c.env_steps[:1]) for c in trial.curves[:2])
        again.append(replace(trial, status=Status.RUNNING, score=None, env_steps=128, curves=curves))
    first = max(t.score for t in by_merit(study.specification, again))
    assert [e.best for e in shown if e.reached == 0.2][-1] == first


def test_finished_studies_keep_no_states(raced):
    assert list(raced.folder.checkpoints.iterdir()) == []
    assert autorl.resume(raced.path).best == raced.best


def interrupted(monkeypatch, where, calls, before):
    """Let the ``calls``-th call of a method of a class be the last thing that happens, or not happen any more."""
    cls, name = where
    original, count = getattr(cls, name), [0]

    def last(self, *arguments, **named):
        count[0] += 1
        if count[0] == calls and before:
            raise Killed
        made = original(self, *arguments, **named)
        if count[0] == calls:
            raise Killed
        return made

    monkeypatch.setattr(cls, name, last)


@pytest.mark.parametrize(
    ("where", "calls", "before"),
    [
        ((PausedStore, "save"), 40, False),
        pytest.param((Record, "add"), 2, True, marks=pytest.mark.slow),
        pytest.param((Record, "advance"), 3, True, marks=pytest.mark.slow),
        pytest.param((Record, "advance"), 3, False, marks=pytest.mark.slow),
        pytest.param((Record, "set_meta"), 1, True, marks=pytest.mark.slow),
        pytest.param((Record, "set_meta"), 1, False, marks=pytest.mark.slow),
    ],
)
def test_a_study_killed_on_the_way_ends_as_one_left_alone(tmp_path, monkeypatch, raced, where, calls, before):
    with monkeypatch.context() as patched:
        interrupted(patched, where, calls, before)
        with pytest.raises(Killed):
            run(tmp_path)
    assert content(autorl.resume("rungs", root=tmp_path)) == content(raced)


@pytest.mark.slow
def test_where_no_rung_tells_anything_trainings_are_whole_whatever_kills_it(tmp_path, monkeypatch):
    """Every agent scores 1: the first 16 trials are led from rung to rung, and no others are started."""
    search = {**BASE["search"], "method": "tpe"}  # told anew of all trials whenever the place of the cuts moves
    flat = {
        **BASE,
        "environment": "probe:constant_reward",
        "budget": {"trainings": 20, "env_steps": 640},
        "search": search,
    }
    alone = autorl.run(flat, root=tmp_path / "alone")
    assert [t.env_steps for t in alone.trials()] == [640] * 16
    assert all(t.status is Status.COMPLETED for t in alone.trials())
    assert alone.result["work"]["method"] <= 20 * 640 * 2
    with monkeypatch.context() as patched:
        interrupted(patched, (Record, "advance"), 3, True)
        with pytest.raises(Killed):
            autorl.run(flat, root=tmp_path / "killed")
    assert content(autorl.resume("rungs", root=tmp_path / "killed")) == content(alone)


PRUNED_SEEDS = {
    **BASE,
    "environment": "gymnax:CartPole-v1",
    "search": {**BASE["search"], "policy": {"name": "wilcoxon", "settings": {"abreast": 8}}},
    "budget": {"trainings": 40, "env_steps": 1280},
    "seeds": {"search": 1, "tuning": 1, "test": 1},
    "evaluation": {"episodes": 4, "points": 1},
}


def test_who_is_behind_on_its_seeds_gets_no_more_of_them(tmp_path):
    """Every training is a whole one; of 40 granted, the seeds that hopeless trials do not get start further trials."""
    alone = autorl.run(PRUNED_SEEDS, root=tmp_path)
    trials = alone.trials()
    assert sum(len(t.seeds) for t in trials) == 40
    assert alone.result["work"]["method"] == 40 * 1280
    assert all(t.env_steps == 1280 and t.status is Status.COMPLETED for t in trials)
    counts = [len(t.seeds) for t in trials[:8]]
    assert max(counts) == 5
    assert 3 in counts, "somebody was behind on each of the first three seeds"
    assert len(trials) > 8
    assert len({t.seeds[:3] for t in trials if len(t.seeds) >= 3}) == 1, "trials are compared on the same seeds"


@pytest.mark.slow
def test_seeds_of_a_study_killed_on_the_way_are_those_of_one_left_alone(tmp_path, monkeypatch):
    alone = autorl.run(PRUNED_SEEDS, root=tmp_path / "alone")
    with monkeypatch.context() as patched:
        interrupted(patched, (Record, "advance"), 4, True)
        with pytest.raises(Killed):
            autorl.run(PRUNED_SEEDS, root=tmp_path / "killed")
    assert content(autorl.resume("rungs", root=tmp_path / "killed")) == content(alone)


def test_what_was_done_of_a_batch_is_not_trained_again(tmp_path, monkeypatch, raced):
    with monkeypatch.context() as patched:
        interrupted(patched, (Record, "advance"), 1, True)
        with pytest.raises(Killed):
            run(tmp_path)
    saved = []
    keep = PausedStore.save
    monkeypatch.setattr(PausedStore, "save", lambda self, *a, **k: (saved.append(a[:3]), keep(self, *a, **k)))
    study = autorl.resume("rungs", root=tmp_path)
    assert saved
    assert (0, 0, 1) not in saved, "trial 0 was at its first rung already"
    assert content(study) == content(raced)


@pytest.mark.parametrize(
    ("changes", "field", "remedy"),
    [
        ({"search": {"policy": "halvin"}}, "search.policy", "Did you mean 'halving'"),
        ({"search": {"policy": {"name": "asha", "settings": {"eta": 1}}}}, "search.policy.settings.eta", "at least 2"),
        ({"search": {"policy": {"name": "asha", "settings": {"etta": 2}}}}, "search.policy.settings.etta", "'eta'"),
        ({"search": {"start": ["best"]}}, "search.start.0", "expected default"),
        ({"search": {"start": [{"gamma": 2}]}}, "search.start.0", "gamma"),
        ({"evaluation": {"points": 4}}, "evaluation.points", "a multiple of ten"),
        ({"search": {"policy": "halving"}, "evaluation": {"points": 1}}, "evaluation.points", "nowhere to cut"),
        ({"hurdle": {"env_steps": 64, "score": 0}}, "hurdle", "Remove the hurdle"),
        ({"learner": None, "environment": None}, "search.policy", "trains nothing"),
        ({"search": {"method": "pbt", "settings": {}}}, "search.policy", "remove the policy"),
        ({"environment": [{"id": "probe:two_step", "score_range": [0, 1]},
                          {"id": "probe:two_step", "score_range": [0, 1], "role": "validation"}]},
         "environment.1.role", "remove search.policy"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_before_the_start(tmp_path, changes, field, remedy):
    search = {**BASE["search"], **changes.get("search", {})}
    asked = {k: v for k, v in {**BASE, **changes, "search": search}.items() if v is not None}
    with pytest.raises(SpecificationError) as caught:
        autorl.create(asked, root=tmp_path)
    found = {problem.field: str(problem) for problem in caught.value.problems}
    assert remedy in found[field]


def test_the_report_says_how_far_trials_came(raced):
    rows = raced.result["rungs"]
    assert [(round(row["share"], 3), row["reached"], row["pruned"], row["failed"]) for row in rows] == [
        (0.2, 33, 17, 0),
        (0.4, 16, 8, 0),
        (0.6, 8, 4, 0),
        (0.8, 4, 2, 0),
        (1.0, 2, 0, 0),
    ]
    table = rungs_table(raced.trials(), raced.plain_specification())
    assert table.rows[1] == ("40%", "16", "8", "0")
    assert table.note == "2 trials were trained to the end on further seeds, 2 times."
    assert table.title in raced.folder.report.read_text()
    assert raced.result["method"] == "random + race"
    assert rung_rows(raced.trials(), {**raced.plain_specification(), "search": {"method": "random"}}) == []


def test_a_policy_that_changed_nothing_is_said_to_have(raced):
    trials, specification = raced.trials(), raced.plain_specification()
    whole = [replace(t, seeds=t.seeds[:1]) for t in trials if t.status is Status.COMPLETED]
    assert rungs_table(whole, specification).note.startswith("The policy changed nothing: no trial was stopped")
    going = [*whole, replace(whole[0], number=99, status=Status.RUNNING, scores=())]
    assert rungs_table(going, specification).note == ""
    assert rungs_table([*whole, next(t for t in trials if t.status is Status.PRUNED)], specification).note == ""


def test_who_failed_on_the_way_did_not_reach_the_rung(raced):
    trials, specification = list(raced.trials()), raced.plain_specification()
    before = rung_rows(trials, specification)[0]
    place = next(i for i, t in enumerate(trials) if t.env_steps == 128)
    trials[place] = replace(trials[place], status=Status.DIVERGED)
    after = rung_rows(trials, specification)[0]
    assert (after["reached"], after["pruned"], after["failed"]) == (before["reached"] - 1, before["pruned"] - 1, 1)


def test_who_was_stopped_before_an_update_is_said_to_have_made_none(raced):
    session, trial = Session(raced.specification, None, None, []), raced.trials()[0]
    assert "before its first update" not in trial.message
    untrained = replace(trial, ledger=replace(trial.ledger, updates=0))
    assert "of the steps, before its first update, with score" in pruned(session, untrained).message


def test_the_winner_got_furthest_and_failures_on_further_seeds_count_as_the_worst(raced):
    tested = raced.trials("method", "test")[0]
    assert tested.source in {t.number for t in raced.trials() if t.status is Status.COMPLETED}
    trial = replace(raced.trials()[0], scores=((1.0, 3.0, None, 2.0),), message="non-finite")
    ended = completed(trial, [trial, replace(trial, scores=((0.5, 1.0),))])
    assert (ended.score, ended.message) == ((1.0 + 3.0 + 0.5 + 2.0) / 4, "failed 1 of 4 trainings: non-finite")


def test_auto_is_written_out_when_a_study_is_made(tmp_path):
    search = {"space": SPACE}
    learner = {**BASE["learner"], "hyperparameters": {**BASE["learner"]["hyperparameters"], "gae_lambda": 0.9}}
    study = autorl.create({**BASE, "search": search, "learner": learner}, root=tmp_path)
    found = study.specification.search
    assert (found.method, found.policy.name, found.policy.settings) == ("random", "race", {"last": 3})
    assert found.settings == {"batch": 16}
    assert "auto chose drawn candidates: at most 33 trials start" in found.chosen
    assert "begins with the learner's default configuration." in found.chosen, "the space has it"
    narrow = {
        "dimensions": {
            "gamma": {"type": "float", "low": 0.5, "high": 0.9},
            **{k: SPACE["dimensions"][k] for k in ["learning_rate"]},
        }
    }
    moved = autorl.create({**BASE, "search": {"space": narrow}, "learner": learner}, root=tmp_path).specification.search
    assert "configuration, as near as the space has it (gamma 0.9 for 0.99)." in moved.chosen
    modelled = {**BASE, "search": {**search, "settings": {"n_startup_trials": 8}}, "learner": learner}
    early = autorl.create(modelled, root=tmp_path).specification.search
    assert (early.method, early.settings) == ("gp", {"batch": 16, "n_startup_trials": 8})
    assert study.space.validate(found.start[0]) == []
    assert found.start[0]["gamma"] == 0.99
    kept = autorl.create({**BASE, "search": {**search, "method": "tpe"}}, root=tmp_path).specification.search
    assert (kept.method, kept.policy, kept.start, kept.chosen) == ("tpe", None, (), None)
    begun = autorl.create({**BASE, "search": {**search, "method": "tpe", "start": ["default"]}}, root=tmp_path)
    assert begun.specification.search.start == found.start


@pytest.mark.parametrize("policy", ["race", "asha"])
def test_a_single_one_that_came_furthest_has_others_beside_it_on_fresh_seeds(tmp_path, policy):
    changes = {"budget": {"trainings": 8, "env_steps": 640}, "finalists": 3, "seeds": {**BASE["seeds"], "search": 1}}
    study = autorl.run({**BASE, **changes, "search": {**BASE["search"], "policy": policy}}, root=tmp_path)
    searched, finalists = study.trials(), study.trials("method", "finalists")
    furthest = [t.number for t in searched if t.env_steps == 640]
    if policy == "race":
        assert len(furthest) == 1
    assert len(finalists) >= 2
    assert {t.source for t in finalists} >= set(furthest[:1])
    assert len({str(t.candidate) for t in finalists}) == len(finalists)
    assert study.result["winner"]["chosen_by"]["tuning_iqm"] is not None
    if len(furthest) == 1:
        reached = sorted((t.env_steps for t in searched), reverse=True)
        assert sorted((searched[t.source].env_steps for t in finalists), reverse=True) == reached[:3]
