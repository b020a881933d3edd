"""Which search method finds the best configuration of a learner? Whole studies, many study seeds, equal work, test seeds apart.

    python benchmarks/learners.py --estimate
    python benchmarks/learners.py                               every method on the three reported problems, 10 study seeds, 33 trainings
    python benchmarks/learners.py --problems cartpole_dqn --methods auto random3 --study-seeds 20 --trainings 96
    python benchmarks/learners.py --only-print [--json]

Unlike on the published landscapes, any configuration of the space can be proposed. A study is one whole search by one method, with the
settings that `autorl run` has; nothing differs between problems. Each may train --trainings times --env-steps steps, counted by the
study's own ledger (column `spent`, in trainings); random search has three seeds a configuration and so a third of the configurations,
every other method begins with one. The incumbent is what the method itself ranks first within that work. It is trained again on ten
test seeds, which decide nothing and are the same for all methods of a study seed; its score is their mean.

Printed: the mean over study seeds with a 95 % bootstrap interval, and the difference to random search, paired by study seed; and over the
problems, whose scores have no common scale, the mean rank of each method.

Settings of `auto` are to be chosen elsewhere: on the problems and study seeds that are not reported,

    python benchmarks/learners.py --choose                      (mountain_car_dqn and acrobot_ppo, study seeds from 0, the variants of auto)

and the one variant whose mean rank is best there is then run once on the reported problems, whose study seeds begin at 100000.

Every finished study is a line of the --record; stop at any time, run the same command again, and it goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _learner_problems import (
    CHOOSING,
    COMPARED,
    METHODS,
    PROBLEMS,
    RANDOM,
    RANDOM_SEEDS,
    REPORTED,
    VARIANTS,
    estimate,
    overrides,
)
from _repeats import keep, opened

from autorl.errors import AutoRLError, UsageError
from autorl.keys import derive, generator

ROOT = Path("studies/learners")
RECORD = Path("benchmarks/learners.record.jsonl")
FIRST_SEED = 100_000
RESAMPLES = 10_000
Line = Mapping[str, Any]


def run_one(problem: str, method: str, trainings: int, env_steps: int, seed: int, test_seeds: int) -> dict[str, Any]:
    """Run, or go on with, one study; return what became of it."""
    name = f"{problem}-{method}-{trainings}-{env_steps}-{test_seeds}-{seed}".replace("_", "-")
    began, used = time.perf_counter(), time.process_time()
    changes = overrides(problem, method, trainings, env_steps, seed, test_seeds)
    study = opened(PROBLEMS[problem].experiment, changes, name, ROOT)
    study.run()
    trials = study.trials("method", None)
    searched = [t for t in trials if t.phase == "search"]
    tested = next((t for t in trials if t.phase == "test"), None)
    scores = [] if tested is None else [score for row in tested.scores for score in row]
    search = study.plain_specification()["search"]
    return {
        "test": [None if score is None else round(score, 4) for score in scores],
        "spent": round(sum(t.ledger.train_env_steps for t in searched) / env_steps, 3),
        "trials": len(searched),
        "failed": sum(t.status.value not in ("completed", "pruned") for t in searched),
        "origins": study.result["origins"],
        "candidate": None if tested is None else dict(tested.candidate),
        "method_used": search["method"],
        "settings_used": search["settings"],
        "wall_seconds": round(time.perf_counter() - began, 1),
        "core_seconds": round(time.process_time() - used, 1),
    }


def read(path: Path, same: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the finished studies of a record with the fields ``same``; a line cut short by a kill is passed over.

    Raises:
        UsageError: A whole line is no study of this benchmark.
    """
    if not path.exists():
        return []
    found = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            own = {key: line[key] for key in (*same, "problem", "method", "seed", "test")}
        except (ValueError, KeyError, TypeError) as error:
            if text.endswith("}"):
                raise UsageError(f"--record {path}: line {number} is no study of this benchmark: {error!r}") from error
            continue
        if all(own[key] == value for key, value in same.items()):
            found.append(line)
    return found


def gather(arguments: argparse.Namespace) -> None:
    """Run the studies that are missing, one after the other, each in a process of its own; all methods of a seed before the next seed."""
    for seed in arguments.seeds:
        for problem in arguments.problems:
            for method in arguments.methods:
                what = work_of(arguments, problem)
                lines = read(arguments.record, {**what, "problem": problem, "method": method, "seed": seed})
                if lines:
                    continue
                given = json.dumps([problem, method, what["trainings"], what["env_steps"], seed, what["test_seeds"]])
                done = subprocess.run(
                    [sys.executable, __file__, "--one", given], stdout=subprocess.PIPE, text=True, check=False
                )
                if done.returncode:
                    raise UsageError(
                        f"{problem}, {method}, study seed {seed} failed; its error stands above. Its study is kept."
                    )
                entry = {**what, "problem": problem, "method": method, "seed": seed, **json.loads(done.stdout)}
                keep(arguments.record, entry)
                if not arguments.json:
                    print(f"{problem} {method} {seed}: {mean_score([entry], entry):.4g}", file=sys.stderr, flush=True)


