"""Studies that go on with an earlier one: what is told first, what is left out, what is refused; and any kill changes nothing."""

import json

import pytest
import yaml

import autorl
from autorl.analysis.report import winner_yaml
from autorl.engine.session import Session
from autorl.engine.translation import Translation, Untranslatable
from autorl.errors import AutoRLError, UsageError
from autorl.outer.protocol import Status
from autorl.studies.record import Record
from autorl.studies.seeds import first_test_seed, seeds_of
from autorl.studies.specification import from_mapping

X = {"type": "float", "low": -5, "high": 5}
N = {"type": "int", "low": 1, "high": 9}
SPACE = {"dimensions": {"x": X, "n": N}}


def told(root, name, trainings, method="tpe", space=SPACE, **search):
    """Return a study over a function, driven to its end."""
    specification = {
        "search": {"space": space, "method": method, **search},
        "budget": {"trainings": trainings, "env_steps": 1},
    }
    with autorl.create(specification, name=name, root=root) as study:
        for _ in range(sum(t.status is Status.RUNNING for t in study.trials()) + trainings - len(study.trials())):
            trial = study.ask()
            candidate = trial.candidate
            study.tell(trial, None if candidate["x"] > 4 else -abs(candidate["x"] - 1) - 0.1 * candidate.get("n", 0))
    return study


@pytest.fixture(scope="module")
def twelve(tmp_path_factory):
    return told(tmp_path_factory.mktemp("told"), "twelve", 12)


@pytest.mark.parametrize(
    "method",
    ["tpe", "random", pytest.param("sobol", marks=pytest.mark.slow), pytest.param("de", marks=pytest.mark.slow)],
)
def test_a_larger_budget_gives_what_it_would_have_given_at_once(tmp_path, method):
    told(tmp_path, "short", 11, method)
    onward = told(tmp_path, "onward", 24, method, warm_start="short")
    at_once = told(tmp_path, "at-once", 24, method)
    assert [(t.candidate, t.score, t.status, t.told) for t in onward.trials()] == [
        (t.candidate, t.score, t.status, t.told) for t in at_once.trials()
    ]
    assert onward.result["warm_start"]["trials"] == 11
    assert "11 trials of study short were told first" in onward.result["warm_start"]["sentences"][0]


@pytest.mark.parametrize("trainings", [pytest.param(20, marks=pytest.mark.slow), 33])
def test_evolution_goes_on_with_its_own_trials_alone(tmp_path, trainings):
    settings = {"settings": {"population_size": 10, "tournament": 3, "batch": 8}}
    told(tmp_path, "short", trainings, "evolution", **settings)
    onward = told(tmp_path, "onward", 60, "evolution", **settings, warm_start="short")
    at_once = told(tmp_path, "at-once", 60, "evolution", **settings)
    assert [(t.candidate, t.score, t.ancestor, t.generation) for t in onward.trials()] == [
        (t.candidate, t.score, t.ancestor, t.generation) for t in at_once.trials()
    ]
    other = {"settings": {**settings["settings"], "tournament": 4}}
    with pytest.raises(UsageError, match="cannot be told trials but its own, of the same settings in the same space"):
        told(tmp_path, "other", 60, "evolution", **other, warm_start="short")


@pytest.mark.parametrize(
    ("trainings", "settings"),
    [
        (30, {}),
        (35, {}),
        (8, {"population_size": 6}),
        pytest.param(30, {"algorithm": "CMA_ES", "std": 0.3}, marks=pytest.mark.slow),
    ],
)
def test_an_evolution_strategy_goes_on_with_its_own_populations(tmp_path, trainings, settings):
    told(tmp_path, "short", trainings, "es", settings=settings)
    onward = told(tmp_path, "onward", 48, "es", settings=settings, warm_start="short")
    at_once = told(tmp_path, "at-once", 48, "es", settings=settings)
    assert [(t.candidate, t.score, t.generation, t.origin) for t in onward.trials()] == [
        (t.candidate, t.score, t.generation, t.origin) for t in at_once.trials()
    ]


