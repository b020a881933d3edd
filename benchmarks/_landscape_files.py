"""Reads landscapes: a folder with one ``TASK.csv.gz`` a task, as compacted from ARLBench's records (Becktepe et al., 2024).

A row is an evaluation: ``configuration, seed, env_steps, mean_return``, then the hyperparameters, empty where inactive. The
space is read off the values: the kind of a dimension, its range, and which switch it depends on.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _landscape import TEST_SEEDS, TUNING_SEEDS, Landscape, Recorded
from numpy.typing import NDArray

from autorl.errors import UsageError
from autorl.spaces import Bool, Categorical, Condition, Dimension, Float, HyperparameterSpace, Int, Value

EXCLUDED = ("minigrid_unlock_dqn", "box2d_continuous_lunar_lander_sac")
"""Flat (hardly any configuration learns anything), and damaged (returns down to -6000 among configurations that land)."""
KEYS = ("configuration", "seed", "env_steps", "mean_return")
LOGARITHMIC = frozenset({"learning_rate", "buffer_epsilon", "reward_scale"})
"""Searched on the logarithmic scale in the published spaces."""
FEW = 8
"""A number with at most so many values was searched as one of several choices."""
SUFFIX = ".csv.gz"
REMEDY = (
    "Remedy: give the folder that holds ARLBench's landscapes, one TASK.csv.gz each, with the columns "
    "configuration, seed, env_steps, mean_return and the hyperparameters"
)


@dataclass(frozen=True)
class _Table:
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def load_landscapes(folder: Path, tasks: Sequence[str] = ()) -> list[Landscape]:
    """Return the landscapes in ``folder``, by name: those of ``tasks``, or all but `EXCLUDED`.

    Raises:
        UsageError: No such folder, no landscape in it, an unknown task, or a file that is not what it should be.
    """
    if not folder.is_dir():
        raise UsageError(f"--data {folder}: no such folder. {REMEDY}.")
    inside = sorted(folder.glob(f"*{SUFFIX}")) or sorted(
        folder.glob(f"*/*{SUFFIX}")
    )  # a folder of data has them in one of its own
    found = {path.name.removesuffix(SUFFIX): path for path in inside}
    names = list(tasks) or [name for name in found if name not in EXCLUDED]
    if not names:
        raise UsageError(f"--data {folder}: no landscape in it. {REMEDY}.")
    unknown = [name for name in names if name not in found]
    if unknown:
        raise UsageError(f"--tasks {', '.join(unknown)}: not in {folder}, which has {', '.join(found) or 'none'}.")
    return [load_landscape(found[name]) for name in names]


def load_landscape(path: Path) -> Landscape:
    """Return the landscape in one file.

    Raises:
        UsageError: The file is not what it should be; the message says where.
    """
    try:
        table = _table(path)
        name = path.name.removesuffix(SUFFIX)
        returns, env_steps = _returns(name, table)
        width = len(KEYS)
        first = {int(row[0]): row[width:] for row in reversed(table.rows)}
        cells = [first[c] for c in range(len(first))]
        space = _space(name, table.columns[width:], cells)
        values = [dict(zip(table.columns[width:], row, strict=True)) for row in cells]
        configurations = tuple(
            space.from_json({n: _value(space.dimensions[n], v) for n, v in row.items() if v}) for row in values
        )
    except (OSError, EOFError, UnicodeDecodeError, ValueError, UsageError) as error:
        raise UsageError(f"--data: {path}: {error}. {REMEDY}.") from error
    units = np.stack([space.to_unit(candidate) for candidate in configurations])
    space = Recorded(name, space.dimensions, space.conditions, source=space.source, drawn=configurations)
    return Landscape(name, space, configurations, units, returns, env_steps)


def _table(path: Path) -> _Table:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        columns, *rows = [tuple(row) for row in csv.reader(file)] or [()]
    if columns[: len(KEYS)] != KEYS or len(columns) == len(KEYS):
        raise ValueError(f"its columns are {', '.join(columns) or 'missing'}")
    for number, row in enumerate(rows, 2):
        if len(row) != len(columns):
            raise ValueError(f"row {number}: expected {len(columns)} cells, got {len(row)}")
    return _Table(columns, tuple(rows))


def _returns(name: str, table: _Table) -> tuple[NDArray[np.float64], int]:
    """Return the mean returns, float64 [configurations, seeds, checkpoints], and the steps of a whole training."""
    numbers = np.array([[float(cell or "nan") for cell in row[: len(KEYS)]] for row in table.rows], np.float64)
    if numbers.size == 0 or not np.isfinite(numbers[:, :3]).all():
        raise ValueError("it has no rows, or rows without configuration, seed or env_steps")
    configurations, seeds, steps = (np.unique(numbers[:, i]) for i in range(3))
    shape = (len(configurations), len(seeds), len(steps))
    if tuple(seeds) != TUNING_SEEDS + TEST_SEEDS or tuple(configurations) != tuple(range(shape[0])) or shape[0] < 2:
        raise ValueError(f"expected at least two configurations from 0 and seeds 0 to 9, got {shape[:2]} of them")
    if not np.allclose(steps, steps[-1] * np.arange(1, shape[2] + 1) / shape[2]):
        raise ValueError(f"expected equally spaced checkpoints, got env_steps {steps.tolist()}")
    filled = np.zeros(shape, bool)
    returns = np.full(shape, np.nan)
    place = (numbers[:, 0].astype(int), numbers[:, 1].astype(int), np.searchsorted(steps, numbers[:, 2]))
    filled[place], returns[place] = True, numbers[:, 3]
    if len(numbers) != filled.size or not filled.all():
        raise ValueError(
            f"expected one row for each configuration, seed and checkpoint: {filled.size}, got {len(numbers)}"
        )
    return _cleaned(name, returns), int(steps[-1])


def _cleaned(name: str, returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return finite returns: failed evaluations get the task's worst, and what no return says anything about is clipped.

    Where the agent's numbers overflowed, the original records say about 0 (2e-308), in Pendulum a better return than any real one.
    """
    failed = ~np.isfinite(returns)
    if name == "cc_pendulum_sac":
        failed |= returns > -20
    if name == "cc_continuous_mountain_car_sac":
        failed |= np.abs(returns) < 1e-300
    if failed.all():
        raise ValueError("no evaluation succeeded")
    lowest = {"brax": -2000.0, "box2d": -200.0}.get(name.partition("_")[0], -math.inf)
    cleaned = np.maximum(np.where(failed, returns[~failed].min(), returns), lowest)
    final = cleaned[:, :, -1].mean(axis=1)
    if final.max() <= final.min():
        raise ValueError("all configurations end alike: there is nothing to search")
    return cleaned


