"""Ctrl-C is heard while the main thread is busy outside Python, as it is while XLA compiles."""

import os
import signal
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
        "import sys, time; from autorl.cli.heard import heard",
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


def test_what_heard_signals_before_hears_them_after():
    before = signal.set_wakeup_fd(-1)
    try:
        with heard():
            os.kill(os.getpid(), signal.SIGCHLD)
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.set_wakeup_fd(before)


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