def test_an_evolution_strategy_goes_on_in_populations_of_the_same_size_from_whole_ones(tmp_path):
    told(tmp_path, "small", 12, "es")
    wrong = (
        r"es has populations of 4 in study 'small' and would have 6 here.* Remedy: search.settings.population_size=4"
    )
    with pytest.raises(UsageError, match=wrong):
        told(tmp_path, "other", 48, "es", warm_start="small")
    onward = told(tmp_path, "onward", 48, "es", settings={"population_size": 4}, warm_start="small")
    assert [t.candidate for t in onward.trials()][:12] == [
        t.candidate for t in autorl.load("small", root=tmp_path).trials()
    ]
    with pytest.raises(UsageError, match="cannot be told trials but its own, of the same settings in the same space"):
        told(tmp_path, "another", 48, "es", settings={"population_size": 4, "std": 0.5}, warm_start="small")
    plain = {"search": {"space": SPACE, "method": "es"}, "budget": {"trainings": 30, "env_steps": 1}}
    with autorl.create(plain, name="begun", root=tmp_path) as study:
        asked = [study.ask() for _ in range(3)]
        study.tell(asked[0], 1.0)
        study.tell(asked[2], 2.0)
    with pytest.raises(
        UsageError, match=r"a population of study 'begun' is under way, .* Remedy: tell its open trials"
    ):
        told(tmp_path, "from-begun", 48, "es", warm_start="begun")


def test_an_algorithm_that_plans_ahead_and_another_one_are_refused_for_what_they_are(tmp_path):
    ahead = {"algorithm": "DiffusionEvolution", "population_size": 6}
    told(tmp_path, "ahead", 12, "es", settings=ahead)
    with pytest.raises(UsageError, match="plans all its populations by the budget"):
        told(tmp_path, "longer", 24, "es", settings=ahead, warm_start="ahead")
    with pytest.raises(UsageError, match="cannot be told trials but its own, of the same settings in the same space"):
        told(tmp_path, "another", 24, "es", warm_start="ahead")


def test_a_record_needs_the_earlier_study_no_more(tmp_path, twelve):
    plain = {"search": {"space": SPACE, "method": "tpe", "warm_start": str(twelve.path)}}
    with autorl.create({**plain, "budget": {"trainings": 20, "env_steps": 1}}, name="killed", root=tmp_path) as study:
        first = study.ask()
    twelve.path.rename(twelve.path.with_name("elsewhere"))
    try:
        with autorl.load("killed", root=tmp_path) as again:
            assert again.ask() == first, "the same question, once more"
            again.tell(first, 0.0)
            assert again.ask().number == 13
    finally:
        twelve.path.with_name("elsewhere").rename(twelve.path)


def test_trials_outside_a_changed_space_are_left_out_and_named(tmp_path, twelve):
    narrow = {"dimensions": {"x": {**X, "low": 0}, "n": N}}
    study = told(tmp_path, "narrow", 16, space=narrow, warm_start=str(twelve.path))
    outside = [t.number for t in twelve.trials() if t.candidate["x"] < 0]
    assert 0 < len(outside) < 12
    taken = study.specification.search.warm_start.taken
    assert taken.left_out == {"x is out of range": outside}
    kept = [t for t in twelve.trials() if t.candidate["x"] >= 0]
    assert [(t.candidate, t.score) for t in study.trials()][: len(kept)] == [(t.candidate, t.score) for t in kept]
    assert len(study.trials()) == 16
    assert f"{len(outside)} trials of it are no candidates here" in " ".join(study.result["warm_start"]["sentences"])


