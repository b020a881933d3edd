"""How should a study choose among its finalists? ``auto`` searches ARLBench's published landscapes; seeds that took no part judge.

    python benchmarks/finalists.py --data FOLDER --tasks cc_mountain_car_dqn atari_qbert_dqn --repeats 300
    python benchmarks/finalists.py --data FOLDER --judge tuning --repeats 60 [--json]

A search has what the finalists leave of --trainings. The four finalists that it likes best are trained on fresh seeds, and one of them
is chosen: by the interquartile mean of the fresh ones (``fresh``), or by the mean of these and of the seeds that it raced on in the
search, without the first, which made it a finalist (``pooled``, which is what studies do: `autorl.engine.selection.pooled`; what a
study also has among its finalists, the configuration that it began with, landscapes have not). Beside it the search alone, with the
work of the finalists as well (``search``). The score is the winner's on the judging seeds: 0 the average configuration, 1 the best one
by the mean of the seeds used. Intervals are over searches and ways to split the same ten seeds of the same tasks: other tasks may
differ by more.

Of the ten seeds of a landscape five are the search's, three fresh, two judge, anew in each repeat. That reads every seed: for choosing how
to choose, give tasks on which no other search is measured (``compact_landscape.py`` makes more of ARLBench's record).
``--judge tuning`` has two, two and one of the five tuning seeds instead, so that test seeds are not read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _landscape import TUNING_SEEDS, Landscape
from _landscape_files import load_landscapes
from _landscape_policies import Searched, search_under
from _landscape_priors import learned_elsewhere
from landscapes import interval

from autorl.engine.selection import pick_winner
from autorl.errors import AutoRLError, UsageError
from autorl.keys import derive, generator
from autorl.outer.auto import choose
from autorl.outer.priors import Prior
from autorl.outer.protocol import Status
from autorl.studies.trial import Trial

COUNT = 4
"""Finalists, as in ``experiments/arlbench_*``."""
AVERAGED = 3
"""Last checkpoints whose mean is a finalist's score on a fresh seed: the default of ``evaluation.averaged``."""
SPLITS = {"test": (5, 3, 2), "tuning": (2, 2, 1)}
"""Seeds of the search, fresh ones, judging ones."""


def search(landscape: Landscape, trainings: int, seed: int, prior: Prior) -> Searched:
    """Search as ``auto`` does with so many trainings."""
    chosen = choose(landscape.space, trainings, landscape.checkpoints, prior=True)
    if chosen.policy is None:
        raise UsageError(f"--trainings {trainings}: too few for a budget policy. {chosen.why}")
    return search_under(
        landscape, chosen.method, chosen.policy, trainings, seed, chosen.policy_settings, chosen.settings, prior
    )


def finalists(found: Searched, fresh: Sequence[int]) -> list[Trial]:
    """Return the finalists of a search, trained on the ``fresh`` seeds, best first."""
    runs = tuple(found.runs.values())
    merits = found.joined.policy.merits(runs)
    best = sorted(merits, key=lambda trial: (-merits[trial], trial))[:COUNT]
    return [_finalist(found.work.landscape, n, t, found.configurations[t], fresh) for n, t in enumerate(best)]


def _finalist(landscape: Landscape, number: int, source: int, configuration: int, fresh: Sequence[int]) -> Trial:
    """Return a configuration trained on the ``fresh`` seeds."""
    scores = tuple(float(curve[-AVERAGED:].mean()) for curve in landscape.returns[configuration, list(fresh)])
    candidate = {"configuration": configuration}
    return Trial("method", "finalists", number, candidate, 1, source=source, scores=(scores,), status=Status.COMPLETED)


def compare(landscape: Landscape, repeat: int, trainings: int, judge: str, prior: Prior) -> dict[str, float]:
    """Return the score of what each way of choosing chose, in one repeat."""
    seeds = TUNING_SEEDS if judge == "tuning" else tuple(range(landscape.returns.shape[1]))
    of_search, fresh, judges = SPLITS[judge]
    order = [seeds[i] for i in generator(derive(repeat, landscape.name, "split")).permutation(len(seeds))]
    judging = order[of_search + fresh : of_search + fresh + judges]
    seen = replace(landscape, tuning=tuple(order[:of_search]), test=tuple(judging))
    means = landscape.returns[:, list(seeds), -1].mean(axis=1)

    def score(configuration: int) -> float:
        reached = landscape.returns[configuration, judging, -1].mean()
        return float((reached - means.mean()) / (means.max() - means.mean()))

    seed = derive(repeat, landscape.name)
    alone = search(seen, trainings, seed, prior).outcome.configuration
    less = search(seen, trainings - COUNT * fresh, seed, prior)
    final = finalists(less, order[of_search : of_search + fresh])
    raced = less.joined.policy.raced(tuple(less.runs.values()), AVERAGED)
    picked = {"fresh": pick_winner(final), "pooled": pick_winner(final, searched=raced)}
    scores = {name: score(one.candidate["configuration"]) for name, one in picked.items() if one is not None}
    return {**scores, "search": score(alone)}


def measure(landscapes: Sequence[Landscape], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return score and interval of each way, and the difference to ``fresh``, repeat by repeat."""
    everything = load_landscapes(arguments.data)
    others = {x.name: [y for y in everything if y.name != x.name] for x in landscapes}
    priors = {x.name: learned_elsewhere([*others[x.name], x], x.name) for x in landscapes}
    rows = [
        [compare(x, repeat, arguments.trainings, arguments.judge, priors[x.name]) for x in landscapes]
        for repeat in range(arguments.first_repeat, arguments.first_repeat + arguments.repeats)
    ]
    table = {way: np.array([[row[way] for row in each] for each in rows]) for way in rows[0][0]}
    found: dict[str, Any] = {}
    for way, scores in table.items():
        gained = interval((scores - table["fresh"]).mean(axis=1).tolist())
        tasks = {x.name: float(scores[:, i].mean()) for i, x in enumerate(landscapes)}
        found[way] = {**interval(scores.mean(axis=1).tolist()), "over_fresh": gained, "tasks": tasks}
    return found


def text(way: str, found: Mapping[str, Any]) -> str:
    """Return a line for people."""
    gained = found["over_fresh"]
    reach = "" if found["low"] is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
    beyond = "" if gained["low"] is None else f" [{gained['low']:+.3f}, {gained['high']:+.3f}]"
    return f"  {way:8s} {found['score']:.3f}{reach}   over fresh {gained['score']:+.3f}{beyond}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with one TASK.csv.gz a task")
    parser.add_argument("--tasks", nargs="*", default=[], help="tasks to measure; all but two flawed ones if not given")
    parser.add_argument("--judge", choices=SPLITS, default="test", help="seeds that are used: all, or the tuning seeds")
    parser.add_argument("--trainings", type=int, default=96, help="whole trainings, the finalists' among them")
    parser.add_argument("--repeats", type=int, default=40, help="searches of each task")
    parser.add_argument("--first-repeat", type=int, default=0, help="number of the first")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        least = COUNT * SPLITS[arguments.judge][1] + COUNT
        if arguments.trainings < least or arguments.repeats < 1:
            raise UsageError(
                f"--trainings {arguments.trainings}, --repeats {arguments.repeats}: expected at least {least} and 1."
            )
        landscapes = load_landscapes(arguments.data, arguments.tasks)
        found = measure(landscapes, arguments)
    except AutoRLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{arguments.trainings} trainings, {len(landscapes)} tasks, {arguments.repeats} repeats, 95 % intervals")
    for way, values in found.items():
        print(text(way, values))


if __name__ == "__main__":
    main()
