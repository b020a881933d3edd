"""How often does a search of a loss-graph experiment find the TD loss? Independent searches, one core each, counted by a strict test.

    python benchmarks/rediscovery.py --experiment rediscover_td --searches 20
    python benchmarks/rediscovery.py --experiment rediscover_td --ablation no_minimum     (see `ABLATIONS`)
    python benchmarks/rediscovery.py --experiment rediscover_td --label random --set search.method=random --set search.settings={}

Which seeds are what: below 1000, settings were chosen on them; 10000 to 10015, a first round, with a hurdle and without the filter for
losses that have a minimum; 20000 and 20001, a second, stopped for a defect; 30000 to 30019, a third; 50000 to 50008, a fourth, stopped
since it could no longer reach its aim; from 70000 on, the settings as they stand. Ablations begin at 40000.
The harder tier (rediscover_td_without_q_action) was looked at on seeds 61 and 62, TD first seen at candidates 2417 and 1301, which set its
budget to 6,000; then it was counted from 70000 on.

Seen (trained by the search), finalist and selected (by the declared objective, on fresh seeds) are counted apart, each with a Wilson
95 % interval. Every search is a study of its own under ``studies/rediscovery`` and every finished one is a line of
``experiments/NAME.searches.jsonl``: stop at any time, run the same command again, and it goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path("studies/rediscovery")
COUNTS = ("seen", "finalist", "selected")
SEEDS, ABLATION_SEEDS = 70_000, 40_000
"""First study seeds of the counted searches, and of the ablations."""


def space_without(**changes: Any) -> str:
    """Return the override that changes fields of the experiment's own space."""
    return f"search.space=@{json.dumps(changes)}"


WEIGHTS = {
    "replace": 2.0,
    "rewire": 2.0,
    "jitter": 0.5,
    "insert": 1.0,
    "grow": 1.0,
    "delete": 2.0,
    "swap": 1.0,
    "slide": 1.0,
}
ABLATIONS: dict[str, list[str]] = {
    "all": [],
    "no_minimum": [space_without(minimum=False)],
    "no_next_values": [space_without(requires=["reward", "action"])],
    "score_alone": ["search.settings.objectives=[score]"],
    "hurdle": ["hurdle={env_steps: 14_400, quantile: 0.5}"],
    "no_slide": [space_without(mutations={k: v for k, v in WEIGHTS.items() if k != "slide"})],
    "no_grow": [space_without(mutations={k: v for k, v in WEIGHTS.items() if k != "grow"})],
    "replace_alone": [space_without(mutations={"replace": 1.0})],
    "pairs": [space_without(sampling="pair")],
    "one_training": ["search.settings.evaluations_per_fingerprint=1"],
    "samples": ["search.settings.mutation_probability=0.95"],
    "population_300": ["search.settings.population_size=300"],
}
"""One factor at a time, against ``all``: 10 searches each with 3,000 candidates."""


def one(experiment: str, name: str, overrides: list[str], core: int | None) -> dict[str, Any]:
    """Run, or go on with, one search in this process; return what it made of TD."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    from autorl import api
    from autorl.analysis.rediscovery import graph_of, rediscovery
    from autorl.objectives.graphs.formula import formula_text

    began = time.perf_counter()
    folder = ROOT / name
    study = api.load(name, root=ROOT) if (folder / "study.yaml").exists() else None
    if study is None:
        study = api.create(experiment, resolved(experiment, overrides), name=name, root=ROOT, to_run=True)
    study.run()
    trials = study.trials(None, None)
    tested = [t for t in trials if t.phase == "test"]
    winner = next((t for t in tested if t.arm == "method"), None)
    found = rediscovery(trials, winner).to_json()
    scores = {t.arm: t.score for t in tested}
    ledger = [t.ledger for t in trials]
    return {
        **found,
        "formula": None if winner is None else formula_text(graph_of(winner)),
        "test_scores": scores,
        "pruned": sum(t.status == "pruned" for t in trials),
        "train_env_steps": sum(entry.train_env_steps for entry in ledger),
        "training_seconds": round(sum(entry.wall_seconds for entry in ledger), 1),
        "last_run_seconds": round(time.perf_counter() - began, 1),
        "last_run_core_seconds": round(time.process_time(), 1),
    }


def resolved(experiment: str, overrides: list[str]) -> list[str]:
    """Return the overrides with changes of the space (``search.space=@...``) as a space written out."""
    from autorl import catalogue
    from autorl.studies.specification import load

    made = []
    for entry in overrides:
        field, _, value = entry.partition("=@")
        if field != "search.space" or not value:
            made.append(entry)
            continue
        search = load(experiment).search
        assert search is not None
        space = yaml.safe_load(catalogue.names("search_spaces")[str(search.space)].read_text())
        made.append(f"search.space={json.dumps({**space, 'graphs': {**space['graphs'], **json.loads(value)}})}")
    return made


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a success rate."""
    from scipy.stats import binomtest

    bounds = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(bounds.low), float(bounds.high)


def summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return counts with intervals, for TD itself and up to the reward's scale, and the median candidate that was TD first."""
    from statistics import median

    searches = len(lines)
    found: dict[str, Any] = {"searches": searches}
    for suffix in ("", "_scaled"):
        for count in COUNTS:
            successes = sum(line[count + suffix] not in (None, False) for line in lines)
            found[count + suffix] = {"count": successes, "of": searches, "interval": wilson(successes, searches)}
    positions = [line["seen"] for line in lines if line["seen"] is not None]
    found["median_first_seen"] = median(positions) if positions else None
    found["trained"] = [line["trained"] for line in lines]
    found["minutes"] = [round(line["training_seconds"] / 60, 2) for line in lines]
    return found


def read(path: Path, label: str) -> list[dict[str, Any]]:
    """Return the finished searches of a label, by seed."""
    if not path.exists():
        return []
    lines = [json.loads(text) for text in path.read_text().splitlines() if text.strip()]
    return sorted((line for line in lines if line["label"] == label), key=lambda line: line["seed"])


def gather(arguments: argparse.Namespace, path: Path) -> None:
    """Run the searches that are missing, as many at a time as there are cores."""
    have = {line["seed"] for line in read(path, arguments.label)}
    due = [s for s in range(arguments.first_seed, arguments.first_seed + arguments.searches) if s not in have]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [None]
    running: dict[int | None, tuple[int, subprocess.Popen[str]]] = {}
    while due or running:
        for core in [c for c in cores if c not in running][: len(due)]:
            seed = due.pop(0)
            running[core] = (seed, _start(arguments, seed, core))
        time.sleep(0.5)
        for core, (seed, process) in list(running.items()):
            if process.poll() is None:
                continue
            del running[core]
            output = process.stdout.read() if process.stdout else ""
            if process.returncode != 0:
                print(f"search of seed {seed} failed; its study is kept, run the command again", file=sys.stderr)
                continue
            line = {"label": arguments.label, "seed": seed, "overrides": arguments.set, **json.loads(output)}
            with path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            if not arguments.json:
                print(
                    f"seed {seed}: {line['formula']}, first seen {line['seen']}",
                    flush=True,
                )


def _start(arguments: argparse.Namespace, seed: int, core: int | None) -> subprocess.Popen[str]:
    name = f"{arguments.experiment}-{arguments.label}-{seed}".lower().replace("_", "-").replace(" ", "-")
    command = [sys.executable, __file__, "--one", name, "--experiment", arguments.experiment]
    command += [f"--core={core}"] if core is not None else []
    for entry in [*arguments.set, f"seeds.study={seed}"]:
        command += ["--set", entry]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def prepare(arguments: argparse.Namespace) -> None:
    """Fill in what an ablation decides, and the defaults."""
    if arguments.ablation:
        arguments.label = f"ablation {arguments.ablation}"
        arguments.set = [*arguments.set, "budget.trainings=3000", *ABLATIONS[arguments.ablation]]
    if arguments.searches is None:
        arguments.searches = 10 if arguments.ablation else 20
    if arguments.first_seed is None:
        arguments.first_seed = ABLATION_SEEDS if arguments.ablation else SEEDS


def main() -> None:
    """Run or gather."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="rediscover_td")
    parser.add_argument("--searches", type=int, help="by default 20, of an ablation 10")
    parser.add_argument("--ablation", choices=ABLATIONS, help="one factor changed, 3,000 candidates")
    parser.add_argument(
        "--first-seed", type=int, help="first study seed; those below 1000 were used to choose settings"
    )
    parser.add_argument("--label", default="main", help="names a variant, such as an ablation")
    parser.add_argument("--set", action="append", default=[], help="change to the experiment, as of autorl run")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only-count", action="store_true", help="run nothing, print what is there")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.experiment, arguments.one, arguments.set, arguments.core)))
        return
    prepare(arguments)
    path = Path("experiments") / f"{arguments.experiment}.searches.jsonl"
    if not arguments.only_count:
        gather(arguments, path)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.searches)
    lines = [line for line in read(path, arguments.label) if line["seed"] in seeds]
    if not lines:
        sys.exit("no finished search")
    found = {"experiment": arguments.experiment, "label": arguments.label, **summary(lines)}
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"\n{arguments.experiment}, {arguments.label}: {found['searches']} searches")
    for suffix, title in (("", "TD"), ("_scaled", "TD, or TD up to the reward's scale")):
        print(title)
        for count in COUNTS:
            entry = found[count + suffix]
            low, high = entry["interval"]
            print(f"  {count:10s} {entry['count']:3d} of {entry['of']:3d}   95 % interval [{low:.2f}, {high:.2f}]")
    print(
        f"median candidate that was TD first: {found['median_first_seen']}; minutes of training a search: {found['minutes']}"
    )


if __name__ == "__main__":
    main()
