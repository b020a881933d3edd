"""Generations: each imitates the one before it, they go on after a stop, and the control is as long as all of them together."""

import json
import shutil

import pytest
from command_line import HYPERPARAMETERS, SPACE, call, write

import autorl
from autorl.analysis.generations import render, summarise
from autorl.api import specify
from autorl.engine.session import Stopper
from autorl.errors import StudyError, UsageError
from autorl.generations import _at_once, lineage, run_generations

SMALL = {
    "environment": {
        "id": "contextual:CartPole-v1",
        "score_range": [0, 500],
        "tasks": {"vary": {"length": None}, "grid": 2},
    },
    "learner": {"algorithm": "ppo", "hyperparameters": HYPERPARAMETERS},
    "teacher": "arms",
    "search": {"space": SPACE, "method": "random"},
    "budget": {"trainings": 2, "env_steps": 1024},
    "seeds": {"study": 5, "tuning": 1, "test": 2},
    "evaluation": {"episodes": 4, "points": 1},
    "baselines": {"default": False, "random": False, "teachers": ["uniform"]},
}
SEARCHED = {name: SMALL[name] for name in ("search", "budget")}
GUIDES = {"type": "categorical", "choices": ["none", f"{__name__}:guide"]}
NAMES = ["bred-generation-1", "bred-generation-2", "bred-at-once-2"]


@pytest.fixture(scope="module")
def bred(tmp_path_factory):
    """Return (folder, what ``autorl generations --count 2 --record`` wrote)."""
    folder = tmp_path_factory.mktemp("bred")
    path = write(folder, "bred", SMALL)
    done = call("generations", path, "--count", 2, "--root", folder / "studies", "--record", "--quiet")
    assert done.code == 0, done.err
    return folder, done


def test_each_generation_is_a_study_that_imitates_the_one_before(bred):
    folder, done = bred
    one, two, control = (autorl.load(name, root=folder / "studies") for name in NAMES)
    assert [s.specification.seeds.study for s in (one, two, control)] == [5, 6, 6]
    assert "distill_from" not in one.specification.learner.hyperparameters
    assert two.specification.learner.hyperparameters["distill_from"].startswith(f"study:{one.path.resolve()}#")
    assert two.result["guide_env_steps"] == {"method": 1024, "teacher:uniform": 1024}
    assert control.specification.search is None
    assert "distill_from" not in control.specification.learner.hyperparameters
    assert control.specification.budget.env_steps == 2 * 1024
    assert set(control.result["arms"]) >= {"method", "teacher:uniform"}
    for name in NAMES[:2]:
        assert name in done.out
    assert "in one go" in done.out
    assert "this one lineage" in done.out


def test_what_they_came_to_is_recorded(bred):
    folder, _ = bred
    recorded = json.loads((folder / "bred.generations.json").read_text())
    assert recorded["experiment"] == "bred"
    assert not (folder / "bred.result.json").exists()
    outcome = recorded["result"]
    rows = {row["name"]: row for row in outcome["studies"]}
    assert list(rows) == NAMES
    assert [row["generation"] for row in rows.values()] == [1, 2, None]
    steps = [{own["env_steps"] for own in row["arms"].values()} for row in rows.values()]
    assert steps == [{1024}, {2048}, {2048}]
    assert not outcome["warnings"], "seeds, work and lengths differ on purpose"
    for name, row in rows.items():
        result = autorl.load(name, root=folder / "studies").result
        assert {arm: own["score"] for arm, own in row["arms"].items()} == {
            arm: own["score"] for arm, own in result["arms"].items()
        }
        assert row["arms"]["method"]["success"] == result["held_out"]["method"]["success"]
    assert [(pair["study"], pair["against"]) for pair in outcome["pairs"]] == [
        (NAMES[0], NAMES[1]),
        (NAMES[0], NAMES[2]),
        (NAMES[1], NAMES[2]),
    ]
    assert render(outcome).count("teacher uniform") == len(NAMES)


def test_the_same_command_goes_on_and_runs_nothing_twice(bred):
    folder, done = bred
    studies = folder / "studies"
    before = [autorl.load(name, root=studies).trials(None, None) for name in NAMES]
    shutil.rmtree(studies / NAMES[2])
    path = folder / "bred.yaml"
    again = call("generations", path, "--count", 2, "--root", studies, "--quiet", "--json")
    assert again.code == 0, again.err
    assert [row["name"] for row in again.json["studies"]] == NAMES
    after = [autorl.load(name, root=studies).trials(None, None) for name in NAMES]
    assert after[:2] == before[:2]
    assert [t.score for t in after[2]] == [t.score for t in before[2]]
    outcome = run_generations(path, count=2, root=studies)
    assert render(outcome) in done.out


def test_a_study_of_another_specification_is_refused(bred):
    folder, _ = bred
    path = folder / "bred.yaml"
    with pytest.raises(
        StudyError, match=r"'bred-generation-1' is there, but of another specification: different budget. Remedy: "
    ):
        next(lineage(path, {"budget.env_steps": 2048}, count=2, control=False, root=folder / "studies"))
    (folder / "empty" / "bred-generation-1").mkdir(parents=True)
    with pytest.raises(StudyError, match="no study"):
        next(lineage(path, count=2, root=folder / "empty"))


