"""How good is a search method? It searches ARLBench's published landscapes, where a training is a look-up, in seconds.

    python benchmarks/landscapes.py --data FOLDER --method random --trainings 32 --repeats 40
    python benchmarks/landscapes.py --data FOLDER --method tpe --trainings 96 --repeats 10 --json
    python benchmarks/landscapes.py --data FOLDER --method random --policy race --trainings 32 --repeats 40
    python benchmarks/landscapes.py --data FOLDER --method auto --trainings 32 --repeats 40
    python benchmarks/landscapes.py --data FOLDER --method auto --trainings 32 --repeats 40 --no-prior
    python benchmarks/landscapes.py --data FOLDER --method auto --settings '{"prior_fraction": 0.5}' --judge tuning
    python benchmarks/landscapes.py --data FOLDER --fit-prior search_spaces/priors

FOLDER holds one TASK.csv.gz a task (Becktepe et al., 2024): configurations of a Sobol sequence, ten seeds, ten checkpoints of
each training. A proposal is answered by the nearest configuration not yet trained. The search sees seeds 0 to 4; its winner is
scored on seeds 5 to 9: 0 is the average configuration, 1 the best one. A policy of autorl.outer.budget cuts trainings short,
which then cost their share; ``auto`` chooses method and policy itself, with the code that studies use, and draws by a prior learned from
the other tasks of the algorithm (``--unseen``: from the other configurations too; ``--no-prior``: by none). What is printed is the mean
over the tasks, with a 95 % interval over the repeats (Student's t); beside it random search that trains each configuration on three
seeds. ``--judge tuning`` leaves the test seeds out: each tuning seed in turn judges a search on the other four, for choosing settings.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _landscape import TUNING_SEEDS, Landscape, judged_by_tuning
from _landscape_files import load_landscapes
from _landscape_nevergrad import NAME as NGOPT
from _landscape_nevergrad import search_ngopt
from _landscape_policies import search_under
from _landscape_priors import learned_elsewhere, write_priors
from _landscape_rows import Rows
from _landscape_search import Outcome, search

from autorl.errors import AutoRLError, UsageError
from autorl.keys import derive
from autorl.outer.auto import choose
from autorl.outer.budget.policies import make_policy
from autorl.outer.priors import Prior
from autorl.outer.protocol import Budget

BASELINE_SEEDS = 3

Searcher = Callable[[Landscape, int], Outcome]
"""Searches a landscape with a seed."""


def interval(values: Sequence[float]) -> dict[str, float | None]:
    """Return mean and 95 % interval (Student's t) of one value a repeat; no interval for a single one."""
    from scipy.stats import t

    mean, low, high = float(np.mean(values)), None, None
    if len(values) > 1:
        reach = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
        low, high = mean - reach, mean + reach
    return {"score": mean, "low": low, "high": high}


def searched_by_auto(
    landscape: Landscape,
    seed: int,
    trainings: int,
    policy: str | None,
    prior: Prior | None,
    given: Mapping[str, Any] | None = None,
) -> Outcome:
    """Search with the method and the budget policy that ``auto`` stands for on a landscape. It has no default to begin with."""
    made = None if policy is None else make_policy(policy, Budget(trainings, landscape.checkpoints), 1)
    chosen = choose(
        landscape.space, trainings, landscape.checkpoints, policy=made, given=given, prior=prior is not None
    )
    if chosen.policy is None:
        raise UsageError(f"--method auto: {chosen.why}")
    return search_under(
        landscape, chosen.method, chosen.policy, trainings, seed, chosen.policy_settings, chosen.settings, prior
    ).outcome


def measure(
    landscapes: Sequence[Landscape],
    searched: Searcher,
    repeats: int,
    first: int = 0,
    *,
    tuning: bool = False,
    kept: Rows | None = None,
) -> dict[str, Any]:
    """Return score and interval over all tasks and for each, and the trainings that were spent on average.

    The repeats are numbered from ``first``. Repeat r has the same randomness whatever is measured, so two methods can be
    compared repeat by repeat (``repeats``). Those that are ``kept`` are not searched again.
    """
    kept = Rows() if kept is None else kept
    for repeat in range(first, first + repeats):
        if kept.has(repeat, (x.name for x in landscapes)):
            continue
        row: dict[str, tuple[float, float]] = {}
        for landscape in landscapes:
            judged = judged_by_tuning(landscape, repeat % len(TUNING_SEEDS)) if tuning else landscape
            outcome = searched(judged, derive(repeat, landscape.name))
            row[landscape.name] = (outcome.score, outcome.spent)
        kept.keep(repeat, row)
    rows = [kept.found[repeat] for repeat in range(first, first + repeats)]
    scores = np.array([[row[x.name][0] for x in landscapes] for row in rows])
    spent = [row[x.name][1] for row in rows for x in landscapes]
    tasks = {landscape.name: interval(scores[:, i].tolist()) for i, landscape in enumerate(landscapes)}
    means = scores.mean(axis=1).tolist()
    return {**interval(means), "spent": float(np.mean(spent)), "repeats": means, "tasks": tasks}


def text(name: str, found: dict[str, Any]) -> str:
    """Return a line for people."""
    reach = "" if found["low"] is None else f"  95 % interval [{found['low']:.3f}, {found['high']:.3f}]"
    return f"{name:40s} {found['score']:6.3f}{reach}"


def checked(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments; raise `UsageError` where a number makes no sense."""
    most = len(TUNING_SEEDS)
    for name, low, high in (
        ("trainings", BASELINE_SEEDS, None),
        ("repeats", 1, None),
        ("first_repeat", 0, None),
        ("seeds", 1, most),
    ):
        value = getattr(arguments, name)
        if value < low or (high is not None and value > high):
            limit = f"of at least {low}" if high is None else f"from {low} to {high}"
            raise UsageError(f"--{name.replace('_', '-')} {value}: expected a whole number {limit}.")
    if arguments.trainings < arguments.seeds:
        raise UsageError(
            f"--trainings {arguments.trainings}: fewer than the --seeds {arguments.seeds} of a configuration."
        )
    if not arguments.method and not arguments.fit_prior:
        raise UsageError("--method: expected auto or a search method.")
    if arguments.settings and (arguments.method != "auto" or not isinstance(arguments.settings, dict)):
        raise UsageError(f"--settings {arguments.settings}: expected a JSON object, beside --method auto.")
    if (arguments.policy or arguments.method == "auto") and arguments.seeds > 1:
        raise UsageError(f"--seeds {arguments.seeds}: a policy decides on seeds itself. Remedy: leave out --seeds.")
    if arguments.method == NGOPT and (arguments.policy or arguments.seeds > 1):
        raise UsageError(
            f"--method {NGOPT}: it trains every configuration whole, on one seed. Remedy: no --policy, no --seeds."
        )
    return arguments


def prior_of(arguments: argparse.Namespace) -> str:
    """Return what is known beforehand: none, tasks (the others), or unseen (the others, and other configurations)."""
    if arguments.no_prior or arguments.method != "auto":
        return "none"
    return "unseen" if arguments.unseen else "tasks"


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure the method and the baseline."""
    landscapes = load_landscapes(arguments.data, arguments.tasks)
    method, trainings, seeds, known = arguments.method, arguments.trainings, arguments.seeds, prior_of(arguments)
    everything = load_landscapes(arguments.data) if known != "none" and arguments.tasks else landscapes
    everything = [*everything, *(x for x in landscapes if x.name not in {y.name for y in everything})]
    priors: dict[str, Prior | None] = {x.name: None for x in landscapes}
    if known != "none":
        priors = {x.name: learned_elsewhere(everything, x.name, known == "unseen") for x in landscapes}

    def searched(landscape: Landscape, seed: int) -> Outcome:
        if method == "auto":
            return searched_by_auto(
                landscape, seed, trainings, arguments.policy, priors[landscape.name], arguments.settings
            )
        if method == NGOPT:
            return search_ngopt(landscape, trainings, seed)
        if arguments.policy:
            return search_under(landscape, method, arguments.policy, trainings, seed).outcome
        return search(landscape, method, trainings, seeds, seed)

    what = {"method": method, "policy": arguments.policy, "prior": known, "trainings": trainings, "seeds": seeds}
    if arguments.settings:
        what["method"] = f"{method} {json.dumps(arguments.settings, sort_keys=True)}"
    first, tuning = arguments.first_repeat, arguments.judge == "tuning"
    what |= {"judge": arguments.judge}
    kept = Rows.of(arguments.record, what)
    found = measure(landscapes, searched, arguments.repeats, first, tuning=tuning, kept=kept)
    same = {**what, "method": "random", "policy": None, "prior": "none", "seeds": BASELINE_SEEDS}
    baseline = measure(
        landscapes,
        lambda x, seed: search(x, "random", trainings, BASELINE_SEEDS, seed),
        arguments.repeats,
        first,
        tuning=tuning,
        kept=Rows.of(arguments.record, same),
    )
    keys = ("score", "low", "high", "spent")
    return {
        **what,
        **found,
        "baseline": {"method": "random", "seeds": BASELINE_SEEDS, **{k: baseline[k] for k in keys}},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with one TASK.csv.gz a task")
    parser.add_argument("--method", help="auto, ngopt (nevergrad's), or one of autorl.outer.methods")
    parser.add_argument("--no-prior", action="store_true", help="auto: draw by no prior")
    parser.add_argument(
        "--unseen", action="store_true", help="auto: a prior that saw none of the configurations it judges"
    )
    parser.add_argument(
        "--settings", type=json.loads, default={}, help="auto: settings of the method it chooses, as a JSON object"
    )
    parser.add_argument(
        "--judge", choices=("test", "tuning"), default="test", help="seeds that judge: tuning, to choose settings"
    )
    parser.add_argument(
        "--record", type=Path, help="file of finished repeats, one JSON object a line: read, and added to"
    )
    parser.add_argument(
        "--fit-prior", type=Path, metavar="FOLDER", help="write the priors that ship there, and search nothing"
    )
    parser.add_argument("--policy", help="a policy of autorl.outer.budget.policies; whole trainings if not given")
    parser.add_argument("--trainings", type=int, default=32, help="whole trainings granted to a search")
    parser.add_argument("--repeats", type=int, default=40, help="searches of each task")
    parser.add_argument(
        "--first-repeat", type=int, default=0, help="number of the first: choose on others than you report"
    )
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each configuration, on as many tuning seeds")
    parser.add_argument("--tasks", nargs="*", default=[], help="tasks to measure; all but two flawed ones if not given")
    parser.add_argument("--json", action="store_true")
    try:
        arguments = checked(parser.parse_args())
        if arguments.fit_prior:
            print(*write_priors(load_landscapes(arguments.data, arguments.tasks), arguments.fit_prior), sep="\n")
            return
        found = run(arguments)
    except AutoRLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{found['trainings']} trainings, {len(found['tasks'])} tasks, {arguments.repeats} repeats")
    for task, values in found["tasks"].items():
        print("  " + text(task, values))
    how = f"policy {found['policy']}" if found["policy"] else f"{found['seeds']} seeds a configuration"
    if arguments.method == "auto" and not found["policy"]:
        how = f"its own policy, prior: {found['prior']}"
    print(text(f"{found['method']}, {how}", found))
    print(text(f"random, {BASELINE_SEEDS} seeds a configuration", found["baseline"]))


if __name__ == "__main__":
    main()
