"""Studies in processes of their own, killed at random instants: tiny agents, so that most of a kill's cost is starting Python."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import autorl
from autorl.errors import StudyError
from autorl.studies.record import Record

WORKING = 2.0
"""Seconds from a study's first recorded trial within which it is killed; about what the whole study takes from there."""

LEARNER = {
    "algorithm": "ppo",
    "hyperparameters": {
        "n_envs": 2,
        "n_steps": 16,
        "minibatch_size": 16,
        "update_epochs": 2,
        "hidden_size": 8,
        "n_layers": 1,
    },
}
SPACE = {
    "dimensions": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
        "gamma": {"type": "float", "low": 0.8, "high": 1.0},
        "update_epochs": {"type": "int", "low": 1, "high": 3},
    }
}
SEARCHES: dict[str, dict[str, Any]] = {
    "random": {"method": "random", "batch": 3},
    "tpe": {"method": "tpe", "batch": 3, "settings": {"n_startup_trials": 4}},
    "es": {"method": "es", "settings": {"algorithm": "CMA_ES", "population_size": 4}},
    "race": {"method": "tpe", "policy": "race", "settings": {"batch": 6, "n_startup_trials": 4}},
    "asha": {"method": "random", "policy": "asha", "settings": {"batch": 3}},
    "pbt": {"method": "pbt", "settings": {"population_size": 4, "intervals": 4}},
    "taught": {"method": "pbt", "settings": {"population_size": 4, "intervals": 4}},
}
CURRICULUM: dict[str, Any] = {
    "environment": {
        "id": "contextual:CartPole-v1",
        "score_range": [0, 500],
        "tasks": {"vary": {"length": None}, "held_out": 4},
    },
    "teacher": {"name": "plr", "parameters": {"capacity": 8, "fill": 0.2}},
}
"""Of the search that is `taught`: what a teacher holds is in every checkpoint, and its parameters evolve."""


def specification(method: str) -> dict[str, Any]:
    """Return an experiment that takes a fraction of a second once its programs are compiled."""
    learner = {
        **LEARNER,
        "hyperparameters": {k: v for k, v in LEARNER["hyperparameters"].items() if k != "update_epochs"},
    }
    taught = method == "taught"
    dimensions = {
        **SPACE["dimensions"],
        **({"teacher.plr.staleness": {"type": "float", "low": 0.0, "high": 1.0}} if taught else {}),
    }
    return {
        **(CURRICULUM if taught else {"environment": "probe:observation_action_reward"}),
        "learner": learner,
        "search": {"space": {"dimensions": dimensions}, **SEARCHES[method]},
        "budget": {"trainings": 4 if SEARCHES[method]["method"] == "pbt" else 12, "env_steps": 512},
        "seeds": {"study": 3, "tuning": 2, "test": 2},
        "evaluation": {"episodes": 4, "points": 5 if "policy" in SEARCHES[method] else 2},
        "finalists": 2,
    }


def write_experiment(folder: Path, method: str) -> Path:
    """Write the experiment of ``method`` and return its path (JSON is YAML)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{method}.yaml"
    path.write_text(json.dumps(specification(method), indent=1))
    return path


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "autorl", *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(*arguments: str, cwd: Path) -> str:
    """Run the command line to its end and return what it printed; a failure shows what it said."""
    process = start(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def kill(process: subprocess.Popen[str], record: Path, after: float, trials_first: bool) -> None:
    """SIGKILL ``process`` ``after`` seconds from its start, or from its first recorded trial."""
    while trials_first and process.poll() is None and not _begun(record):
        time.sleep(0.02)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _begun(record: Path) -> bool:
    try:
        with Record.open(record, readonly=True) as opened:
            return opened.count() > 0
    except StudyError:
        return False  # not there yet


def kill_and_resume(
    cwd: Path, experiment: Path, name: str, after: float, *, trials_first: bool, again: float | None
) -> int:
    """Run ``experiment`` as study ``name``, SIGKILL it, resume it; return its ended trials at the kill (-1: it was no study yet).

    Args:
        cwd: Where.
        experiment: What.
        name: Of the study.
        after: Seconds from the start, or from the first recorded trial if ``trials_first``.
        trials_first: Whether the start-up of Python is left out.
        again: Seconds after which the resuming process is killed as well.
    """
    record = cwd / "studies" / name / "record.sqlite"
    kill(start("run", str(experiment), "--name", name, "--quiet", cwd=cwd), record, after, trials_first)
    if not (cwd / "studies" / name / "study.yaml").exists():
        # killed before it was a study: there is nothing to resume, and running again is what a user would do
        run("run", str(experiment), "--name", f"{name}-again", "--quiet", cwd=cwd)
        return -1
    trials = sum(t.status != "running" for t in autorl.load(cwd / "studies" / name).trials(None, None))
    if again is not None:
        kill(start("resume", name, "--quiet", cwd=cwd), record, again, trials_first=False)
    run("resume", name, "--quiet", cwd=cwd)
    return trials


def outcome(cwd: Path, name: str) -> dict[str, Any]:
    """Return everything that a study found, less the wall clock and its own name."""
    if not (cwd / "studies" / name / "study.yaml").exists():
        name = f"{name}-again"
    held = json.loads(json.dumps(autorl.load(cwd / "studies" / name).summary()))  # what `autorl show --json` prints
    assert held["finished"]
    return without_clock({key: held[key] for key in ("specification", "trials", "best", "result")})


def without_clock(value: Any) -> Any:
    """Return ``value`` without wall and compile seconds."""
    if isinstance(value, dict):
        return {k: without_clock(v) for k, v in value.items() if k not in ("wall_seconds", "compile_seconds")}
    return [without_clock(v) for v in value] if isinstance(value, list) else value


def kill_test(folder: Path, method: str, kills: int, seed: int) -> list[int]:
    """Kill a study of ``method`` ``kills`` times, each in its own run; assert that all end as the uninterrupted one.

    Three kills of four fall while trials are recorded, the fourth anywhere from the start of Python on; every fifth run is
    killed once more while it resumes.

    Returns:
        Trials ended at each kill.
    """
    experiment = write_experiment(folder, method)
    run("run", str(experiment), "--name", "warm", "--quiet", cwd=folder)  # fills the cache of compiled programs
    began = time.monotonic()
    run("run", str(experiment), "--name", "whole", "--quiet", cwd=folder)
    duration = time.monotonic() - began
    whole = outcome(folder, "whole")
    draw, recorded = random.Random(seed), []
    for number in range(kills):
        name, trials_first = f"killed-{number}", number % 4 != 0
        after = draw.uniform(0.0, WORKING if trials_first else duration)
        again = draw.uniform(0.0, duration) if number % 5 == 4 else None
        recorded.append(kill_and_resume(folder, experiment, name, after, trials_first=trials_first, again=again))
        assert outcome(folder, name) == whole, f"{method}: kill {number} changed the study ({recorded[-1]} trials then)"
    return recorded
