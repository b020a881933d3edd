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

A line says which versions made it and has a hash of the whole specification but for its seed. What was begun with another specification
under the same label and seed is not gone on with, and lines of different specifications are never counted together; older lines have no
hash and are a group of their own. Exit code 1: fewer searches have ended than were asked for.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from _repeats import keep

HERE = Path(__file__).resolve().parents[1]
"""Whatever the working directory: what was begun is found again."""
ROOT = HERE / "studies/rediscovery"
RECORDS = HERE / "experiments"
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
    "score_alone_without_penalty": ["search.settings.objectives=[score]", "search.settings.penalty=0"],
    "hurdle": ["hurdle={env_steps: 14_400, quantile: 0.5}"],
    "no_slide": [space_without(mutations={k: v for k, v in WEIGHTS.items() if k != "slide"})],
    "no_grow": [space_without(mutations={k: v for k, v in WEIGHTS.items() if k != "grow"})],
    "replace_alone": [space_without(mutations={"replace": 1.0})],
    "pairs": [space_without(sampling="pair")],
    "one_training": ["search.settings.evaluations_per_fingerprint=1"],
    "samples": ["search.settings.mutation_probability=0.95"],
    "population_300": ["search.settings.population_size=300"],
}
"""One factor at a time, against ``all``: 10 searches each with 3,000 candidates.

But ``score_alone`` changes more than that size is no objective: the preset's penalty (0.01 for each part) is active then, members
survive by age instead of by rank, and no smaller form of a known behaviour is trained once more.
``score_alone_without_penalty`` leaves the penalty out; the other two come with a single objective.
"""


def one(experiment: str, name: str, overrides: list[str], core: int | None) -> dict[str, Any]:
    """Run, or go on with, one search in this process; return what it made of TD."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    from autorl import api
    from autorl.analysis.proposals import proposals_of
    from autorl.analysis.rediscovery import graph_of, rediscovery
    from autorl.objectives.graphs.formula import formula_text

    began = time.perf_counter()
    folder, wanted = ROOT / name, specification_hash(experiment, overrides)
    study = api.load(name, root=ROOT) if (folder / "study.yaml").exists() else None
    if study is None:
        study = api.create(experiment, resolved(experiment, overrides), name=name, root=ROOT, to_run=True)
    elif hash_of(study.plain_specification()) != wanted:
        sys.exit(f"{folder}: begun with another specification. Remedy: another --label, or remove the folder")
    study.run()
    trials = study.trials(None, None)
    tested = [t for t in trials if t.phase == "test"]
    winner = next((t for t in tested if t.arm == "method"), None)
    found = rediscovery(trials, winner).to_json()
    scores = {t.arm: t.score for t in tested}
    ledger = [t.ledger for t in trials]
    return {
        **found,
        "specification": wanted,
        **provenance(),
        "proposals": proposals_of(study.folder.record).get("method"),
        "behaviours": behaviours(study, trials),
        "formula": None if winner is None else formula_text(graph_of(winner)),
        "test_scores": scores,
        "pruned": sum(t.status == "pruned" for t in trials),
        "train_env_steps": sum(entry.train_env_steps for entry in ledger),
        "training_seconds": round(sum(entry.wall_seconds for entry in ledger), 1),
        "last_run_seconds": round(time.perf_counter() - began, 1),
        "last_run_core_seconds": round(time.process_time(), 1),
    }


def behaviours(study: Any, trials: Sequence[Any]) -> int:
    """Return how many different behaviours the search trained: random search draws some programs again and again."""
    from autorl.spaces.screening import screen

    space = study.space
    trained = [space.from_json(t.candidate) for t in trials if (t.arm, t.phase) == ("method", "search")]
    return len({fingerprint for fingerprint, _ in screen(space, trained)})


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


def hash_of(plain: dict[str, Any]) -> str:
    """Return 16 hexadecimal digits for a resolved specification: all of it but its name and study seed, its space written out."""
    from autorl import catalogue

    kept = {key: value for key, value in plain.items() if key not in ("name", "description", "expected")}
    kept["seeds"] = {key: value for key, value in (kept.get("seeds") or {}).items() if key != "study"}
    space = (kept.get("search") or {}).get("space")
    if isinstance(space, str):
        kept["search"] = {
            **kept["search"],
            "space": yaml.safe_load(catalogue.names("search_spaces")[space].read_text()),
        }
    text = json.dumps(kept, sort_keys=True, default=list)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def specification_hash(experiment: str, overrides: list[str]) -> str:
    """Return `hash_of` the experiment with ``overrides``, as a study of it would have it."""
    from autorl.studies.specification import load, to_mapping

    return hash_of(to_mapping(load(experiment, resolved(experiment, overrides), references=False)))


def provenance() -> dict[str, Any]:
    """Return what made a line: versions, commit if there is one, and when."""
    from autorl.studies.manifest import git_state, version

    return {
        "versions": {"autorl": version("autorl"), "jax": version("jax")},
        "commit": git_state(HERE),
        "date": datetime.now(UTC).date().isoformat(),
    }


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a success rate."""
    from scipy.stats import binomtest

    bounds = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(bounds.low), float(bounds.high)


def summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return counts with intervals, for TD itself and up to the reward's scale, and the median candidate that was TD first."""
    searches = len(lines)
    found: dict[str, Any] = {"searches": searches}
    for suffix in ("", "_scaled"):
        for count in COUNTS:
            successes = sum(line[count + suffix] not in (None, False) for line in lines)
            found[count + suffix] = {"count": successes, "of": searches, "interval": wilson(successes, searches)}
    positions = [line["seen"] for line in lines if line["seen"] is not None]
    found["median_first_seen"] = median(positions) if positions else None
    found["trained"] = [line["trained"] for line in lines]
    counted = [
        own for line in lines if (own := line.get("proposals")) and own["duplicates"]
    ]  # random search passes nothing over
    found["hit_rates"] = [own["hit_rate"] for own in counted]
    found["behaviours"] = [line["behaviours"] for line in lines if "behaviours" in line]
    found["core_minutes"] = [round(s / 60, 1) for line in lines if (s := line.get("last_run_core_seconds"))]
    found["minutes"] = [round(line["training_seconds"] / 60, 2) for line in lines]
    return found


def groups(lines: list[dict[str, Any]]) -> dict[str | None, list[dict[str, Any]]]:
    """Return the lines by the hash of their specification; None for those of before there was one."""
    found: dict[str | None, list[dict[str, Any]]] = {}
    for line in lines:
        found.setdefault(line.get("specification"), []).append(line)
    return found


def refuse_others(lines: list[dict[str, Any]], wanted: str, label: str) -> None:
    """Exit if a search among ``lines`` was of another specification than the one that is ``wanted``."""
    others = [line for line in lines if line.get("specification", wanted) != wanted]
    if others:
        seeds = ", ".join(str(line["seed"]) for line in others)
        sys.exit(
            f"label {label!r}, seeds {seeds}: recorded with specification {others[0]['specification']}, but this is {wanted}. "
            "Remedy: another --label, other seeds, or --only-count"
        )


def read(path: Path, label: str) -> list[dict[str, Any]]:
    """Return the finished searches of a label, by seed."""
    if not path.exists():
        return []
    lines = [json.loads(text) for text in path.read_text().splitlines() if text.strip()]
    return sorted((line for line in lines if line["label"] == label), key=lambda line: line["seed"])


def gather(arguments: argparse.Namespace, path: Path) -> None:
    """Run the searches that are missing, as many at a time as there are cores."""
    asked = range(arguments.first_seed, arguments.first_seed + arguments.searches)
    known = [line for line in read(path, arguments.label) if line["seed"] in asked]
    refuse_others(known, specification_hash(arguments.experiment, arguments.set), arguments.label)
    due = [seed for seed in asked if seed not in {line["seed"] for line in known}]
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
            keep(path, line)
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
    path = RECORDS / f"{arguments.experiment}.searches.jsonl"
    if not arguments.only_count:
        gather(arguments, path)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.searches)
    lines = [line for line in read(path, arguments.label) if line["seed"] in seeds]
    if not lines:
        sys.exit("no finished search")
    told = report(arguments, lines)
    print(json.dumps(told) if arguments.json else text_of(told))
    if told["ended"] < told["asked"]:
        sys.exit(1)


def report(arguments: argparse.Namespace, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many searches were asked for and have ended, and a summary of each specification among them."""
    return {
        "experiment": arguments.experiment,
        "label": arguments.label,
        "asked": arguments.searches,
        "ended": len({line["seed"] for line in lines}),
        "groups": [{"specification": key, **summary(own)} for key, own in groups(lines).items()],
    }


def text_of(told: dict[str, Any]) -> str:
    """Return what `report` found, to be read."""
    made = [f"\n{told['experiment']}, {told['label']}: {told['ended']} of {told['asked']} asked have ended"]
    for found in told["groups"]:
        named = found["specification"] or "of before specifications were recorded"
        made.append(f"{found['searches']} searches, specification {named}")
        for suffix, title in (("", "TD"), ("_scaled", "TD, or TD up to the reward's scale")):
            made.append(title)
            for count in COUNTS:
                entry = found[count + suffix]
                low, high = entry["interval"]
                shown = f"{entry['count']:3d} of {entry['of']:3d}   95 % interval [{low:.2f}, {high:.2f}]"
                made.append(f"  {count:10s} {shown}")
        first, seen = found["median_first_seen"], found["seen"]["count"]
        made.append(
            f"median candidate that was TD first, of the {seen} that met it: {first}; minutes of training: {found['minutes']}"
        )
        cores = found["core_minutes"]
        if cores:
            which = "core minutes of a search (of its last run, where it was stopped)"
            made.append(f"{which}: median {median(cores):.1f}, most {max(cores):.1f}")
        if found["behaviours"]:
            made.append(f"different behaviours among the trained: {found['behaviours']}")
        if found["hit_rates"]:
            rates = ", ".join(f"{rate:.1%}" for rate in found["hit_rates"])
            made.append(f"hit rates of duplicates (about 70 % in Co-Reyes et al., 2021): {rates}")
    return "\n".join(made)


if __name__ == "__main__":
    main()