def test_draws_go_on_afresh_where_space_or_numbers_are_others(tmp_path):
    told(tmp_path, "first", 12, "random")
    narrow = {"dimensions": {"x": {**X, "low": 0}, "n": N}}
    second = told(tmp_path, "second", 24, "random", space=narrow, warm_start="first")
    third = told(tmp_path, "third", 40, "random", space=narrow, warm_start="second")
    units = {f"{second.space.dimensions['x'].to_unit(t.candidate['x']):.9f}" for t in third.trials()}
    first = autorl.load("first", root=tmp_path)
    before = [f"{first.space.dimensions['x'].to_unit(t.candidate['x']):.9f}" for t in first.trials()]
    assert len(units) == 40, "no value twice"
    assert not units & set(before)
    assert third.specification.search.warm_start.taken.seed == second.specification.search.warm_start.taken.seed
    assert third.trials()[:24] == second.trials()


def test_of_a_function_of_ones_own_nobody_knows_what_a_new_dimension_was(tmp_path, twelve):
    wider = {"dimensions": {"x": X, "n": N, "y": X}}
    with pytest.raises(UsageError, match=r"no trial of 'twelve' can be taken over: y had no value"):
        told(tmp_path, "wider", 20, space=wider, warm_start=str(twelve.path))
    with pytest.raises(UsageError, match=r"n is not searched any more"):
        told(tmp_path, "less", 20, space={"dimensions": {"x": X}}, warm_start=str(twelve.path))


def ppo(fixed, *searched, trainings=8, **changes):
    dimensions = {
        "gamma": {"type": "float", "low": 0.9, "high": 0.99},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.03, "scale": "log"},
        "normalize_advantages": {"type": "bool"},
    }
    plain = {
        "environment": "probe:observation_action_reward",
        "learner": {"algorithm": "ppo", "hyperparameters": fixed},
        "search": {"space": {"dimensions": {name: dimensions[name] for name in searched}}, "method": "random"},
        "budget": {"trainings": trainings, "env_steps": 512},
    }
    return from_mapping({**plain, **changes}, references=False)


def test_a_new_dimension_has_the_value_that_was_fixed_before():
    old, new = ppo({"gamma": 0.95}, "learning_rate"), ppo({}, "learning_rate", "gamma")
    assert Translation.between(old, new)({"learning_rate": 0.01}) == {"learning_rate": 0.01, "gamma": 0.95}
    with pytest.raises(Untranslatable, match="gamma is out of range"):
        Translation.between(ppo({"gamma": 0.5}, "learning_rate"), new)({"learning_rate": 0.01})
    by_default = Translation.between(ppo({}, "learning_rate"), new)({"learning_rate": 0.01})
    assert by_default["gamma"] == 0.99, "PPO's own"


def test_a_dimension_that_is_fixed_now_had_to_have_its_value():
    old, new = ppo({}, "learning_rate", "gamma"), ppo({"gamma": 0.95}, "learning_rate")
    translated = Translation.between(old, new)
    assert translated({"learning_rate": 0.01, "gamma": 0.95}) == {"learning_rate": 0.01}
    with pytest.raises(Untranslatable, match="gamma is fixed at another value"):
        translated({"learning_rate": 0.01, "gamma": 0.94})
    with pytest.raises(Untranslatable, match="update_epochs is fixed at another value"):
        Translation.between(old, ppo({"update_epochs": 7}, "learning_rate", "gamma"))(
            {"learning_rate": 0.01, "gamma": 0.95}
        )


TINY = {"n_envs": 4, "n_steps": 16, "minibatch_size": 32, "hidden_size": 8, "n_layers": 1}
BASE = {
    "name": "warm",
    "environment": "probe:observation_action_reward",
    "learner": {"algorithm": "ppo", "hyperparameters": TINY},
    "search": {
        "space": {"dimensions": {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.03, "scale": "log"}}},
        "method": "tpe",
        "settings": {"batch": 4, "n_startup_trials": 4},
    },
    "budget": {"trainings": 8, "env_steps": 640},
    "seeds": {"tuning": 1, "test": 2},
    "baselines": {"default": False},
    "evaluation": {"episodes": 4, "points": 5, "averaged": 2},
    "finalists": 2,
}


