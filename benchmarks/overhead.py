"""What a search costs beside training: the outer loop, the record, checkpoints and the bookkeeping of evaluation.

    python benchmarks/overhead.py [--json] [--trials 512] [--env-steps 100000]

Two studies of 512 trials: one by TPE as it is by default (the costliest proposals of a study that long), one by PBT (a
checkpoint of the whole population for every generation). Overhead is the wall time of the search less the time inside compiled
programs (training, evaluation) and less compilation; it should be under 5 % of the wall time. Then each method asks and tells
with 10,000 trials already recorded, 10,000 trials are recorded and read, and the package is imported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import autorl
from autorl.engine.devices import start
from autorl.keys import derive
from autorl.outer.methods import METHODS, make_method
from autorl.outer.protocol import Budget, Result, Status
from autorl.spaces import load_space

TOLD = 10_000
BATCH = 8
# a Gaussian process is cubic in its trials: Optuna's own guidance ends at a few hundred, and 10,000 would take hours
GP_TOLD = 200
LIMIT_PERCENT = 5.0


def experiment(method: str, trials: int, env_steps: int) -> dict[str, Any]:
    """Return a study of ``trials`` trials whose whole budget is spent in the search."""
    pbt = method == "pbt"
    return {
        "environment": "gymnax:CartPole-v1",
        "learner": "ppo",
        "search": {
            "space": "ppo_arlbench_pbt" if pbt else "ppo_continuous",
            "method": method,
            "settings": {"population_size": trials // 8, "intervals": 8} if pbt else {},
        },
        "budget": {"trainings": trials // 8 if pbt else trials, "env_steps": env_steps * 8 if pbt else env_steps},
        "baselines": {"random": False, "default": False},
        "evaluation": {"points": 8 if pbt else 5},
    }


def measure_study(method: str, trials: int, env_steps: int) -> dict[str, Any]:
    """Run the search of one study and return its wall seconds and where they went."""
    from autorl.engine.population import PopulationProgram
    from autorl.engine.search import run_search
    from autorl.engine.session import Session, Stopper
    from autorl.studies.record import Record

    inside = {"seconds": 0.0}
    original = PopulationProgram._call

    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        import jax

        began, compiled = time.perf_counter(), self.compile_seconds
        result = jax.block_until_ready(original(self, *args, **kwargs))
        inside["seconds"] += time.perf_counter() - began - (self.compile_seconds - compiled)
        return result

    PopulationProgram._call = timed  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            study = autorl.create(experiment(method, trials, env_steps), root=folder)
            with Record.open(study.folder.record) as record:
                session = Session(study.specification, study.folder, record, start(), stopper=Stopper(""))
                began = time.perf_counter()
                ended = run_search(session, "method", "search")
                wall = time.perf_counter() - began
                compiling = session.trainer.compile_seconds
    finally:
        PopulationProgram._call = original  # type: ignore[method-assign]
    overhead = wall - compiling - inside["seconds"]
    return {
        "trials": len(ended),
        "wall_seconds": wall,
        "program_seconds": inside["seconds"],
        "compile_seconds": compiling,
        "overhead_seconds": overhead,
        "overhead_percent": 100 * overhead / wall,
        "under_limit": overhead / wall < LIMIT_PERCENT / 100,
    }


def measure_ask_tell(name: str) -> dict[str, float]:
    """Time one batch of asking and telling with thousands of trials told."""
    told = GP_TOLD if name == "gp" else TOLD
    space = load_space("ppo_continuous")
    settings = {"population_size": 100, "intervals": told // 100 + 1} if name == "pbt" else {}
    budget = Budget(100 if name == "pbt" else told + 100, 100_000)
    method = make_method(name, space, budget, 0, settings)
    state = method.init()
    began = time.perf_counter()
    number = 0
    while number < told:
        if name in ("es", "pbt", "evolution"):  # told only what they asked for
            proposals = method.ask(state, method.available(state))
        else:  # what was recorded came from somewhere; random candidates are the cheapest to make
            proposals = make_method("random", space, budget, 1, {"batch": told}).ask(method.init(), told)
        state = method.tell(state, [Result(p, Status.COMPLETED, _score(p.number)) for p in proposals])
        number += len(proposals)
    replay = time.perf_counter() - began
    count = min(BATCH, method.available(state))
    method.ask(state, count)  # first call: imports, compilation
    began = time.perf_counter()
    proposals = method.ask(state, count)
    ask = time.perf_counter() - began
    began = time.perf_counter()
    method.tell(state, [Result(p, Status.COMPLETED, 0.0) for p in proposals])
    tell = time.perf_counter() - began
    return {"told": number, "batch": count, "ask_seconds": ask, "tell_seconds": tell, "replay_seconds": replay}


def _score(number: int) -> float:
    return derive(0, "score", number) % 1_000_003 / 1_000_003


def measure_record() -> dict[str, float]:
    """Time the record of a study: 10,000 trials added, read, and finished."""
    from autorl.studies.record import Record
    from autorl.studies.trial import Trial

    space = load_space("ppo_continuous")
    trials = [Trial("method", "search", n, space.sample(n), 1000, seeds=(3, 5)) for n in range(TOLD)]
    ended = [replace(t, status=Status.COMPLETED, score=1.0, scores=((1.0, 1.0),)) for t in trials]
    with tempfile.TemporaryDirectory() as folder, Record.create(Path(folder) / "record.sqlite") as record:
        times = [time.perf_counter()]
        for step in (lambda: record.add(trials), record.trials, lambda: record.finish(ended, told=True)):
            step()
            times.append(time.perf_counter())
    names = ("add_seconds", "read_seconds", "finish_seconds")
    return {"trials": TOLD} | {n: b - a for n, a, b in zip(names, times[:-1], times[1:], strict=True)}


def measure_import(repeats: int = 5) -> float:
    """Return the fewest seconds of ``repeats`` in which a new process imports the package."""
    script = "import time; start = time.perf_counter(); import autorl; print(time.perf_counter() - start)"
    return min(
        float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
        for _ in range(repeats)
    )


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--trials", type=int, default=512)
    parser.add_argument("--env-steps", type=int, default=100_000, help="of each trial")
    parser.add_argument("--skip-studies", action="store_true", help="only time ask and tell")
    arguments = parser.parse_args()
    methods = () if arguments.skip_studies else ("tpe", "pbt")
    studies = {m: measure_study(m, arguments.trials, arguments.env_steps) for m in methods}
    asking = {name: measure_ask_tell(name) for name in METHODS}
    recording, importing = measure_record(), measure_import()
    if arguments.json:
        print(json.dumps({"studies": studies, "ask_tell": asking, "record": recording, "import_seconds": importing}))
        return
    print(
        f"{'study':8}{'trials':>8}{'wall s':>10}{'programs s':>12}{'compile s':>11}{'overhead s':>12}{'overhead':>10}"
        f"  under {LIMIT_PERCENT:.0f} %"
    )
    for name, s in studies.items():
        print(
            f"{name:8}{s['trials']:8.0f}{s['wall_seconds']:10.1f}{s['program_seconds']:12.1f}{s['compile_seconds']:11.1f}"
            f"{s['overhead_seconds']:12.2f}{s['overhead_percent']:9.1f}%"
            f"  {'yes' if s['under_limit'] else 'NO'}"
        )
    print(f"\n{'method':8}{'told':>8}{'batch':>7}{'ask ms':>10}{'tell ms':>10}{'replay s':>10}")
    for name, a in asking.items():
        print(
            f"{name:8}{a['told']:8.0f}{a['batch']:7.0f}{1e3 * a['ask_seconds']:10.1f}{1e3 * a['tell_seconds']:10.1f}"
            f"{a['replay_seconds']:10.2f}"
        )
    spent = ", ".join(f"{n.removesuffix('_seconds')} {s:.2f} s" for n, s in recording.items() if n != "trials")
    print(f"\nrecord, {TOLD:,} trials: {spent}\nimport autorl: {importing:.3f} s")


if __name__ == "__main__":
    main()