def _space(name: str, columns: Sequence[str], cells: Sequence[tuple[str, ...]]) -> HyperparameterSpace:
    dimensions: dict[str, Dimension] = {}
    active: dict[str, NDArray[np.bool_]] = {}
    true: dict[str, NDArray[np.bool_]] = {}
    for i, column in enumerate(columns):
        values = [row[i] for row in cells]
        active[column] = np.array([value != "" for value in values])
        dimensions[column] = _dimension(column, sorted({value for value in values if value}))
        if isinstance(dimensions[column], Bool) and active[column].all():
            true[column] = np.array([value == "True" for value in values])
    conditions = {c: _condition(c, active[c], true) for c in columns if not active[c].all()}
    return HyperparameterSpace(name, dimensions, conditions, source="Becktepe et al., 2024, ARLBench")


def _dimension(name: str, values: Sequence[str]) -> Dimension:
    """Return the dimension that has all ``values``, different cells of its column."""
    if values == ["False", "True"]:
        return Bool()
    numbers = sorted(float(value) for value in values)
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        raise ValueError(f"column {name}: expected numbers, or True and False, at least two different ones")
    whole = all(number.is_integer() for number in numbers)
    if len(numbers) <= FEW:
        return Categorical(tuple(int(n) if whole else n for n in numbers))
    if whole:
        return Int(int(numbers[0]), int(numbers[-1]), log=name in LOGARITHMIC)
    return Float(numbers[0], numbers[-1], "log" if name in LOGARITHMIC else "linear")


def _condition(name: str, active: NDArray[np.bool_], switches: dict[str, NDArray[np.bool_]]) -> Condition:
    for switch, on in switches.items():
        for value in (True, False):
            if (active == (on == value)).all():
                return Condition(switch, (value,))
    raise ValueError(
        f"column {name}: empty in some configurations, but no True or False of another column says in which"
    )


def _value(dimension: Dimension, cell: str) -> Value:
    if isinstance(dimension, Bool):
        return cell == "True"
    number = float(cell)
    if isinstance(dimension, Categorical):
        return dimension.choices[dimension.index(number)]
    return int(number) if isinstance(dimension, Int) else number