def agents(root, name=None, trainings=8, **search):
    return autorl.run(
        {**BASE, "search": {**BASE["search"], **search}}, {"budget.trainings": trainings}, root=root, name=name
    )


def content(trials):
    return [(t.candidate, t.scores, t.status, t.seeds, t.told) for t in trials]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("agents")


@pytest.fixture(scope="module")
def eight(root):
    return agents(root, "eight")


@pytest.fixture(scope="module")
def onward(root, eight):
    return agents(root, "onward", 12, warm_start="eight")


def test_agents_are_not_trained_again(eight, onward):
    for arm in ("method", "random"):
        assert onward.trials(arm)[:8] == eight.trials(arm), "seconds and all"
    assert len(onward.trials("random")) == 12


@pytest.mark.slow
def test_the_search_of_agents_is_as_at_once(root, onward):
    at_once = agents(root, "at-once", 12)
    assert content(onward.trials(None, "search")) == content(at_once.trials(None, "search"))
    assert content(onward.trials(None, "finalists")) == content(at_once.trials(None, "finalists"))


def test_earlier_work_is_shown_apart_and_counts(eight, onward):
    result = onward.result
    assert result["warm_start"]["env_steps"] == result["warm_start"]["random_env_steps"] == 8 * 640
    assert result["work"]["equal"] is True
    assert result["work"]["method"] == 12 * 640
    text = onward.folder.report.read_text()
    assert "8 trials of study eight (5,120 environment steps) were told first" in text


def test_test_seeds_are_fresh_all_along_the_chain(root, eight, onward):
    last = autorl.create(BASE, {"search.warm_start": "onward", "budget.trainings": 13}, root=root)
    seeds = [s for study in (eight, onward) for s in study.trials("method", "test")[0].seeds]
    assert len({*seeds, *seeds_of(last.specification, "test")}) == 6
    assert "the 4 before them were used there" in " ".join(last.result["warm_start"]["sentences"])


def test_the_best_of_another_question_are_trained_again_first(root, eight):
    given = {"search.warm_start": {"study": "eight", "retrain": 2}, "budget.env_steps": 1280}
    study = autorl.create(BASE, given, root=root)
    best = sorted(eight.trials(), key=lambda t: (-t.score, t.number))[:2]
    assert list(study.specification.search.start) == [t.candidate for t in best]
    assert study.trials() == []
    assert study.specification.search.warm_start.taken.test_seeds == 2
    drawn = autorl.create(BASE, {**given, "name": "onward-draws"}, root=root)
    method = Session(drawn.specification, drawn.folder, None, []).method("method")
    asked = [drawn.space.to_json(p.candidate) for p in method.ask(method.init(), 6)]
    assert asked[:2] == [t.candidate for t in best]
    assert not [c for c in asked[2:] if c in [t.candidate for t in eight.trials()]], "it draws afresh"


def test_the_winner_of_a_continued_study_trains_again_on_its_own_test_seeds(root, onward):
    exported = from_mapping(yaml.safe_load(onward.export()))
    assert seeds_of(exported, "test") == onward.trials("method", "test")[0].seeds
    assert exported.seeds.test_start == 2
    copied = from_mapping(yaml.safe_load(winner_yaml(onward.result, onward.plain_specification())))
    assert seeds_of(copied, "test") == seeds_of(exported, "test"), "the report's is the same"
    passed = {"search.warm_start": "eight", "budget.trainings": 13, "seeds.test_start": 1}
    after = autorl.create(BASE, passed, root=root).plain_specification()
    assert first_test_seed(after) == 2, "those passed over are not counted twice"


class Killed(BaseException):
    """Nothing in a study catches it."""


