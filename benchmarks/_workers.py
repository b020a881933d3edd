"""Contenders in processes of their own, so that none pays for another's imports, threads or memory.

A contender is a function that prepares (compiles, warms up) and returns another one, which runs once and returns
(env steps, seconds, details). The parent asks for one run after another, so contenders take turns on the same machine.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

WORKER = "AUTORL_BENCHMARK_WORKER"
"""Environment variable with the number of a contender's process, from 0."""
Run = Callable[[], tuple[int, float]]
Setup = Callable[[], tuple[Run, dict[str, Any]]]


def serve(setup: Setup) -> None:
    """Be a contender: answer every line on standard input with one run, as JSON on standard output."""
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing that a library prints may come between
    run, details = setup()
    print(json.dumps(details), file=answers, flush=True)
    for _ in sys.stdin:
        steps, seconds = run()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"steps": steps, "seconds": seconds, "peak_memory_mb": peak}), file=answers, flush=True)


class Contender:
    """One or several processes that run the same thing at the same time, ready when made.

    Args:
        arguments: Of Python.
        processes: How many.
        environment: Variables; those of this process when None.
        pinned: Whether each has a core of its own.
        waiting: Whether one that is done waits for the slowest; if not, their speeds add up.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        processes: int = 1,
        environment: dict[str, str] | None = None,
        pinned: bool = False,
        waiting: bool = True,
    ) -> None:
        self._waiting = waiting
        cores = sorted(os.sched_getaffinity(0))
        self._processes = []
        for i in range(processes):
            started = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**(os.environ if environment is None else environment), WORKER: str(i)},
            )
            self._processes.append(started)
            if pinned:
                os.sched_setaffinity(started.pid, {cores[i % len(cores)]})
        details = [self._answer(process) for process in self._processes]
        self.details = details[0]
        self.peak_memory_mb = 0.0

    def steps_per_second(self) -> float:
        """Run once, all processes together; the slowest counts, unless none waits for it."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("run\n")
            process.stdin.flush()
        answers = [self._answer(process) for process in self._processes]
        self.peak_memory_mb = max(self.peak_memory_mb, sum(a["peak_memory_mb"] for a in answers))
        if not self._waiting:
            return float(sum(a["steps"] / a["seconds"] for a in answers))
        return float(sum(a["steps"] for a in answers) / max(a["seconds"] for a in answers))

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.communicate(timeout=60)

    @staticmethod
    def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"a contender ended early (exit code {process.wait()}); its error stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer
