"""Comparisons of objectives in Python: `run_comparison`. The command line calls exactly this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorl.studies.comparison import Comparison, from_mapping, load
from autorl.studies.folder import ROOT

if TYPE_CHECKING:
    from autorl.engine.progress import Reporter


def run_comparison(
    experiment: str | Path | Mapping[str, Any] | Comparison,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    root: Path | str = ROOT,
    report: Reporter | None = None,
    record: Path | str | None = None,
) -> dict[str, Any]:
    """Run a comparison of objectives (an experiment with the key ``objectives``) and return what it found.

    Every score is kept in ``root``/objectives/scores.jsonl: what was stopped goes on, and nothing is trained twice.

    Args:
        experiment: Name of a catalogued comparison, path of a YAML file, a mapping of the same form, or a `Comparison`.
        overrides: ``{"seeds.test": 3}`` or ``["seeds.test=3"]``.
        root: Where studies are kept.
        report: Told the progress (see `autorl.engine.progress.Event`).
        record: Another file of scores, which travels: none of its scores is trained again, and those of this comparison are added to it.

    Returns:
        As `autorl.analysis.comparison.summarise` does, with ``seeds`` and ``figures`` (paths, by panel).

    Raises:
        SpecificationError: Listing all problems of the comparison.
        StudyInterrupted: Stopped by Ctrl-C; everything is saved, the same call goes on.
        StudyError: The scores cannot be read or written, or another process is writing them.
    """
    from autorl.engine.devices import start
    from autorl.engine.progress import silent

    devices = start()  # checking an environment makes arrays, and devices can only be made before the first one
    comparison = (
        from_mapping(experiment, overrides)
        if isinstance(experiment, Comparison | Mapping)
        else load(experiment, overrides)
    )
    from autorl.analysis.comparison import summarise, write_figures
    from autorl.engine.comparison import compare, seeds_of

    beside = None if record is None else Path(record)
    found = compare(comparison, Path(root), devices, report or silent, record=beside)
    test, tuning = seeds_of(comparison)
    seeds = {"study": comparison.seeds.study, "test": list(test)}
    if comparison.tuning is not None:
        seeds["tuning"] = list(tuning)
    result = {**summarise(comparison, found), "seeds": seeds}
    return {**result, "figures": write_figures(result, Path(root))}
