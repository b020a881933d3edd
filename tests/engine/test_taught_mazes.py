"""The study of teachers in mazes, tiny: every teacher plays levels, all of the same work, and what it looks at is on its ledger."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import autorl
from autorl.analysis.gallery import gallery_of
from autorl.cli.app import app
from autorl.studies.specification import load

SMALL = {"n_envs": 4, "n_steps": 128, "minibatch_size": 256, "update_epochs": 1, "hidden_size": 8, "n_layers": 1}
OVERRIDES = {
    "budget.env_steps": 4096,
    "seeds.test": 2,
    "environment.tasks.held_out": 10,
    "evaluation.episodes": 20,
    "teacher.parameters": {"candidates": 4, "kept": 2, "visits": 1, "period": 4},
    **{f"learner.hyperparameters.{name}": value for name, value in SMALL.items()},
}


def test_the_experiment_asks_for_six_teachers_and_a_thousand_mazes():
    found = load("teacher_mazes")
    teachers = {found.teacher.name, *(one.name for one in found.baselines.teachers)}
    assert teachers == {"uniform", "plr", "robust_plr", "accel", "sfl", "arms"}
    (environment,) = found.environments
    assert (environment.id, environment.tasks.held_out, found.budget.env_steps) == ("maze:9x9", 1000, 10_000_000)
    assert found.learner.hyperparameters["greedy_evaluation"] is False


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    overrides = {**OVERRIDES, "baselines.teachers": ["uniform", "plr"]}
    return autorl.run("teacher_mazes", overrides, name="mazes", root=tmp_path_factory.mktemp("studies"))


@pytest.mark.slow
def test_the_command_line_draws_a_gallery_of_levels(study):
    for arm, rows in (("teacher:plr", 7), ("teacher:uniform", 5)):
        shown = CliRunner().invoke(app, ["curriculum", "show", str(study.path), "--arm", arm])
        assert shown.exit_code == 0, shown.output
        (path,) = study.folder.figures.glob(f"levels-{arm.replace(':', '-')}-test-0-0.png")
        assert str(path) in shown.output
        assert path.read_bytes().startswith(b"\x89PNG")
        (trial,) = study.trials(arm, "test")
        gallery = gallery_of(study.specification, study.lessons(trial), 0)
        assert len(gallery) == rows, "five parts of the training; of a teacher that holds levels, two rows of these"
        assert all(sorted(set(one["text"]) & set("G>v<^#.\n")) for row in gallery for one in row["levels"])
        assert 1 <= max(len(row["levels"]) for row in gallery) <= 6
    told = json.loads(CliRunner().invoke(app, ["curriculum", "show", str(study.path), "--json"]).output)
    assert {"title", "levels"} == set(told["environments"]["maze:9x9"]["levels"][0])


@pytest.mark.slow
def test_levels_that_are_only_looked_at_are_on_the_ledger(study):
    tested = {t.arm: t for t in study.trials(None, "test")}
    assert {t.ledger.train_env_steps for t in tested.values()} == {2 * 4096}, (
        "equal env steps, SFL's evaluations among them"
    )
    unlearned = {
        arm: sum(int(np.sum(lesson["diary"]["unlearned"])) for lesson in study.lessons(t)) for arm, t in tested.items()
    }
    assert unlearned["teacher:uniform"] == 0
    assert 0 < unlearned["method"] < 2 * 4096
    assert study.result["held_out"]["method"]["teacher_env_steps"] == unlearned["method"] / 2
    assert all(one["tasks"] == 10 for one in study.result["held_out"].values())
    assert set(study.result["held_out"]["method"]["success"]) == {"mean", "iqm", "cvar"}