def work_of(arguments: argparse.Namespace, problem: str) -> dict[str, Any]:
    """Return what tells this comparison from others in one record."""
    env_steps = arguments.env_steps or PROBLEMS[problem].env_steps
    return {"trainings": arguments.trainings, "env_steps": env_steps, "test_seeds": arguments.test_seeds}


def mean_score(lines: Sequence[Line], line: Line) -> float:
    """Return the mean test score of a study; a failed training counts as the worst score of all ``lines``."""
    known = [score for other in lines for score in other["test"] if score is not None]
    worst = min(known, default=0.0)
    return float(np.mean([worst if score is None else score for score in line["test"]] or [worst]))


def bootstrap(values: Sequence[float], name: str) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean, by resampling the values; None for fewer than two."""
    if len(values) < 2:
        return None
    rng = generator(derive(0, "learners", name))
    drawn = rng.choice(np.asarray(values, np.float64), (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def table(lines: Sequence[Line], methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return each method's mean over its studies of one problem, its interval, and its paired difference to random search."""
    scores = {m: {x["seed"]: mean_score(lines, x) for x in lines if x["method"] == m} for m in methods}
    found: dict[str, dict[str, Any]] = {}
    for method, own in scores.items():
        if not own:
            continue
        others = scores.get(RANDOM, {})
        pairs = [own[seed] - others[seed] for seed in sorted(own) if seed in others] if method != RANDOM else []
        mine = [x for x in lines if x["method"] == method]
        found[method] = {
            "studies": len(own),
            "score": float(np.mean(list(own.values()))),
            "interval": bootstrap([own[seed] for seed in sorted(own)], method),
            "difference": float(np.mean(pairs)) if pairs else None,
            "difference_interval": bootstrap(pairs, f"{method} difference"),
            "pairs": len(pairs),
            "won": sum((d > 0) + (d == 0) / 2 for d in pairs),
            "spent": float(np.mean([x["spent"] for x in mine])),
            "core_minutes": float(np.mean([x["core_seconds"] for x in mine])) / 60,
        }
    return found


