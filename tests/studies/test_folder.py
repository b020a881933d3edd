"""A study's folder: fixed places, names that are safe and unique, and help when a name is wrong."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from autorl.errors import StudyError, UnknownNameError, UsageError
from autorl.studies.files import write_text_atomic
from autorl.studies.folder import StudyFolder, list_studies


def make(root: Path, name: str) -> StudyFolder:
    study = StudyFolder.create(root, name)
    study.specification.write_text("learner: ppo\n")
    return study


def test_the_places_of_everything(tmp_path: Path) -> None:
    study = StudyFolder.create(tmp_path / "deep" / "studies", "quickstart")
    assert study.name == "quickstart"
    assert study.checkpoints.is_dir()
    assert study.figures.is_dir()
    places = [study.specification, study.manifest, study.record, study.report, study.optuna, study.lock]
    assert [p.name for p in places] == [
        "study.yaml",
        "manifest.json",
        "record.sqlite",
        "report.html",
        "optuna.log",
        "study.lock",
    ]
    assert all(p.parent == study.path for p in places)
    assert not study.exists
    study.specification.touch()
    assert study.exists


def test_the_default_root_is_studies_below_the_working_directory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = make(Path("studies"), "a")
    assert StudyFolder.create(name="a").path == Path("studies/a-2")
    assert StudyFolder.open("a") == study
    assert [s.name for s in list_studies()] == ["a"]


def test_a_taken_name_gets_a_suffix_and_stays_short_enough(tmp_path: Path) -> None:
    names = [StudyFolder.create(tmp_path, "a").name for _ in range(3)]
    assert names == ["a", "a-2", "a-3"]
    long = "x" * 64
    assert [StudyFolder.create(tmp_path, long).name for _ in range(2)] == [long, "x" * 62 + "-2"]


def test_many_at_once_get_a_folder_each(tmp_path: Path) -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(StudyFolder.create(tmp_path, "s").name)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == sorted(["s", *(f"s-{n}" for n in range(2, 13))])


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", ".hidden", "a b", "x" * 65])
def test_unsafe_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"study name .* is not allowed"):
        StudyFolder.create(tmp_path / "root", name)
    assert not (tmp_path / "root").exists()


def test_a_study_is_opened_by_name_or_path(tmp_path: Path, monkeypatch) -> None:
    study = make(tmp_path / "studies", "quickstart")
    assert StudyFolder.open("quickstart", tmp_path / "studies") == study
    assert StudyFolder.open(study.path) == study
    assert StudyFolder.open(str(study.path), tmp_path / "nowhere") == study
    monkeypatch.chdir(study.path)
    assert StudyFolder.open(".").name == "quickstart"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()  # a folder of that name that is no study does not hide the study
    assert StudyFolder.open("quickstart", "studies").path == Path("studies/quickstart")


def test_a_wrong_name_gets_the_nearest_one(tmp_path: Path) -> None:
    for name in ("quickstart", "pendulum"):
        make(tmp_path, name)
    StudyFolder.create(tmp_path, "unfinished")
    with pytest.raises(UnknownNameError, match=r"no study 'quikstart' in .*\. Did you mean 'quickstart'\?"):
        StudyFolder.open("quikstart", tmp_path)
    with pytest.raises(UnknownNameError, match=r"Known: pendulum, quickstart\."):
        StudyFolder.open("zzz", tmp_path)
    with pytest.raises(UnknownNameError, match=r"none at all yet: start one with: autorl run"):
        StudyFolder.open("../zzz", tmp_path / "missing")
    with pytest.raises(StudyError, match=r"no study: it has no study\.yaml"):
        StudyFolder.open("unfinished", tmp_path)


def test_studies_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        make(tmp_path, name)
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    assert [s.name for s in list_studies(tmp_path)] == ["a", "b", "c"]
    assert list_studies(tmp_path / "missing") == []


def test_a_root_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match="cannot create a study in"):
        StudyFolder.create(tmp_path / "file", "a")


def test_text_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "study.yaml"
    write_text_atomic(path, "é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"

    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.write", full)
        with pytest.raises(
            StudyError, match=r"cannot write .*study\.yaml.*No space left on device\. The disk, .* is full"
        ):
            write_text_atomic(path, "new")
    with pytest.raises(StudyError, match="No such file"):
        write_text_atomic(tmp_path / "missing" / "x", "")
    assert path.read_text(encoding="utf-8") == "é\n"
    assert list(tmp_path.iterdir()) == [path]
    write_text_atomic(path, "x" * 10_000_000)
    assert path.stat().st_size == 10_000_000
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    import os
    import time

    path = tmp_path / "report.html"
    old = time.time() - 2 * 3600
    for name in ("report.html.123-0123abcd.tmp", "report.html.notes.tmp", "other.html.123-0123abcd.tmp"):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (old, old))
    (tmp_path / "report.html.124-0123abcd.tmp").write_text("somebody is writing this now")
    (tmp_path / "report.html.125-0123abcd.tmp").symlink_to(tmp_path / "other.html.123-0123abcd.tmp")
    write_text_atomic(path, "new")
    assert {p.name for p in tmp_path.iterdir()} == {
        "report.html",
        "report.html.notes.tmp",
        "other.html.123-0123abcd.tmp",
        "report.html.124-0123abcd.tmp",
        "report.html.125-0123abcd.tmp",
    }


_WRITER = """
import sys
from pathlib import Path
from autorl.studies.files import write_text_atomic

print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    write_text_atomic(Path(sys.argv[1]), sys.argv[2] * 100_000)
"""


def test_two_processes_may_write_the_same_file(tmp_path: Path) -> None:
    import contextlib
    import subprocess
    import sys

    path = tmp_path / "report.html"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    whole = ("a" * 100_000, "b" * 100_000)
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(
                subprocess.Popen([sys.executable, "-c", _WRITER, str(path), letter], text=True, **pipes)
            )
            for letter in "ab"
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("\n")
            writer.stdin.flush()
        while any(writer.poll() is None for writer in writers):
            if path.exists():
                assert path.read_text() in whole
        for writer in writers:
            _, errors = writer.communicate(timeout=60)
            assert writer.returncode == 0, errors
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() in whole


def test_short_writes_are_continued(tmp_path: Path, monkeypatch) -> None:
    import os

    real = os.write
    monkeypatch.setattr("os.write", lambda descriptor, data: real(descriptor, data[:3]))
    write_text_atomic(tmp_path / "a", "0123456789")
    monkeypatch.undo()
    assert (tmp_path / "a").read_text() == "0123456789"
