"""Two finished studies, made once by the command line itself and only read by the tests that share them."""

from pathlib import Path

import command_line
import pytest

import autorl


def _study(folder: Path, name: str, content: dict) -> Path:
    path = command_line.write(folder, name, content)
    done = command_line.call("run", path, "--root", folder / "studies", "--quiet")
    assert done.code == 0, done.err
    return folder / "studies" / name


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Folder of a finished random search; beside its root lies the experiment, tuned.yaml."""
    return _study(tmp_path_factory.mktemp("tuned"), "tuned", command_line.experiment(description="A small one."))


@pytest.fixture(scope="session")
def evolved(tmp_path_factory):
    """Folder of a finished study of population-based training whose winner is a schedule."""
    folder = tmp_path_factory.mktemp("evolved")
    for seed in range(8):  # the winner may be a member that never copied another
        content = command_line.experiment(
            "pbt",
            environment="gymnax:CartPole-v1",
            budget={"trainings": 4, "env_steps": 1024},
            seeds={"study": seed, "tuning": 2, "test": 3},
            baselines={"random": False},
        )
        study = _study(folder, f"evolved-{seed}", content)
        if any(trial.schedule for trial in autorl.load(study).trials("method", "test")):
            return study
    raise AssertionError("no winner of eight studies was a schedule")
