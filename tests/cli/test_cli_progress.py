"""Live progress: a moving line in a terminal, plain lines now and then elsewhere, nothing where it would be in the way."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from dataclasses import replace

import pytest
from command_line import experiment, write

import autorl
from autorl.cli import live
from autorl.cli.live import Live, duration, line, short_line
from autorl.engine.progress import Event, Meter, ReporterError

EVENT = Event("search", 12, 32, 2, 484.25, 1_234_567, 3_200_000, 123_456.7, 16.2)
WIDEST = Event("random baseline", 1000, 1024, 200, -123.456789, 10**9, 10**10, 1_234_567.0, 8000.0, "compiling")


def test_a_line_says_everything_with_units():
    assert line(EVENT) == (
        "search: 12/32 trials, 2 failed | best 484.2 | 1,234,567 of 3,200,000 env steps | 123,457 env steps/s | 16 s left"
    )
    first = Event("search", 0, 32, 0, None, 0, 3_200_000, 0.0, None, "compiling")
    assert line(first) == "search: 0/32 trials | 0 of 3,200,000 env steps | compiling"
    assert line(replace(EVENT, trials=32, failures=0)).endswith("| 123,457 env steps/s"), "nothing is left"


def test_a_search_under_a_policy_says_where_its_best_is_and_what_is_left_though_all_trials_have_begun():
    cut = replace(EVENT, trials=32, reached=0.6)
    assert "| best 484.2 at 60% of the steps |" in line(cut)
    assert line(cut).endswith("| 16 s left")
    assert "| best 484.2 |" in line(replace(cut, reached=1.0))


def test_test_scores_are_never_shown_on_the_way():
    assert "484" not in line(replace(EVENT, phase="test"))


def test_a_moving_line_fits_its_terminal():
    assert short_line(EVENT, 80) == "search: 12/32 trials, 2 failed | best 484.2 | 123k env steps/s | 16 s left"
    assert short_line(WIDEST, 200) == (
        "random baseline: 1000/1024 trials, 200 failed | best -123.5 | 1.23M env steps/s | 2 h 13 min left | compiling"
    )
    assert short_line(WIDEST, 90).endswith("| best -123.5 | 2 h 13 min left | compiling")
    for width in (80, 60, 50):
        text = short_line(WIDEST, width)
        assert len(text) <= width
        assert text.startswith("random baseline: 1000/1024 trials, 200 failed")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.6, "1 s"), (89, "89 s"), (91, "2 min"), (5340, "89 min"), (5400, "1 h 30 min"), (7199, "2 h 0 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.fixture
def clock(monkeypatch):
    """The time as `Live` sees it, which tests move by hand."""
    now = [1000.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    return now


def test_plain_lines_come_every_few_seconds_and_at_the_end_of_a_phase(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Live() as show:
        for tenth in range(120):
            clock[0] = 1000.0 + tenth / 10
            show(replace(EVENT, trials=tenth))
        show(replace(EVENT, phase="finalists", trials=1))
        show(replace(EVENT, phase="test", trials=3, trials_total=3))
    heads = [text.split(",")[0] for text in sys.stderr.getvalue().splitlines()]
    assert heads == [
        "search: 0/32 trials",
        "search: 50/32 trials",
        "search: 100/32 trials",
        "search: 119/32 trials",
        "finalists: 1/32 trials",
        "test: 3/3 trials",
    ]


def test_quiet_writes_nothing(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Live(quiet=True) as show:
        show(EVENT)
        clock[0] += 100
        show(EVENT)
    assert sys.stderr.getvalue() == ""


class Broken(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError


def test_a_closed_standard_error_stops_no_study(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Broken())
    with Live() as show:
        show(EVENT)
        show(replace(EVENT, phase="test"))


def test_a_reporter_that_fails_is_no_failure_of_a_trial(tmp_path):
    def report(event):
        if event.env_steps:
            raise ValueError("mine")

    with pytest.raises(ReporterError, match=r"progress reporter failed \(ValueError: mine\)"):
        autorl.run(experiment(), name="watched", root=tmp_path, report=report)
    study = autorl.load("watched", root=tmp_path)
    assert {str(t.status) for t in study.trials()} <= {"running", "completed"}


def test_the_wait_for_the_compiler_is_no_speed(monkeypatch):
    now, seen = [0.0], []
    monkeypatch.setattr("autorl.engine.progress.time.perf_counter", lambda: now[0])
    meter = Meter("search", 10, 10_000, seen.append)
    for now[0] in (60.0, 61.0, 62.0):
        meter.stepped(1000)
    assert [round(e.env_steps_per_second) for e in seen] == [17, 1000, 1000]
    assert [e.eta_seconds for e in seen] == [None, 8.0, 7.0]


def in_terminal(*arguments, cwd, columns=80, term="xterm"):
    """Run the program under a pseudo-terminal of 80 columns and return (exit code, everything that it wrote)."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "autorl", *map(str, arguments)],
        cwd=cwd,
        env={**environment, "TERM": term},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    written = b""
    while True:
        ready, _, _ = select.select([leader], [], [], 120)
        assert ready, f"nothing written for two minutes after {written!r}"
        try:
            data = os.read(leader, 65536)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not data:
            break
        written += data
    os.close(leader)
    return process.wait(60), written.decode()


CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_a_terminal_gets_one_line_that_moves_and_then_the_result(tmp_path):
    write(tmp_path, "small", experiment())
    code, written = in_terminal("run", "small.yaml", "budget.env_steps=8000", cwd=tmp_path)
    assert code == 0
    assert "\x1b[2K" in written, "a line is erased before it is written anew"
    assert written.count("\x1b[1A") == 1, "it never takes more than one row; at the end the cursor goes back into it"
    assert "\x1b[?25l" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l"), "the cursor is given back"
    plain = CONTROL.sub("", written)
    assert "\u2501" in plain, "a bar"
    lines = [part for text in plain.splitlines() for part in text.split("\r") if part.strip()]
    assert all(len(text) <= 80 for text in lines if text.startswith("\u2501"))
    standing = [text for text in lines if re.match(r"(search|finalists|test): \d+/\d+ trials \|", text)]
    for phase in ("search: 4/4", "finalists: 2/2", "test: 2/2"):
        assert any(text.startswith(phase) for text in standing), phase
    stale = re.search(r"trials \|[^\r\n]*\r\n(?:\x1b\[[0-9;]*m)*\u2501", written)
    assert stale is None, "the bar of a phase that has ended is not drawn again below its last line"
    assert any(text.strip().startswith("PPO tuned by random search") for text in lines)
    table = plain[plain.index("Result on test seeds") : plain.index("Winner")]
    assert "configuration" in table, "words are never broken in the middle"


@pytest.mark.parametrize("quiet", ["--quiet", "--json"])
def test_even_a_terminal_gets_no_progress_it_did_not_want(quiet, finished):
    code, written = in_terminal("resume", finished, quiet, cwd=finished.parent)
    assert code == 0
    assert "\x1b[?25l" not in written
    assert written.startswith("{" if quiet == "--json" else "PPO tuned by")


def test_a_dumb_terminal_gets_plain_lines(clock, monkeypatch):
    class Dumb(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Dumb())
    monkeypatch.setenv("TERM", "dumb")
    with Live() as show:
        show(EVENT)
    assert sys.stderr.getvalue() == line(EVENT) + "\n"
