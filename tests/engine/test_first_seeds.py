"""Under a budget policy a search begins with the seeds with which untrained agents score worst. Whole studies, tiny."""

import pytest

import autorl
from autorl.analysis.first_seeds import first_seeds_of, first_seeds_sentence
from autorl.engine import first_seeds
from autorl.engine.session import Session
from autorl.studies.record import Record
from autorl.studies.seeds import FIRST_SEEDS, seeds_of

BASE = {
    "name": "first-seeds",
    "environment": "gymnax:CartPole-v1",
    "learner": {
        "algorithm": "ppo",
        "hyperparameters": {"n_envs": 4, "n_steps": 16, "minibatch_size": 32, "hidden_size": 8, "n_layers": 1},
    },
    "search": {
        "space": {"dimensions": {"learning_rate": {"type": "float", "low": 1e-6, "high": 1e-2, "scale": "log"}}},
        "method": "random",
        "policy": "halving",
        "settings": {"batch": 4},
    },
    "budget": {"trainings": 4, "env_steps": 640},
    "seeds": {"study": 3, "tuning": 1, "test": 1},
    "baselines": {"random": True, "default": False},
    "evaluation": {"episodes": 8, "points": 5, "averaged": 2},
    "finalists": 1,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return autorl.run(BASE, root=tmp_path_factory.mktemp("first"))


def noted(study):
    with Record.open(study.folder.record, readonly=True) as record:
        return record.meta(FIRST_SEEDS)


def session_of(study, record):
    return Session(study.specification, study.folder, record, devices=[])


def test_all_trials_begin_with_the_block_with_which_untrained_agents_score_worst(study):
    found = noted(study)
    assert len(found["untrained"]) == first_seeds.LOOKED_AT
    assert min(found["untrained"]) < max(found["untrained"]), "CartPole's untrained agents are not all alike"
    assert found["untrained"][found["block"]] == min(found["untrained"])
    expected = seeds_of(study.specification, "search", found["block"])
    assert found["block"] > 0, "or this shows nothing"
    assert {t.seeds for t in study.trials("method", "search")} == {expected}
    assert {t.seeds for t in study.trials("random", "search")} == {expected}, "random search beside it has the same"


def test_the_scores_are_those_of_agents_that_learned_nothing(study, tmp_path):
    """An agent whose learning rate is next to nothing scores at its first checkpoint what the untrained one does, in other episodes."""
    still = {**BASE, "search": {**BASE["search"], "space": {"dimensions": {"learning_rate": {
        "type": "float", "low": 1e-30, "high": 1e-29, "scale": "log"}}}}, "evaluation": {**BASE["evaluation"], "episodes": 64}}  # fmt: skip
    other = autorl.run(still, root=tmp_path)
    found = noted(other)
    unlearned = other.trials("method", "search")[0].curves[0].scores[0]
    assert unlearned == pytest.approx(found["untrained"][found["block"]], rel=0.1)


def test_looking_costs_no_training_and_no_seed_of_the_test(study):
    spent = sum(t.ledger.train_env_steps for t in study.trials("method", "search"))
    assert spent <= 4 * 640
    others = {s for role in ("tuning", "test") for s in seeds_of(study.specification, role)}
    looked = {s for k in range(first_seeds.LOOKED_AT) for s in seeds_of(study.specification, "search", k)}
    assert not others & looked


def test_the_block_that_is_begun_with_comes_first_and_none_twice(study):
    with Record.open(study.folder.record, readonly=True) as record:
        session = session_of(study, record)
        first = noted(study)["block"]
        order = [first_seeds.block(session, number) for number in range(20)]
    assert order[0] == seeds_of(study.specification, "search", first)
    assert sorted(order) == sorted(seeds_of(study.specification, "search", k) for k in range(20))


def test_without_a_note_blocks_are_in_their_order(tmp_path):
    whole = {**BASE, "search": {**BASE["search"], "policy": "whole"}, "budget": {"trainings": 2, "env_steps": 640}}
    study = autorl.run(whole, root=tmp_path)
    assert noted(study) is None
    assert {t.seeds for t in study.trials("method", "search")} == {seeds_of(study.specification, "search")}
    assert first_seeds_of(study.folder.record) == {}
    assert first_seeds_sentence(study.result) == ""


def test_trials_of_an_older_version_keep_their_seeds(study, tmp_path, monkeypatch):
    """A search that was under way goes on with the seeds that it had begun with."""
    created = autorl.create(BASE, root=tmp_path)
    trial = study.trials("method", "search")[0]
    with Record.open(created.folder.record) as record:
        session = session_of(created, record)
        old = session.seeds("search")
        record.add([trial.__class__("method", "search", 0, trial.candidate, 640, seeds=old)])
        monkeypatch.setattr(Session, "trainer", property(lambda self: pytest.fail("nobody is to be looked at")))
        first_seeds.choose(session, "method", trial)
        assert record.meta(FIRST_SEEDS) == {"block": 0}
        assert first_seeds.block(session, 0) == old
    assert first_seeds_of(created.folder.record) == {}


def test_a_study_that_goes_on_with_another_has_its_seeds(study, tmp_path):
    more = {**BASE, "budget": {"trainings": 8, "env_steps": 640}, "baselines": {"random": False, "default": False}}
    more["search"] = {**BASE["search"], "warm_start": {"study": str(study.folder.path)}}
    onward = autorl.run(more, root=tmp_path)
    assert noted(onward)["block"] == noted(study)["block"]
    width = {t.seeds[:1] for t in onward.trials("method", "search")}
    assert width == {seeds_of(study.specification, "search", noted(study)["block"])}


def test_the_result_and_the_report_say_so(study):
    said = first_seeds_sentence(study.result)
    assert said.startswith("Of 16 seeds the search began with the one with which untrained agents score worst: ")
    assert said in study.report().read_text(encoding="utf-8")
    listed = seeds_of(study.specification, "search", noted(study)["block"])
    assert f"1: {listed[0]}" in study.folder.report.read_text(encoding="utf-8"), (
        "the checklist has the seed that was trained on"
    )


def test_where_all_are_alike_the_first_is_taken_and_said():
    alike = {"first_seeds": {"block": 0, "untrained": [-200.0, -200.0, -200.0]}}
    assert first_seeds_sentence(alike) == (
        "Untrained agents score -200.0 with each of 3 search seeds: the search began with the first."
    )
