"""The package as it is installed: light to import, complete in the wheel, and found from any directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import autorl

ROOT = Path(__file__).parents[1]
CATALOGUES = ("search_spaces", "learned_objectives", "experiments")
HEAVY = ("jax", "flax", "torch", "optuna", "ray", "matplotlib", "pandas", "evosax", "networkx", "scipy", "gymnax")
LIGHT = [
    "autorl",
    "autorl.errors",
    "autorl.catalogue",
    "autorl.spaces",
    "autorl.outer.protocol",
    "autorl.outer.methods",
    "autorl.environments.registry",
    "autorl.inner.algorithms",
    "autorl.studies.checkpoint",
    "autorl.studies.folder",
    "autorl.studies.lock",
    "autorl.studies.manifest",
    "autorl.studies.record",
    "autorl.studies.specification",
    "autorl.cli.app",
]


def run_python(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


@pytest.mark.parametrize("module", LIGHT)
def test_importing_loads_nothing_heavy(module: str) -> None:
    script = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*(m for m in sys.argv[2:] if m in sys.modules))"
    assert run_python(script, module, *HEAVY).split() == []


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_the_same_everywhere() -> None:
    assert autorl.__version__ == project()["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(autorl.__version__)}\]", changelog, re.MULTILINE)


def test_constraints_pin_every_dependency_and_no_place_to_get_it() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins.values()), pins
    pinned = {normal(name) for name in pins}
    needed = [
        *project()["dependencies"],
        *(line for extra in project()["optional-dependencies"].values() for line in extra),
    ]
    names = {normal(re.match(r"[A-Za-z0-9_.-]+", line).group()) for line in needed}
    assert names - UNPINNED <= pinned
    assert names >= UNPINNED, "nothing is excused that is not there"
    assert lines[3:] == sorted(lines[3:], key=lambda line: normal(line.split("==")[0]))


UNPINNED = {"wandb", "mlflow-skinny"}
"""Clients of services: each brings two dozen packages, and follows the version of its server, not ours."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_package_the_catalogues_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    information = f"autorl-{autorl.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"autorl", information}
    assert {f"{information}/licenses/LICENSE", f"{information}/entry_points.txt", "autorl/py.typed"} <= names
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "autorl").rglob("*.py")}
    data = {
        f"autorl/_catalogue/{path.relative_to(ROOT)}"
        for catalogue in CATALOGUES
        for path in (ROOT / catalogue).rglob("*")
        if path.is_file()
    }
    assert all(any(name.startswith(f"autorl/_catalogue/{catalogue}/") for name in data) for catalogue in CATALOGUES)
    assert sources | data | {"autorl/py.typed"} == {name for name in names if name.startswith("autorl/")}


@pytest.mark.slow
def test_the_installed_wheel_works_from_any_directory(wheel: Path, tmp_path: Path) -> None:
    """A fresh environment with the wheel in it; what it depends on is borrowed from this one, to save a download."""
    target = tmp_path / "venv"
    venv.create(target, with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(target), "platbase": str(target)})
    packages = Path(paths["purelib"])
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    python = Path(paths["scripts"]) / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--force-reinstall",
    ]
    done = subprocess.run([*install, "--ignore-installed", str(wheel)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "AUTORL"))}

    def call(*command: str) -> str:
        result = subprocess.run(command, capture_output=True, text=True, cwd=elsewhere, env=environment)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert Path(call(str(python), "-c", "import autorl; print(autorl.__file__)").strip()).is_relative_to(packages)
    program = str(Path(paths["scripts"]) / "autorl")
    assert call(program, "--version").split() == ["autorl", autorl.__version__]
    listed = json.loads(call(program, "list", "--json"))
    for kind, catalogue in (("spaces", "search_spaces"), ("experiments", "experiments")):
        assert {row["name"] for row in listed[kind]} == {path.stem for path in (ROOT / catalogue).glob("*.yaml")}
    assert {"random", "sobol", "tpe", "gp", "es", "pbt"} <= {row["name"] for row in listed["methods"]}
    assert list(elsewhere.iterdir()) == []
