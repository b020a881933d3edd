"""Whatever is wrong: one clear message on standard error, the right exit code, no traceback, nothing left behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call, experiment, program, write

import autorl
from autorl.studies.lock import StudyLock

CORPUS = sorted((Path(__file__).parents[1] / "studies" / "broken_specifications").glob("*.yaml"))
READERS = (("show",), ("show", "--json"), ("resume",), ("report",), ("export",))


def refused(done, code):
    assert done.code == code, done
    assert done.out == "", "a program that reads standard output finds nothing there"
    assert done.err.startswith("error: "), done.err
    assert "Traceback" not in done.err
    return done.err.removeprefix("error: ")


def test_the_corpus_is_there():
    assert len(CORPUS) >= 40


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_broken_specification_is_refused_and_leaves_nothing_behind(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(path, tmp_path)
    message = refused(call("run", path.name, "--json"), 2)
    expected = path.read_bytes().decode("utf-8", "replace").count("# expect ")
    assert message.count(f"{path.name}:") >= expected, "all problems, each with its place"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    "override",
    [
        "budget.trainings=-1",
        "budget.trainigs=3",
        "search.method=annealing",
        "search.space=nowhere",
        "learner=sarsa",
        "environment=gymnax:Tetris",
        "budget.trainings",
        "=3",
        "search.method=pbt",  # over a space whose shapes change
    ],
)
def test_a_wrong_override_is_refused(override, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(call("run", "quickstart", override), 2)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["Upper", "../up", "", "a b", ".hidden", "x" * 65])
def test_a_name_that_is_no_folder_is_refused(name, tmp_path):
    path = write(tmp_path, "small", experiment())
    assert "study name" in refused(call("run", path, "--name", name, "--root", tmp_path / "studies"), 2)
    assert os.listdir(tmp_path) == ["small.yaml"]


def test_usage_of_the_command_line_itself(tmp_path):
    for arguments in ((), ("run",), ("run", "quickstart", "--nmae", "x"), ("rnu",), ("compare",)):
        done = call(*arguments)
        assert done.code == 2, arguments
        assert "Usage: autorl" in done.out + done.err
    assert "No such option: --nmae" in call("run", "quickstart", "--nmae", "x").err


@pytest.mark.parametrize("verb", READERS, ids=" ".join)
def test_a_study_that_does_not_exist(verb, tmp_path, finished):
    root = ("--root", finished.parent)
    assert "Did you mean 'tuned'?" in refused(call(verb[0], "tunde", *verb[1:], *root), 3)
    nothing = refused(call(verb[0], "tuned", *verb[1:], "--root", tmp_path / "none"), 3)
    assert "start one with: autorl run quickstart" in nothing
    assert nothing.count("\n") == 1
    (tmp_path / "empty").mkdir()
    assert "no study.yaml" in refused(call(verb[0], tmp_path / "empty", *verb[1:]), 3)


def damage_record(folder):
    (folder / "record.sqlite").write_bytes(b"\0" * 4096)


def cut_record(folder):
    data = (folder / "record.sqlite").read_bytes()
    (folder / "record.sqlite").write_bytes(data[:5000])


def lose_record(folder):
    (folder / "record.sqlite").unlink()


@pytest.mark.parametrize("verb", READERS, ids=" ".join)
@pytest.mark.parametrize("damage", [damage_record, cut_record, lose_record], ids=lambda f: f.__name__)
def test_a_damaged_record_is_refused(verb, damage, finished, tmp_path):
    study = tmp_path / "copy"
    shutil.copytree(finished, study, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    damage(study)
    message = refused(call(verb[0], study, *verb[1:]), 3)
    assert "record.sqlite" in message
    assert message.count("\n") == 1


def test_a_damaged_specification_or_manifest_is_refused(finished, tmp_path):
    study = tmp_path / "copy"
    shutil.copytree(finished, study)
    (study / "manifest.json").write_text("{")
    assert "manifest.json" in refused(call("report", study), 3)
    (study / "study.yaml").write_text("seeds: {test: many}\n")
    assert "study.yaml:1:15: seeds.test" in refused(call("show", study), 3)


def test_a_locked_study_is_refused_with_its_owner(tmp_path):
    study = autorl.create(experiment(), name="owned", root=tmp_path)
    with StudyLock(study.path):
        message = refused(call("resume", study.path, "--json"), 3)
    assert f"study 'owned' is in use by process {os.getpid()}" in message


@pytest.mark.parametrize("reason", ["EROFS", "EACCES", "ENOSPC"])
def test_a_folder_that_cannot_be_written_is_refused(reason, tmp_path, monkeypatch):
    import errno

    def mkdir(self, *args, **kwargs):
        number = getattr(errno, reason)
        raise OSError(number, os.strerror(number), str(self))

    path = write(tmp_path, "small", experiment())
    monkeypatch.setattr(Path, "mkdir", mkdir)
    message = refused(call("run", path, "--root", tmp_path / "studies"), 3)
    assert message.startswith(f"cannot create a study in '{tmp_path / 'studies'}': ")
    assert os.listdir(tmp_path) == ["small.yaml"]


def test_output_that_cannot_be_written_is_refused(finished, tmp_path):
    assert "cannot write" in refused(call("export", finished, "--output", tmp_path / "no" / "x.yaml"), 3)
    (tmp_path / "file").write_text("")
    path = write(tmp_path, "small", experiment())
    assert "cannot create a study in" in refused(call("run", path, "--root", tmp_path / "file" / "studies"), 3)


def test_what_only_ask_and_tell_can_drive_is_not_run(tmp_path):
    path = write(tmp_path, "own", {**experiment(), "learner": None, "environment": []})
    message = refused(call("run", path, "--root", tmp_path / "studies"), 2)
    assert "only study.ask() and study.tell() can drive it" in message
    assert os.listdir(tmp_path) == ["own.yaml"]


def test_a_missing_optional_package_has_a_code_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)
    path = write(tmp_path, "small", experiment())
    message = refused(call("run", path, "search.method=gp", "search.settings={}", "search.batch=1"), 4)
    assert "torch" in message
    assert "pip install" in message
    assert os.listdir(tmp_path) == ["small.yaml"]


def test_an_environment_of_ones_own_that_breaks_ends_the_study_with_its_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, "small", experiment())
    monkeypatch.setattr("autorl.engine.population.PopulationProgram.train", lambda *a: 1 / 0)
    done = call("run", path, "--quiet")
    assert done.code == 3
    assert (
        done.err
        == "error: every trial of the first batch crashed, so nothing was recorded: ZeroDivisionError: division by zero\n"
    )


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    reader = subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE)
    done = subprocess.run(
        [sys.executable, "-m", "autorl", "list", "--json"], stdout=reader.stdin, stderr=subprocess.PIPE, text=True
    )
    reader.communicate()
    assert (done.returncode, done.stderr) == (0, "")


def test_a_working_directory_that_is_gone(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os, shutil; shutil.rmtree({str(gone)!r}); from autorl.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=gone, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: the working directory does not exist any more; change to another one\n"


def test_the_real_program_says_the_same(tmp_path):
    (tmp_path / "bad.yaml").write_text("lerner: ppo\n")
    done = program("run", "bad.yaml", cwd=tmp_path)
    refused(done, 2)
    assert "bad.yaml:1:1: lerner" in done.err
    refused(program("show", "nothing", cwd=tmp_path), 3)