@pytest.mark.parametrize(
    ("changes", "count", "message"),
    [
        ({}, 1, "count: expected a whole number of generations, at least 2, got 1"),
        ({}, 2.5, "count: expected a whole number"),
        ({"learner": "dqn"}, 2, r"generations imitate those before, and dqn cannot. Remedy: learner: ppo"),
        (
            {"environment": {"id": "contextual:CartPole-v1", "hyperparameters": {"distill_from": f"{__name__}:guide"}}},
            2,
            r"environment.0.hyperparameters.distill_from: generations imitate those before, got .* Remedy: leave it out",
        ),
        (
            {"schedule": [{"until": 1024, "hyperparameters": {"distill_from": f"{__name__}:guide"}}]},
            2,
            r"schedule.0.hyperparameters.distill_from: generations imitate those before",
        ),
        (
            {**SEARCHED, "environment": [SMALL["environment"], {**SMALL["environment"], "role": "held_out"}]},
            2,
            "environment.role: ",
        ),
        (
            {
                **SEARCHED,
                "search": {"space": {"name": "g", "dimensions": {"distill_from": GUIDES}}, "method": "random"},
            },
            2,
            "search.space: it searches distill_from",
        ),
        (
            {**SEARCHED, "search": {**SMALL["search"], "warm_start": "early"}},
            2,
            "search.warm_start: no generation can be told the trials of another study, .* got 'early'. Remedy: ",
        ),
        (
            {
                **dict.fromkeys(("learner", "environment", "baselines")),
                "search": {"space": SPACE, "method": "random"},
                "budget": {"trainings": 2},
            },
            2,
            "learner: this experiment has none",
        ),
    ],
)
def test_what_cannot_have_generations_is_refused_before_a_study(changes, count, message, tmp_path):
    given = {
        **SMALL,
        "teacher": None,
        "search": None,
        "baselines": {"default": False},
        "budget": {"env_steps": 1024},
        **changes,
    }
    with pytest.raises(UsageError, match=message):
        next(lineage({key: value for key, value in given.items() if value is not None}, count=count, root=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": [SMALL["environment"], {**SMALL["environment"], "env_steps": 512}]},
        {"environment": [{**SMALL["environment"], "role": role} for role in ("train", "validation", "held_out")]},
        {
            "search": {"space": SPACE, "method": "random", "policy": "halving"},
            "budget": {"trainings": 8, "env_steps": 1024},
            "evaluation": {**SMALL["evaluation"], "points": 4},
        },
        {
            **dict.fromkeys(("search", "teacher")),
            "learner": "ppo",
            "budget": {"env_steps": 1024},
            "schedule": [
                {"until": until, "hyperparameters": {**HYPERPARAMETERS, "distill_from": f"{__name__}:guide"}}
                for until in (512, 1024)
            ],
        },
    ],
    ids=["lengths", "roles", "policy", "schedule"],
)
def test_the_control_is_as_long_imitates_nobody_and_is_vetted_before_the_first_generation(changes):
    given = {key: value for key, value in {**SMALL, **changes}.items() if value is not None}
    base = specify(given)
    control = specify(_at_once(base, 3))
    roles = [environment.role for environment in base.environments]
    tested = [e for e in base.environments if e.role == ("held_out" if "held_out" in roles else "train")]
    assert [e.env_steps for e in control.environments] == [e.env_steps and 3 * e.env_steps for e in tested]
    assert {e.role for e in control.environments} == {"train"}
    assert control.budget.env_steps == 3 * 1024
    assert [entry.until for entry in control.schedule or ()] == [3 * entry.until for entry in base.schedule or ()]
    assert "distill_from" not in str(control)
    assert control.search is None
    assert not control.baselines.default


def guide(observation, key):
    return (observation[0] > 0).astype("int32")


def test_the_control_can_be_left_out_and_a_number_below_two_is_refused(bred, tmp_path):
    folder, _ = bred
    path = folder / "bred.yaml"
    done = call("generations", path, "--count", 2, "--root", folder / "studies", "--no-control", "--json")
    assert [row["name"] for row in done.json["studies"]] == NAMES[:2]
    assert call("generations", path, "--count", 1, "--root", tmp_path).code == 2
    missing = call("generations", "no_such_experiment", "--root", tmp_path)
    assert missing.code == 2
    assert "no_such_experiment" in missing.err


def test_failures_are_shown_and_warned_of(bred):
    _, done = bred
    assert done.out.count("0 of 2") == 2 * len(NAMES)
    studies = [autorl.load(name, root=bred[0] / "studies") for name in NAMES]
    given = [(s.folder.name, s.plain_specification(), s.result, s.trials(None, None)) for s in studies]
    given[2][2]["arms"]["method"]["failed"] = 1
    assert "1 of 2" in render(summarise(given, 2))


@pytest.mark.slow
def test_after_a_stop_the_same_command_goes_on_to_the_same_end(bred, tmp_path, monkeypatch):
    path = bred[0] / "bred.yaml"
    arguments = ("generations", path, "--count", 2, "--root", tmp_path, "--no-control", "--json")
    check = Stopper.check
    calls = []

    def stop_in_the_second(self):
        calls.append("bred-generation-2" in self._remedy)
        if calls.count(True) == 5:
            self.request()
        check(self)

    monkeypatch.setattr(Stopper, "check", stop_in_the_second)
    stopped = call(*arguments)
    assert stopped.code == 130
    assert "stopped in bred-generation-2, everything is saved. Go on with: the same command" in stopped.err
    assert not autorl.load("bred-generation-2", root=tmp_path).finished
    monkeypatch.setattr(Stopper, "check", check)
    done = call(*arguments)
    assert done.code == 0, done.err
    for name in NAMES[:2]:
        ours, theirs = (autorl.load(name, root=root).trials(None, None) for root in (tmp_path, bred[0] / "studies"))
        assert [(t.candidate, t.scores) for t in ours] == [(t.candidate, t.scores) for t in theirs]
