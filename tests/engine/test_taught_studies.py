"""Whole studies under a teacher, tiny: candidates, baselines, held-out tasks, what is recorded, and what is exported."""

import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import autorl
from autorl.cli.app import app
from autorl.studies.record import Record
from autorl.studies.specification import from_mapping
from autorl.studies.trial import COMPILED

pytestmark = pytest.mark.slow

SMALL = {"n_envs": 2, "n_steps": 64, "minibatch_size": 64, "update_epochs": 1, "hidden_size": 4, "n_layers": 1}
UNIT = {"type": "float", "low": 0.0, "high": 1.0}
STUDY = {
    "environment": {
        "id": "point_mass:gate-2d-visible",
        "task": {"gate_width": 1.5},
        "score_range": [0, 60],
        "tasks": {"grid": 2},
    },
    "learner": {"algorithm": "ppo", "hyperparameters": SMALL},
    "teacher": {"name": "schedule", "parameters": {"knots": 2, "horizon": 10}},
    "search": {
        "space": {
            "parts": {
                "hyperparameters": {
                    "dimensions": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "scale": "log"}}
                },
                "curriculum": {
                    "teacher": "schedule",
                    "dimensions": {"means": {**UNIT, "shape": [2, 2]}, "uniform": UNIT},
                },
            }
        },
        "method": "tpe",
    },
    "budget": {"trainings": 3, "env_steps": 512},
    "seeds": {"tuning": 1, "test": 2},
    "evaluation": {"episodes": 8, "points": 2},
    "finalists": 2,
    "baselines": {"random": False, "teachers": ["uniform", "none"]},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return autorl.run(STUDY, name="taught", root=tmp_path_factory.mktemp("studies"))


def test_every_arm_is_scored_on_the_same_held_out_tasks(study):
    tested = {t.arm: t for t in study.trials(None, "test")}
    assert set(tested) == {"method", "default", "teacher:uniform", "teacher:none"}
    for trial in tested.values():
        for k, lesson in enumerate(study.lessons(trial)):
            assert len(lesson["tasks"]) == len(lesson["successes"]) == 4
            for name, parts in (("tasks", "task_halves"), ("successes", "success_halves")):
                assert np.shape(lesson[parts]) == (2, 4), "eight episodes: two attempts at each"
                np.testing.assert_allclose(np.mean(lesson[parts], axis=0), lesson[name])
            assert np.mean(lesson["tasks"]) / 60 == pytest.approx(trial.scores[0][k]), "the score is their mean"
    assert set(study.result["held_out"]) == set(tested)


def test_what_was_played_is_recorded_of_all_that_had_a_teacher(study):
    for trial in study.trials(None, None):
        diaries = [lesson["diary"] for lesson in study.lessons(trial)]
        if trial.arm == "teacher:none":
            assert diaries == [None, None]
            continue
        for diary in diaries:
            episodes = np.array(diary["episodes"])
            assert (episodes.sum(axis=2)[:, 0] == episodes.sum(axis=2)[:, 1]).all()
            assert 4 <= episodes[:, 0].sum() <= 512
    assert all(t.ledger.train_env_steps == 512 * len(t.seeds) for t in study.trials(None, None)), "equal work"


def test_one_program_serves_all_candidates_of_a_teacher(study):
    with Record.open(study.folder.record, readonly=True) as record:
        compiled = record.meta(COMPILED)
    taught = [one["static"].get("teacher") for one in compiled]
    assert sorted(map(str, taught)) == ["None", "TaughtCourse", "TaughtCourse"], "the schedule, uniform, and none"


def test_the_winner_can_be_exported_and_trained_again(study):
    exported = yaml.safe_load(study.export())
    parameters = exported["teacher"]["parameters"]
    assert (exported["teacher"]["name"], parameters["knots"], np.shape(parameters["means"])) == ("schedule", 2, (2, 2))
    assert parameters["uniform"] == study.best["curriculum"]["teacher.schedule.uniform"]
    again = from_mapping(exported)
    assert again.teacher.parameters["means"] == parameters["means"]
    assert "teacher" not in str(exported["learner"])


def test_the_report_shows_the_curriculum_and_what_every_arm_can_do_in_the_end(study):
    page = study.folder.report.read_text()
    assert "<h2>Curriculum</h2>" in page
    for words in (
        "tasks of the trainings on test seeds",
        "learning progress",
        "no teacher: mean",
        "teacher uniform: mean",
    ):
        assert words in page


