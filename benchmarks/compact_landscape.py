"""Makes a landscape file out of one of ARLBench's records, where a folder of landscapes lacks it (as MountainCar-DQN).

    python benchmarks/compact_landscape.py results_combined/sobol/cc_mountain_car_dqn.csv FOLDER/cc_mountain_car_dqn.csv.gz

The record is a file of branch ``experiments`` of automl/arlbench (BSD-3-Clause, copyright its authors; Becktepe et al., 2024):
``run_id, budget, performance, hp_config.NAME ..., seed``. Numbers are kept to six digits; nothing is left out or mended.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
from pathlib import Path

from _landscape_files import KEYS

from autorl.errors import UsageError

PREFIX = "hp_config."
KEPT_WHOLE = frozenset({"buffer_size", "learning_starts", "target_update_interval"})


def cell(name: str, value: str) -> str:
    """Return a cell as landscape files have it."""
    if value in ("", "True", "False"):
        return value
    return str(int(float(value))) if name in KEPT_WHOLE else f"{float(value):.6g}"


def compact(source: Path, target: Path) -> int:
    """Write the landscape of a record and return its rows.

    Raises:
        UsageError: The record lacks columns.
    """
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    missing = {"run_id", "seed", "budget", "performance"} - set(rows[0] if rows else ())
    if missing:
        raise UsageError(
            f"{source}: no column {', '.join(sorted(missing))}. Remedy: give a record of results_combined/sobol."
        )
    names = [name.removeprefix(PREFIX) for name in rows[0] if name.startswith(PREFIX)]
    made = [
        (
            int(row["run_id"]),
            int(row["seed"]),
            int(float(row["budget"])),
            cell("mean_return", row["performance"]),
            *(cell(name, row[PREFIX + name]) for name in names),
        )
        for row in rows
    ]
    with gzip.open(target, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*KEYS, *names])
        writer.writerows(sorted(made, key=lambda row: row[:3]))
    return len(made)


def main() -> None:
    """Compact one record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="CSV of ARLBench")
    parser.add_argument("target", type=Path, help="TASK.csv.gz to write")
    arguments = parser.parse_args()
    try:
        print(f"{compact(arguments.source, arguments.target)} rows")
    except (OSError, UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
