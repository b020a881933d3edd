"""Ctrl-C is heard at once, also while the compiler works, which lets no handler of Python's run for up to a minute.

A study stops between two segments (`autorl.engine.session.Stopper`), and at once when asked a second time. Both wait for the main thread,
and compiling may hold it. Here a thread of its own hears of the signal as it comes: it says that the stop is on its way, and ends the
process if a second one goes unheeded. Nothing is lost by that: a study survives SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

STOPPED_AT_ONCE = "stopped at once; every finished trial is saved"
SECONDS = 2.0
"""How long the main thread has to heed a signal before this thread speaks or acts."""
_STOPS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def heard(seconds: float = SECONDS) -> Iterator[None]:
    """Hear Ctrl-C and SIGTERM in a thread of its own while the block runs; outside the main thread there is nothing to hear."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, pythons = socket.socketpair()
    pythons.setblocking(False)
    before = signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)
    ended = threading.Event()
    thread = threading.Thread(target=_listen, args=(ours, ended, seconds), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        pythons.close()  # the thread reads the end of it
        thread.join()
        ours.close()


def _listen(ours: socket.socket, ended: threading.Event, seconds: float) -> None:
    """Speak after the first stop that is not heeded within ``seconds``, end the process after the second."""
    stops: list[int] = []
    while numbers := ours.recv(64):
        new = [number for number in numbers if number in _STOPS]
        if not new:
            continue
        if ended.wait(seconds):
            return
        if select.select([ours], [], [], 0)[0]:  # pressed again meanwhile
            new += [number for number in ours.recv(64) if number in _STOPS]
        stops += new
        if len(stops) > 1:
            _show_cursor()
            _say(STOPPED_AT_ONCE)
            leave(128 + stops[-1])
        _say("Stopping after the step under way, which may be compiling. Once more stops at once.")


def _show_cursor() -> None:
    """Give a terminal its cursor back, which the moving line hides until it is stopped in the ordinary way."""
    terminal = sys.__stderr__  # rich has put itself in the place of the other
    with contextlib.suppress(OSError, ValueError):
        if terminal is not None and terminal.isatty():
            terminal.write("\r\x1b[2K\x1b[?25h")
            terminal.flush()


def leave(code: int) -> NoReturn:
    """End the process without Python's clean-up, which crashes now and then while XLA's threads compile on."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
        print(sentence, file=sys.stderr, flush=True)
