"""Ctrl-C is heard while the main thread is busy outside Python, as it is while XLA compiles."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from autorl.cli.heard import heard

# OpenSSL works for minutes in one call, lets go of Python's lock, and is interrupted by nothing
BUSY = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 2_000_000_000)"
HEEDS = "time.sleep(60)"


def stopped(body: str, numbers: list[signal.Signals], apart: float) -> tuple[int, str]:
    """Return exit code and standard error of a program that is sent ``numbers`` while it does ``body``."""
    lines = (
        "import signal, sys, time; from autorl.cli.heard import heard",
        # where tests run in the background, it is ignored; studies catch it
        "signal.signal(signal.SIGINT, signal.default_int_handler)",
        "with heard(0.5):",
        "    print('busy', flush=True)",
        f"    {body}",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    for number in numbers:
        time.sleep(apart)
        process.send_signal(number)
    try:
        _, err = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        _, err = process.communicate()
    return process.returncode, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_stop_that_nobody_heeds_ends_the_process(number, code):
    # SIGTERM ends a process that catches nothing: studies catch it
    caught = "import signal; signal.signal(signal.SIGTERM, lambda *_: None); "
    ended, err = stopped(caught + BUSY, [number] * 2, apart=1.0)
    assert ended == code, err
    first, second = err.splitlines()
    assert first == "Stopping after the step under way, which may be compiling. Once more stops at once."
    assert second == "stopped at once; every finished trial is saved"


def test_a_stop_that_is_heeded_goes_unmentioned():
    ended, err = stopped(HEEDS, [signal.SIGINT], apart=0.2)
    assert ended != 0
    assert "KeyboardInterrupt" in err
    assert "Stopping" not in err


def test_two_stops_in_a_row_end_the_process_without_asking_for_another():
    ended, err = stopped("time.sleep(0)\n    " + BUSY, [signal.SIGINT] * 2, apart=0.02)
    assert ended == 130, err
    assert err == "stopped at once; every finished trial is saved\n"


def test_a_terminal_gets_its_cursor_back():
    body = "\n".join(
        (
            "import hashlib, signal",
            "signal.signal(signal.SIGINT, signal.default_int_handler)",
            "from autorl.cli.heard import heard",
            "from autorl.cli.live import Live",
            "with Live(), heard(0.3):",
            "    print('busy', flush=True)",
            f"    {BUSY}",
        )
    )
    terminal, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", body], stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    while b"busy" not in shown:
        shown += os.read(terminal, 1000)
    for _ in range(2):
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # the end of a terminal
        while piece := os.read(terminal, 1000):
            shown += piece
    os.close(terminal)
    assert process.wait(10) == 130
    assert b"stopped at once" in shown
    assert shown.rindex(b"\x1b[?25h") > shown.index(b"\x1b[?25l")


def test_what_heard_signals_before_hears_them_after():
    theirs, pythons = socket.socketpair()
    pythons.setblocking(False)
    theirs.settimeout(5)
    handler = signal.signal(signal.SIGUSR1, lambda *_: None)
    before = signal.set_wakeup_fd(pythons.fileno())
    try:
        with heard():
            os.kill(os.getpid(), signal.SIGUSR1)
        assert signal.set_wakeup_fd(pythons.fileno()) == pythons.fileno()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert theirs.recv(9) == bytes([signal.SIGUSR1]), "the second one only"
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGUSR1, handler)
        theirs.close()
        pythons.close()


@pytest.mark.parametrize(("error", "cleaned"), [("StoppedAtOnce", ""), ("AutoRLError", "cleaned up\n")])
def test_only_what_was_stopped_at_once_leaves_without_clean_up(error, cleaned):
    lines = (
        "import atexit; from autorl.cli import app; from autorl import errors",
        "def ended(**_): print('out'); raise errors." + error + "('why')",
        "app.app = ended; atexit.register(print, 'cleaned up'); app.program()",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.stdout == "out\n" + cleaned
    assert done.stderr.endswith("why\n")
    assert done.returncode == (1 if cleaned else 130)