def ranks(lines: Mapping[str, Sequence[Line]], methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return each method's mean rank (1 the best, equals share) over the study seeds that all problems and methods have finished.

    Args:
        lines: Problem to its finished studies.
        methods: Those that are ranked.
    """
    from scipy.stats import rankdata

    scores = {(p, x["method"], x["seed"]): mean_score(own, x) for p, own in lines.items() for x in own}
    seeds = sorted({seed for _, _, seed in scores})
    whole = [s for s in seeds if all((p, m, s) in scores for p in lines for m in methods)]
    if not whole:
        return {}
    table = np.array([[rankdata([-scores[p, m, s] for m in methods]) for p in lines] for s in whole]).mean(axis=1)
    return {
        m: {"rank": float(own.mean()), "interval": bootstrap(own.tolist(), f"{m} rank"), "studies": len(whole)}
        for m, own in zip(methods, table.T, strict=True)
    }


def shown(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table for people."""

    def reach(bounds: Sequence[float] | None) -> str:
        return "-" if bounds is None else f"[{bounds[0]:.4g}, {bounds[1]:.4g}]"

    rows = [
        (
            "method",
            "studies",
            "test mean",
            "95 % interval",
            f"minus {RANDOM}",
            "95 % interval",
            "won",
            "spent",
            "core min",
        )
    ]
    for method, x in found.items():
        paired = ("-", "-", "-") if x["difference"] is None else (
            f"{x['difference']:+.4g}", reach(x["difference_interval"]), f"{x['won']:g} of {x['pairs']}"
        )  # fmt: skip
        rows.append(
            (
                method,
                str(x["studies"]),
                f"{x['score']:.4g}",
                reach(x["interval"]),
                *paired,
                f"{x['spent']:.1f}",
                f"{x['core_minutes']:.1f}",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def checked(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments, defaults filled in; raise `UsageError` where a number makes no sense."""
    for name, low in (
        ("trainings", 2 * RANDOM_SEEDS),
        ("study_seeds", 1),
        ("test_seeds", 1),
        ("first_seed", 0),
        ("env_steps", 100),
    ):
        value = getattr(arguments, name)
        if value is not None and value < low:
            raise UsageError(f"--{name.replace('_', '-')} {value}: expected a whole number of at least {low}.")
    if arguments.trainings % RANDOM_SEEDS:
        raise UsageError(
            f"--trainings {arguments.trainings}: expected a multiple of {RANDOM_SEEDS}, the seeds of a configuration of random search, "
            "or its work is not equal."
        )
    if arguments.choose and set(arguments.problems or ()) & set(REPORTED):
        raise UsageError(
            f"--choose: not on {', '.join(REPORTED)}, which are for reporting. Remedy: leave out --problems."
        )
    arguments.problems = arguments.problems or list(CHOOSING if arguments.choose else REPORTED)
    arguments.methods = arguments.methods or list((*VARIANTS, RANDOM) if arguments.choose else COMPARED)
    first = arguments.first_seed if arguments.first_seed is not None else 0 if arguments.choose else FIRST_SEED
    if arguments.choose and first + arguments.study_seeds > FIRST_SEED:
        raise UsageError(f"--first-seed {first}: study seeds from {FIRST_SEED} on are for reporting.")
    arguments.seeds = range(first, first + arguments.study_seeds)
    return arguments


def parsed() -> argparse.Namespace:
    """Return the command line's arguments."""
    costs = "; ".join(f"{name} {x.core_minutes:g}" for name, x in PROBLEMS.items())
    cost = f"Core minutes of one study of 32 trainings and ten tests: {costs}. Method gp thinks about a second a proposal besides."
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=cost, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, help=f"by default {', '.join(REPORTED)}")
    parser.add_argument("--methods", nargs="+", choices=METHODS, help=f"by default {', '.join(COMPARED)}")
    parser.add_argument(
        "--trainings", type=int, default=33, help=f"whole trainings granted to a search, a multiple of {RANDOM_SEEDS}"
    )
    parser.add_argument("--env-steps", type=int, help="environment steps of a training; by default the problem's own")
    parser.add_argument("--study-seeds", type=int, default=10, help="studies of each method and problem")
    parser.add_argument("--first-seed", type=int, help=f"the first of them, by default {FIRST_SEED}")
    parser.add_argument("--test-seeds", type=int, default=10, help="trainings of an incumbent that judge it")
    parser.add_argument("--choose", action="store_true", help="compare the variants of auto where nothing is reported")
    parser.add_argument("--record", type=Path, default=RECORD, help="file of finished studies, one JSON object a line")
    parser.add_argument("--estimate", action="store_true", help="print what it would cost, and run nothing")
    parser.add_argument("--only-print", action="store_true", help="run nothing, print what is there")
    parser.add_argument("--remove-studies", action="store_true", help="remove the folders of the studies at the end")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run what is missing, and print."""
    arguments = parsed()
    if arguments.one:
        print(json.dumps(run_one(*json.loads(arguments.one))))
        return
    try:
        arguments = checked(arguments)
        if arguments.estimate:
            minutes = estimate(
                arguments.problems,
                len(arguments.methods),
                len(arguments.seeds),
                arguments.trainings,
                arguments.env_steps,
            )
            print(f"about {minutes:,.0f} core minutes ({minutes / 60:.1f} core hours)")
            return
        if not arguments.only_print:
            gather(arguments)
        found: dict[str, Any] = {}
        judged = {}
        for problem in arguments.problems:
            lines = read(arguments.record, {**work_of(arguments, problem), "problem": problem})
            kept = [line for line in lines if line["seed"] in arguments.seeds and line["method"] in arguments.methods]
            found[problem], judged[problem] = table(kept, arguments.methods), kept
    except AutoRLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if arguments.remove_studies:
        shutil.rmtree(ROOT, ignore_errors=True)
    ranked = ranks(judged, arguments.methods)
    if arguments.json:
        print(json.dumps({**found, "ranks": ranked}))
        return
    for problem, rows in found.items():
        env_steps = work_of(arguments, problem)["env_steps"]
        print(f"\n{problem}: {arguments.trainings} trainings of {env_steps} environment steps")
        print(shown(rows) if rows else "no finished study")
    if ranked:
        print(
            f"\nmean rank of {len(ranked)} methods, over the problems, on {next(iter(ranked.values()))['studies']} study seeds"
        )
        for method, own in sorted(ranked.items(), key=lambda entry: entry[1]["rank"]):
            bounds = "" if own["interval"] is None else "  95 % interval [{:.2f}, {:.2f}]".format(*own["interval"])
            print(f"  {method:24s} {own['rank']:.2f}{bounds}")


if __name__ == "__main__":
    main()
