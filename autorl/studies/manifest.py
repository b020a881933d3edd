"""The manifest: what a study ran with, so that its numbers can be explained, and repeated, later."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autorl.errors import StudyError
from autorl.studies.exact_json import dump_json
from autorl.studies.files import storage_errors, write_text_atomic

PACKAGES = (
    "autorl",
    "numpy",
    "scipy",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "evosax",
    "optuna",
    "gymnax",
    "networkx",
    "pydantic",
    "PyYAML",
    "typer",
    "rich",
    "matplotlib",
    "torch",
    "gymnasium",
    "stable-baselines3",
    "ray",
)
"""Whose versions may change a number or a figure. Absent ones are left out of the manifest."""
_GIT_SECONDS = 5.0


def manifest(
    *,
    device: Any = None,
    seeds: Any = None,
    command: Sequence[str] | None = None,
    directory: Path | str | None = None,
) -> dict[str, Any]:
    """Return what is known of this process and machine, as JSON. Imports none of the packages it names.

    No user name and no host name is in it, and paths below the home directory start with ``~``.

    Args:
        device: JSON; what the caller computes on (the manifest does not import jax to find out).
        seeds: JSON; the study's seeds.
        command: Default: this process's command line.
        directory: Whose git commit to note, if it is in a repository. Default: the working directory.
    """
    command = list(sys.argv if command is None else command)
    return {
        "autorl": version("autorl"),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := version(name)) is not None},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": device,
        "command": [_without_home(part) for part in command],
        "git": git_state(Path.cwd() if directory is None else Path(directory)),
        "seeds": seeds,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a manifest atomically; raise `StudyError` if the disk is full or ``path`` cannot be written."""
    checked = json.loads(dump_json(dict(content), "manifest"))
    write_text_atomic(path, json.dumps(checked, indent=2, ensure_ascii=False) + "\n")


def read(path: Path) -> dict[str, Any]:
    """Return a manifest; raise `StudyError` if it is missing or damaged."""
    with storage_errors("read", path):
        data = Path(path).read_bytes()
    try:
        content = json.loads(data)
    except ValueError as error:
        raise StudyError(f"{str(path)!r} is damaged: {error}. Restore the study from a copy.") from error
    if not isinstance(content, dict):
        raise StudyError(f"{str(path)!r} is no manifest. Restore the study from a copy.")
    return content


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what may keep a resumed study from giving bit-equal numbers: ``jax: 0.10.1 -> 0.10.2`` ... Empty if nothing.

    Compares Python, machine, processor, device and the versions of the packages.
    """
    found = [
        f"{field}: {before.get(field)} -> {now.get(field)}"
        for field in ("python", "machine", "processor", "device")
        if before.get(field) != now.get(field)
    ]
    old, new = before.get("packages") or {}, now.get("packages") or {}
    found += [
        f"{name}: {old.get(name, 'absent')} -> {new.get(name, 'absent')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    return found


def version(package: str) -> str | None:
    """Return the installed version of ``package``, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_state(directory: Path) -> dict[str, Any] | None:
    """Return {commit, changed} of the repository around ``directory``; None without git, repository or commit."""
    git = shutil.which("git")
    if git is None:
        return None
    commit = _git(git, directory, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    status = _git(git, directory, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "changed": None if status is None else bool(status)}


def _git(git: str, directory: Path, *arguments: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - git itself, with fixed arguments
            [git, "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    """Return the processor's model: equal bits are promised on equal processors only."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _without_home(text: str) -> str:
    home = os.path.expanduser("~")
    return text.replace(home, "~") if len(home) > 1 else text


def note_start(path: Path, devices: Sequence[str]) -> None:
    """Complete the manifest at ``path`` at the first start of its study; at a later one, note what has changed since."""
    held = read(path)
    now = manifest(device=list(devices), seeds=held.get("seeds"))
    if held.get("device") is None:
        write(path, now)
        return
    differences = changes(held, now)
    if differences:
        write(
            path, {**held, "resumed": [*held.get("resumed", []), {"started": now["started"], "changed": differences}]}
        )
