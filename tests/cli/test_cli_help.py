"""Help, version, completion, schema and doctor: quick, light, and true."""

import json
import os
import re
import resource
import subprocess
import sys

import pytest
from command_line import call, program

import autorl
from autorl import catalogue
from autorl.cli import names
from autorl.cli.app import app
from autorl.studies.specification import json_schema

VERBS = ["run", "resume", "generations", "list", "show", "report", "compare", "export", "schema", "doctor"]
GROUPS = ["import", "prior", "objective", "curriculum"]
HEAVY = {
    "jax",
    "jaxlib",
    "torch",
    "optuna",
    "matplotlib",
    "evosax",
    "gymnax",
    "flax",
    "optax",
    "pandas",
    "scipy",
    "numpy",
}
LIGHT = """
import sys
from autorl.cli.app import main
try:
    main()
finally:
    print("HEAVY", sorted({heavy} & set(sys.modules)), file=sys.stderr)
"""


def test_these_are_all_the_verbs():
    assert [command.name for command in app.registered_commands] == VERBS
    assert [group.name for group in app.registered_groups] == GROUPS


@pytest.mark.parametrize("verb", ["", *VERBS, *GROUPS])
def test_help_is_quick_and_imports_nothing_heavy(verb):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", LIGHT.format(heavy=HEAVY), *([verb] if verb else []), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "80"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "HEAVY []\n"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
    assert done.stdout.startswith("Usage: ")
    assert "``" not in done.stdout, "help is read in a terminal, not as markup"
    assert all(len(text) <= 80 for text in done.stdout.splitlines())
    assert "..." not in done.stdout.replace("]...", "").replace("}...", "").replace("overrides...", "").replace(
        "studies...", ""
    ), "nothing is cut short"
    if not verb:
        assert [w for w in re.findall(r"^  (\w+) ", done.stdout, re.MULTILINE) if w in VERBS] == VERBS


def test_version_and_module():
    done = call("--version")
    assert (done.code, done.out) == (0, f"autorl {autorl.__version__}\n")
    assert program("--version", cwd=os.getcwd()).out == done.out


def test_completion_knows_experiments_and_studies(finished, monkeypatch):
    assert names.complete_experiments("") == list(catalogue.names("experiments"))
    assert names.complete_experiments("quick") == ["quickstart"]
    assert names.complete_experiments("nothing") == []
    monkeypatch.chdir(finished.parent.parent)
    assert names.complete_studies("tu") == ["tuned"]
    assert names.complete_studies("studies/") == ["studies/tuned"]
    assert names.complete_studies("") == ["tuned", "studies/tuned"]


@pytest.mark.parametrize(("words", "found"), [("run quick", "quickstart"), ("show tun", "tuned"), ("expo", "export")])
def test_the_shell_gets_its_completions(words, found, finished):
    request = {
        "_AUTORL_COMPLETE": "complete_bash",
        "COMP_WORDS": f"autorl {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['autorl']; from autorl.cli.app import main; main()"],
        cwd=finished.parent.parent,
        env={**os.environ, **request},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [found]


def test_schema_is_the_one_of_the_specification():
    done = call("schema")
    assert (done.code, done.err) == (0, "")
    assert done.json == json.loads(json.dumps(json_schema()))
    assert {"environment", "learner", "search", "budget"} <= set(done.json["else"]["properties"]), "a study"
    assert {"environment", "learner", "objectives"} <= set(done.json["then"]["properties"]), "a comparison"


def test_doctor_finds_this_installation_well():
    done = call("doctor", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["ok"] is True
    found = {check["check"]: check["what"] for check in done.json["checks"]}
    assert list(found) == ["versions", "extras", "devices", "catalogues", "cache", "record", "disk"]
    assert f"autorl {autorl.__version__}" in found["versions"]
    assert "cpu" in found["devices"]
    assert f"{len(catalogue.names('experiments'))} experiments" in found["catalogues"]
    assert os.environ["AUTORL_CACHE"] in found["cache"]
    assert "yes" in call("doctor").out


def lost_package(monkeypatch):
    monkeypatch.setattr("autorl.studies.manifest.version", lambda name: None if name == "flax" else "1.0")
    return "versions", "not installed: flax"


def lost_catalogue(monkeypatch):
    monkeypatch.setattr("autorl.catalogue.names", lambda kind: {})
    return "catalogues", "shipped catalogues were not found"


def full_disk(monkeypatch):
    usage = type("Usage", (), {"free": 2**29})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    return "disk", "0.5 GB free here"


def broken_devices(monkeypatch):
    def start():
        raise RuntimeError("no backend")

    monkeypatch.setattr("autorl.engine.devices.start", start)
    return "devices", "RuntimeError: no backend"


@pytest.mark.parametrize(
    "breakage", [lost_package, lost_catalogue, full_disk, broken_devices], ids=lambda f: f.__name__
)
def test_doctor_says_what_is_broken_and_exits_with_one(breakage, monkeypatch):
    check, words = breakage(monkeypatch)
    done = call("doctor", "--json")
    assert done.code == 1
    assert done.json["ok"] is False
    bad = [c for c in done.json["checks"] if not c["ok"]]
    assert [c["check"] for c in bad] == [check]
    assert words in bad[0]["what"]
    text = call("doctor")
    assert text.code == 1
    assert re.search(rf"^{check} +NO +.*{re.escape(words)}", text.out, re.MULTILINE)