def test_the_command_line_shows_the_curriculum(study):
    found = CliRunner().invoke(app, ["curriculum", "show", str(study.path), "--trial", "1"])
    assert found.exit_code == 0, found.output
    assert "gate_position" in found.output
    for kind in ("curriculum", "curves", "tasks"):
        (picture,) = study.folder.figures.glob(f"{kind}-method-search-1-0.png")
        assert picture.read_bytes().startswith(b"\x89PNG")
    shown = CliRunner().invoke(app, ["curriculum", "show", str(study.path), "--arm", "teacher:none"])
    assert "without a teacher" in str(shown.exception)


@pytest.mark.parametrize(
    ("learner", "environment"), [("dqn", "contextual:CartPole-v1"), ("sac", "point_mass:gate-2d-visible")]
)
def test_learners_with_a_replay_have_teachers_too(learner, environment, tmp_path):
    sizes = {"hidden_size": 4, "n_layers": 1, "n_envs": 2, "train_freq": 8, "learning_starts": 64}
    found = autorl.run(
        {
            "environment": {"id": environment, "score_range": [0, 500], "tasks": {"held_out": 4}},
            "learner": {"algorithm": learner, "hyperparameters": {**sizes, "buffer_batch_size": 16}},
            "teacher": {"name": "robust_plr", "parameters": {"capacity": 16}},
            "budget": {"env_steps": 1024},
            "seeds": {"test": 2},
            "evaluation": {"episodes": 4, "points": 2},
            "baselines": {"default": False, "random": False, "teachers": ["uniform"]},
        },
        name="taught",
        root=tmp_path,
    )
    for trial in found.trials(None, "test"):
        for lesson in found.lessons(trial):
            assert len(lesson["tasks"]) == 4
            diary = lesson["diary"]
            assert np.array(diary["episodes"])[:, 0].sum() > 0
            assert (np.array(diary["unlearned"]).sum() > 0) == (trial.arm == "method"), "new levels are looked at alone"


def test_exploration_from_cells_finds_what_a_plain_agent_does_not(tmp_path):
    """A sea of 10 x 10: at random, one episode in 1,024 reaches the treasure, and all others say not to dive."""
    found = autorl.run(
        {
            "environment": {"id": "bsuite:DeepSea-10", "score_range": [0, 1]},
            "learner": "ppo",
            "teacher": {"name": "go_explore", "parameters": {"width": 1.0, "capacity": 128}},
            "budget": {"env_steps": 40_000},
            "seeds": {"test": 2},
            "evaluation": {"episodes": 2, "points": 2},
            "baselines": {"default": False, "random": False, "teachers": ["none"]},
        },
        name="cells",
        root=tmp_path,
    )
    scores = {trial.arm: trial.scores[0] for trial in found.trials(None, "test")}
    assert min(scores["method"]) == pytest.approx(0.99)
    assert max(scores["teacher:none"]) < 0.1
    (trial,) = found.trials("method", "test")
    shown = found.curriculum(trial, 0)
    assert [one[0] for one in shown["features"]] == ["from the archive", "steps before the start"]
    restored = np.array(shown["episodes"])[:, 0]
    assert restored[:, -1].sum() / restored.sum() == pytest.approx(0.75, abs=0.05)


def pump(observation, key):
    """Push the car where it goes: it is at the goal after some 120 steps."""
    return jnp.where(observation[1] >= 0, 2, 0).astype(jnp.int32)


@pytest.mark.parametrize("teacher", ["jump_start", "snapshots"])
def test_a_guide_brings_a_student_to_its_states(teacher, tmp_path):
    guide = {"guide": f"{__name__}:pump", "trajectories": 4}
    own = {"fade": 60} if teacher == "snapshots" else {"episodes": 4, "stages": 4, "tolerance": 0.5}
    found = autorl.run(
        {
            "environment": {"id": "contextual:MountainCar-v0", "score_range": [-200, -100]},
            "learner": {"algorithm": "ppo", "hyperparameters": SMALL},
            "teacher": {"name": teacher, "parameters": {**guide, **own}},
            "budget": {"env_steps": 16_384},
            "seeds": {"test": 2},
            "evaluation": {"episodes": 2, "points": 2},
            "baselines": {"default": False, "random": False},
        },
        name="guided",
        root=tmp_path,
    )
    (trial,) = found.trials(None, "test")
    assert all(score is not None for score in trial.scores[0])
    shown = found.curriculum(trial, 0)
    restored = np.array(shown["episodes"])[:, 0]
    first, last = restored[:4].sum(axis=0), restored[-4:].sum(axis=0)
    assert first[-1] > first[0], "at first most episodes start where the guide was"
    if teacher == "snapshots":
        assert last[-1] < 0.2 * last.sum(), "in the end next to none"
    returns = np.array([x for x in np.array(shown["returns"], float)[:, 0, -1] if not np.isnan(x)])
    assert returns.max() > -120, "from there it is not far"
