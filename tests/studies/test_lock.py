"""One writer a study: a second process is refused by the owner's pid, and a killed owner holds nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autorl.errors import StudyError, StudyLockedError
from autorl.studies.lock import Owner, StudyLock

HOLDER = """
import sys, time
from autorl.studies.lock import StudyLock
with StudyLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""
FORKER = """
import os, sys, time
from autorl.studies.lock import StudyLock
lock = StudyLock(sys.argv[1]).acquire()
child = os.fork()
if child == 0:
    assert not lock.held
    time.sleep(60)
print(child, flush=True)
time.sleep(60)
"""


def start(script: str, folder: Path) -> tuple[subprocess.Popen, str]:
    process = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_with_the_owner_s_pid_and_takes_over_after_sigkill(tmp_path: Path) -> None:
    folder = tmp_path / "quickstart"
    folder.mkdir()
    process, line = start(HOLDER, folder)
    try:
        assert line == "held"
        with pytest.raises(StudyLockedError) as caught:
            StudyLock(folder).acquire()
        message = str(caught.value)
        assert f"study 'quickstart' is in use by process {process.pid} (since " in message
        assert "Wait for it, stop it, or run under another name" in message
        owner = StudyLock(folder).owner()
        assert owner is not None
        assert (owner.pid, owner.host) == (process.pid, socket.gethostname())
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert StudyLock(folder).owner() is None
        with StudyLock(folder) as lock:
            assert lock.held
            assert json.loads(lock.path.read_text())["pid"] == os.getpid()
            owner = StudyLock(folder).owner()
            assert owner is not None
            assert owner.pid == os.getpid()
    finally:
        end(process)
    assert StudyLock(folder).owner() is None


def test_a_child_that_outlives_its_killed_parent_holds_nothing(tmp_path: Path) -> None:
    process, line = start(FORKER, tmp_path)
    child = int(line)
    try:
        with pytest.raises(StudyLockedError):
            StudyLock(tmp_path).acquire()
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives on
        StudyLock(tmp_path).acquire().release()
    finally:
        os.kill(child, signal.SIGKILL)
        end(process)


def test_a_moment_s_look_at_the_owner_does_not_refuse_a_writer(tmp_path: Path, monkeypatch) -> None:
    looker = StudyLock(tmp_path).acquire()
    monkeypatch.setattr(time, "sleep", lambda seconds: looker.release())
    with StudyLock(tmp_path) as lock:
        assert lock.held


def test_two_objects_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    with StudyLock(tmp_path) as lock:
        with pytest.raises(StudyLockedError, match=f"process {os.getpid()}"):
            StudyLock(tmp_path).acquire()
        with pytest.raises(StudyLockedError, match="this very object"):
            lock.acquire()
    assert not lock.held
    lock.release()
    lock.acquire().release()
    with StudyLock(tmp_path).acquire() as again:  # entered once acquired: still one lock
        assert again.held
    assert not again.held


def test_an_unsigned_lock_still_refuses(tmp_path: Path) -> None:
    with StudyLock(tmp_path) as lock:
        for content in ("", "{", "[]", '{"pid": null, "host": 1, "since": 2}', "\xff"):
            lock.path.write_text(content)
            with pytest.raises(StudyLockedError, match="in use by another process"):
                StudyLock(tmp_path).acquire()
            assert StudyLock(tmp_path).owner() is None


def test_an_owner_on_another_host_is_named_with_it() -> None:
    assert (
        str(Owner(12, "node7", "2026-11-21T00:00:00+00:00")) == "process 12 on node7 (since 2026-11-21T00:00:00+00:00)"
    )


def test_what_cannot_be_locked_is_named(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(StudyError, match=r"cannot lock .*missing.*No such file"):
        StudyLock(tmp_path / "missing").acquire()
    assert StudyLock(tmp_path / "missing").owner() is None
    (tmp_path / "study.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StudyError, match="cannot lock"):
        StudyLock(tmp_path).acquire()
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "study.lock").unlink()

    def none(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with pytest.raises(StudyError, match=r"has no file locks .*Keep studies on a local disk"):
        StudyLock(tmp_path).acquire()