@pytest.fixture(scope="module")
def races(root):
    return agents(root, "raced", policy="race"), agents(root, "raced-on", 16, policy="race", warm_start="raced")


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["whole", "race"])
def test_a_warm_started_study_killed_on_the_way_ends_as_one_left_alone(root, request, monkeypatch, policy):
    if policy == "race":
        _, alone = request.getfixturevalue("races")
        more = {"name": "killed-race", "trainings": 16, "policy": "race", "warm_start": "raced"}
    else:
        alone = request.getfixturevalue("onward")
        more = {"name": "killed", "trainings": 12, "warm_start": "eight"}
    calls = [0]
    written = Record.add

    def last(self, trials):
        calls[0] += 1
        written(self, trials)
        if calls[0] == 1:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Record, "add", last)
        with pytest.raises(Killed):
            agents(root, **more)
    resumed = autorl.resume(more["name"], root=root)
    assert content(resumed.trials(None, None)) == content(alone.trials(None, None))
    assert resumed.result["headline"].replace("killed", "") == alone.result["headline"].replace("killed", "")


@pytest.mark.slow
def test_under_a_policy_what_was_cut_stays_cut_and_what_was_not_may_race_on(races):
    raced, alone = races
    before = raced.trials()
    for old, new in zip(before, alone.trials(), strict=False):
        assert new.candidate == old.candidate
        assert new.scores[0][: len(old.scores[0])] == old.scores[0]
        if old.status is Status.PRUNED:
            assert new == old
    assert len(alone.trials()) > len(before) + 5
    assert alone.result["work"]["method"] <= 16 * 640
    assert {t.status for t in alone.trials()} == {Status.PRUNED, Status.COMPLETED}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"environment": "probe:constant_reward"}, "environment is .*constant_reward.* here and"),
        ({"budget.env_steps": 1280}, "budget.env_steps is 1280 here and 640 there"),
        ({"evaluation.episodes": 8}, "evaluation is"),
        ({"seeds.study": 1}, "seeds.study is 1 here and 0 there"),
        ({"search.policy": "race"}, "search.policy is .* here and nothing there"),
        ({"budget.trainings": 8}, r"budget.trainings: expected at least 9, got 8: the trials of 'eight' count"),
        ({"search.method": "random", "search.settings": {}}, "random search learns nothing from the trials of tpe"),
        ({"search.method": "sobol", "search.settings": {}}, "sobol search learns nothing from the trials of tpe"),
        (
            {"search.method": "es", "search.settings": {}},
            "'es' draws whole populations.*Methods that can: random, sobol",
        ),
        (
            {"budget.env_steps": 1280, "search.warm_start": {"study": "eight", "same_metric": True}},
            "same_metric: it is for files",
        ),
        ({"search.warm_start": "onwards"}, "search.warm_start: there is no study 'onwards'"),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused(root, eight, changes, expected):
    before = sorted(path.name for path in root.iterdir())
    given = {"search.warm_start": "eight", "budget.trainings": 12, **changes}
    with pytest.raises(AutoRLError, match=f"(?s){expected}"):
        autorl.create(BASE, given, root=root)
    assert sorted(path.name for path in root.iterdir()) == before


@pytest.mark.slow
def test_told_trials_of_another_tool_stand_in_a_search_that_trains_agents(root, tmp_path):
    path = tmp_path / "theirs.jsonl"
    entries = [{"candidate": {"learning_rate": 0.001 * (i + 1)}, "score": i / 10} for i in range(6)]
    entries.append({"candidate": {"learning_rate": 0.02}, "score": None, "status": "failed"})
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    study = agents(root, "theirs", 9, warm_start={"study": str(path), "same_metric": True})
    searched = study.trials()
    assert [t.score for t in searched[:6]] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert [t.ledger.train_env_steps > 0 for t in searched] == [False] * 7 + [True] * 2
    assert len(study.trials("random")) == 9
    assert study.result["work"]["equal"] is False
    assert "the search was told of trainings whose work is not known" in study.result["work"]["sentence"]
    assert study.result["arms"]["method"]["score"] is not None
    assert "7 trials of" in study.folder.report.read_text()
