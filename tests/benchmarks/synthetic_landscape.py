"""A small landscape, written by the tests: one smooth optimum, noise between seeds, learning that takes all of the steps."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np

COLUMNS = ("configuration", "seed", "env_steps", "mean_return", "learning_rate", "batch", "replay", "alpha")
CONFIGURATIONS = 24
STEPS = 100
"""Environment steps between two checkpoints."""

Row = list[object]


def landscape_rows(configurations: int = CONFIGURATIONS) -> list[Row]:
    """Return all rows: the return rises with the steps, is best at a learning rate of 1e-3 and better with replay."""
    rng = np.random.default_rng(3)
    rows: list[Row] = []
    for c in range(configurations):
        rate = 10.0 ** -(1 + 4 * c / (configurations - 1))
        replay = c % 2 == 0
        level = 100.0 - 30 * abs(np.log10(rate) + 3) + (5 if replay else 0)
        for seed in range(10):
            noise = rng.normal()
            rows += [
                [
                    c,
                    seed,
                    STEPS * k,
                    level * k / 10 + noise,
                    rate,
                    (16, 32, 64)[c % 3],
                    replay,
                    0.1 * c if replay else "",
                ]
                for k in range(1, 11)
            ]
    return rows


def write_landscape(path: Path, rows: list[Row], columns: tuple[str, ...] = COLUMNS) -> Path:
    """Write a landscape file."""
    with gzip.open(path, "wt", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path
