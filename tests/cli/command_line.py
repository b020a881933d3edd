"""Calling the command line: in this process (quick), or as a program of its own (exit codes, terminals, what is imported)."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autorl.cli.app import main

HYPERPARAMETERS = {"n_envs": 2, "n_steps": 16, "minibatch_size": 16, "hidden_size": 8, "n_layers": 1}
SPACE = {
    "dimensions": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "scale": "log"},
        "gamma": {"type": "float", "low": 0.8, "high": 1.0},
    }
}
SEARCHES: dict[str, dict[str, Any]] = {
    "random": {"method": "random", "batch": 2},
    "pbt": {"method": "pbt", "settings": {"population_size": 4, "intervals": 4}},
}


@dataclass(frozen=True)
class Called:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON object and nothing else."""
        return json.loads(self.out)


def experiment(method: str = "random", **changes: Any) -> dict[str, Any]:
    """Return an experiment whose study takes a second or two."""
    return {
        "environment": "probe:observation_action_reward",
        "learner": {"algorithm": "ppo", "hyperparameters": HYPERPARAMETERS},
        "search": {"space": SPACE, **SEARCHES[method]},
        "budget": {"trainings": 4, "env_steps": 256},
        "seeds": {"study": 3, "tuning": 2, "test": 3},
        "evaluation": {"episodes": 4, "points": 2},
        "finalists": 2,
        **changes,
    }


def write(folder: Path, name: str, content: dict[str, Any]) -> Path:
    """Write an experiment as ``NAME.yaml`` (JSON is YAML) and return its path."""
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(content, indent=1))
    return path


def call(*arguments: str | Path) -> Called:
    """Run ``autorl ARGUMENTS`` in this process, exactly as the installed program does."""
    out, err = io.StringIO(), io.StringIO()
    argv, path, code = sys.argv, list(sys.path), 0
    sys.argv = ["autorl", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv, sys.path[:] = argv, path
    return Called(code, out.getvalue(), err.getvalue())


def program(*arguments: str | Path, cwd: Path, **environment: str) -> Called:
    """Run ``autorl ARGUMENTS`` in a process of its own, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "autorl", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Called(done.returncode, done.stdout, done.stderr)


def without_clock(value: Any) -> Any:
    """Return ``value`` without wall and compile seconds."""
    if isinstance(value, dict):
        return {k: without_clock(v) for k, v in value.items() if k not in ("wall_seconds", "compile_seconds")}
    return [without_clock(v) for v in value] if isinstance(value, list) else value
