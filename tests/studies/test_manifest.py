"""The manifest: versions without imports, no private names, changes between two sessions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from autorl.errors import StudyError
from autorl.studies import manifest

ROOT = Path(__file__).parents[2]


def test_it_holds_what_a_number_depends_on(tmp_path: Path) -> None:
    found = manifest.manifest(
        device={"platform": "cpu", "count": 2}, seeds={"study": 0}, command=["autorl", "run", "x"]
    )
    assert found["packages"]["numpy"] == __import__("numpy").__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["device"] == {"platform": "cpu", "count": 2}
    assert found["seeds"] == {"study": 0}
    assert found["command"] == ["autorl", "run", "x"]
    assert found["cpus"] >= 1
    assert found["processor"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["started"])
    path = tmp_path / "manifest.json"
    manifest.write(path, found)
    assert manifest.read(path) == found
    assert json.loads(path.read_text()) == found


def test_every_dependency_is_noted() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.match(r"[A-Za-z0-9_.-]+", line).group() for line in project["dependencies"]}
    assert needed - {"six"} <= set(manifest.PACKAGES)  # six is there for gymnax's import only; no number depends on it


def test_it_imports_none_of_what_it_names() -> None:
    script = (
        "import sys; from autorl.studies import manifest; found = manifest.manifest(); "
        "print([m for m in ('jax', 'torch', 'optuna', 'matplotlib', 'flax', 'scipy') if m in sys.modules], found['packages']['jax'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("[] ")


def test_no_user_name_nor_home_directory_is_in_it(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("USER", "somebody")
    found = manifest.manifest(command=["/home/somebody/bin/autorl", "run", "--folder=/home/somebody/x"])
    assert found["command"] == ["~/bin/autorl", "run", "--folder=~/x"]
    assert "somebody" not in json.dumps(found)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
    )
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_noted_where_there_is_one(tmp_path: Path) -> None:
    assert manifest.git_state(tmp_path / "missing") is None
    git(tmp_path, "init", "-q")
    assert manifest.git_state(tmp_path) is None
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert manifest.git_state(tmp_path) == {"commit": commit, "changed": False}
    (tmp_path / "a").write_text("2")
    assert manifest.git_state(tmp_path) == {"commit": commit, "changed": True}


def test_without_git_or_with_a_broken_one_there_is_no_commit(tmp_path: Path, monkeypatch) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nexec sleep 5\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(manifest, "_GIT_SECONDS", 0.05)
    assert manifest.git_state(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert manifest.git_state(tmp_path) is None
    assert manifest.manifest()["git"] is None


def test_changes_between_sessions_are_named() -> None:
    before = manifest.manifest(device="cpu", seeds=1)
    now = {**before, "device": "gpu", "seeds": 2, "packages": {**before["packages"], "jax": "9.9", "ray": "1"}}
    now["packages"].pop("optax")
    assert manifest.changes(before, before) == []
    assert manifest.changes(before, now) == [
        "device: cpu -> gpu",
        f"jax: {before['packages']['jax']} -> 9.9",
        f"optax: {before['packages']['optax']} -> absent",
        "ray: absent -> 1",
    ]


def test_damaged_or_missing_manifests_are_named(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with pytest.raises(StudyError, match=r"manifest\.json.*No such file"):
        manifest.read(path)
    for content, message in [(b"{", "is damaged"), (b"\xff", "is damaged"), (b"[]", "is no manifest")]:
        path.write_bytes(content)
        with pytest.raises(StudyError, match=message):
            manifest.read(path)
    with pytest.raises(StudyError, match="manifest cannot be stored as JSON"):
        manifest.write(path, {"x": float("nan")})
    with pytest.raises(StudyError, match="cannot write"):
        manifest.write(tmp_path / "missing" / "m.json", {})
