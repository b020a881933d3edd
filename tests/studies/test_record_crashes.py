"""The record under SIGKILL, full disks and missing permissions: what was saved stays, and the message says what to do."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from autorl.errors import StudyError
from autorl.outer.protocol import Status
from autorl.studies.record import Record
from autorl.studies.trial import Trial

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from autorl.outer.protocol import Status
from autorl.studies.record import Record
from autorl.studies.trial import Trial

path = Path(sys.argv[1])
record = Record.open(path) if path.exists() else Record.create(path)
print("open", flush=True)
number = record.count()
while True:
    batch = [Trial("method", "search", number + i, {"x": (number + i) / 7}, 10) for i in range(5)]
    record.add(batch)
    ended = [replace(t, status=Status.COMPLETED, score=t.candidate["x"], message="m" * 2000) for t in batch]
    record.finish(ended[::-1], told=True)
    record.set_meta("batches", number // 5 + 1)
    number += 5
    print(number, flush=True)
"""


def test_sigkill_at_any_instant_leaves_whole_batches(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    draws = random.Random(7)
    acknowledged = 0
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "open\n"
        time.sleep(draws.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        printed = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        acknowledged = max([acknowledged, *map(int, printed)])
        with Record.open(path, readonly=True) as record:  # a reader recovers the log of a killed writer too
            assert record.count() >= acknowledged
        with Record.open(path) as record:
            trials = record.trials()
            ended = [t for t in trials if t.status is Status.COMPLETED]
            left = [t for t in trials if t.status is Status.RUNNING]
            assert [t.number for t in trials] == list(range(len(trials)))
            assert len(ended) % 5 == 0
            assert len(left) in (0, 5)
            assert len(ended) // 5 - 1 <= record.meta("batches", 0) <= len(ended) // 5
            expected = [5 * (told // 5) + 4 - told % 5 for told in range(len(ended))]
            assert [t.number for t in sorted(ended, key=lambda t: t.told)] == expected
            assert all(t.score == t.number / 7 for t in ended)
            if left:  # what a resume does
                record.finish(
                    [replace(t, status=Status.COMPLETED, score=t.candidate["x"]) for t in left[::-1]], told=True
                )
            record.set_meta("batches", len(trials) // 5)  # else two kills between the same two writes would add up
            acknowledged = len(trials)
    assert acknowledged >= 5


def test_a_kill_during_creation_leaves_no_record_or_a_whole_one(tmp_path: Path) -> None:
    script = "import sys; from autorl.studies.record import Record; print('go', flush=True); Record.create(sys.argv[1])"
    for attempt in range(6):
        path = tmp_path / f"{attempt}" / "record.sqlite"
        path.parent.mkdir()
        process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        time.sleep(0.002 * attempt)
        process.kill()
        process.communicate()
        if not path.exists():
            Record.create(path).close()
        with Record.open(path) as record:
            assert record.trials() == []


LIMITED = """
import resource, sys
from autorl.errors import StudyError
from autorl.studies.record import Record
from autorl.studies.trial import Trial

record = Record.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
number = record.count()
try:
    for number in range(number, 100_000):
        record.add([Trial("method", "search", number, {"x": number, "pad": "p" * 3000}, 10)])
except StudyError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert record.count() == number, (record.count(), number)
record.add([Trial("method", "search", number, {"x": number, "pad": "p" * 3000}, 10)])  # goes on once there is space
print(number + 1)
"""


def test_a_full_disk_is_a_clear_error_and_what_was_saved_is_intact(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    Record.create(path).close()
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    message, count = done.stdout.strip().splitlines()
    assert f"cannot add trials to {str(path)!r}" in message
    assert "free some space" in message
    with Record.open(path) as record:
        assert [t.candidate["x"] for t in record.trials()] == list(range(int(count)))
    assert int(count) > 5


FORBIDDEN = """
import os, sys
from pathlib import Path
from autorl.errors import StudyError
from autorl.studies.record import Record
from autorl.studies.trial import Trial

path = Path(sys.argv[1])
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write anywhere
with Record.open(path, readonly=True) as record:  # a study of someone else can be shown
    print(record.count())
for attempt in (lambda: Record.open(path).add([Trial("method", "search", 1, {}, 1)]), lambda: Record.create(path.with_name("new"))):
    try:
        attempt()
    except StudyError as error:
        print(error)
"""


def test_a_folder_that_cannot_be_written_says_so_and_can_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "record.sqlite"
        with Record.create(path) as record:
            record.add([Trial("method", "search", 0, {}, 1)])
        path.chmod(0o444)
        folder.chmod(0o555)
        done = subprocess.run([sys.executable, "-c", FORBIDDEN, str(path)], capture_output=True, text=True, timeout=60)
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    count, adding, creating = done.stdout.strip().splitlines()
    assert count == "1"
    assert str(path) in adding
    assert "Make the file and its folder writable for you" in adding
    assert "cannot create" in creating
    assert "Permission denied" in creating
    assert "Make the folder writable for you" in creating


def test_a_read_only_medium_is_read_without_writing(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "record.sqlite"
    with Record.create(path) as record:
        record.add([Trial("method", "search", 0, {}, 1)])
    before = sorted(p.name for p in tmp_path.iterdir())
    monkeypatch.setattr("autorl.studies.record._writable", lambda folder: False)
    with Record.open(path, readonly=True) as record:
        assert record.count() == 1
        assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_creation_reports_the_operating_system_s_reason(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(StudyError, match=r"cannot create .*missing.*Check"):
        Record.create(tmp_path / "missing" / "record.sqlite")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StudyError, match=r"No space left on device.*free some space"):
        Record.create(tmp_path / "record.sqlite")
    assert not (tmp_path / "record.sqlite").exists()
