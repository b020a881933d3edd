"""Parallel coordinates, slices and contours as Optuna draws them, for those who know its figures.

Beside those of `autorl.analysis.figures_space` and `slices`, which show what Optuna's leave out: failed trials, hyperparameters that a
trial does not have, scales in 1 - value, and which trial won.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from autorl.analysis.axes import varies
from autorl.analysis.figures_space import fewer
from autorl.analysis.style import WIDTH
from autorl.spaces import Space
from autorl.spaces.columns import columns, values
from autorl.spaces.to_optuna import distribution, silent_optuna
from autorl.studies.trial import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna.study import Study

FEWEST_TRIALS, MOST_TRIALS = 10, 120
MOST_AXES = 9
MOST_SLICES = 5
MOST_CONTOURS = 3
"""Hyperparameters that contours pair: every pair is a panel, drawn twice."""


def optuna_figures(
    trials: Sequence[Trial], space: Space | None, order: Sequence[str] = (), score: str = "score"
) -> dict[str, Figure]:
    """Return Optuna's figures by name, none where fewer than two hyperparameters vary or `FEWEST_TRIALS` completed.

    Args:
        trials: Search trials of one arm. Those that completed are drawn (of more than `MOST_TRIALS`, `figures_space.fewer`).
        space: The space searched.
        order: Names to show first (the important ones): at most `MOST_AXES`, `MOST_SLICES` and `MOST_CONTOURS`.
        score: What the scores are called.
    """
    dimensions = {name: d for name, d in columns(space).items() if varies(d)}
    distributions = {name: distribution(d) for name, d in dimensions.items()}
    told = []
    for trial in sorted(fewer([t for t in trials if t.score is not None], None, MOST_TRIALS), key=lambda t: t.number):
        flat = values(trial.candidate)
        known = {n: flat[n] for n in dimensions if n in flat and not dimensions[n].validate(flat[n])}
        if trial.score is not None and known:
            told.append((known, trial.score))
    seen = {name for known, _ in told for name in known}
    names = [n for n in (*order, *(n for n in dimensions if n not in order)) if n in seen]
    # Optuna draws contours only over hyperparameters that took two values
    several = [n for n in names if len({known[n] for known, _ in told if n in known}) > 1]
    if len(several) < 2 or len(told) < FEWEST_TRIALS:
        return {}
    with _quiet() as optuna:
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        for known, reached in told:
            own = {name: distributions[name] for name in known}
            study.add_trial(optuna.trial.create_trial(params=known, distributions=own, value=reached))
        plots, paired = optuna.visualization.matplotlib, several[:MOST_CONTOURS]
        # parallel coordinates and a single contour have axes of no height, which a layout cannot place
        return {
            "optuna-parallel-coordinates": _drawn(
                plots.plot_parallel_coordinate, study, several[:MOST_AXES], score, 4.0, layout=False
            ),
            "optuna-slices": _drawn(plots.plot_slice, study, several[:MOST_SLICES], score, 3.0),
            "optuna-contours": _drawn(plots.plot_contour, study, paired, score, 7.0, layout=len(paired) > 2),
        }


def _drawn(
    plot: Callable[..., Any], study: Study, names: Sequence[str], score: str, height: float, layout: bool = True
) -> Figure:
    """Return one of Optuna's figures, taken from matplotlib's global state, which stays as it was."""
    import matplotlib.pyplot as plt

    opened = set(plt.get_fignums())
    try:
        plot(study, params=list(names), target_name=score)
        (number,) = set(plt.get_fignums()) - opened
        figure: Figure = plt.figure(number)
        figure.set_size_inches(WIDTH, height)
        figure.set_facecolor("white")  # its black labels would be lost on a dark page
        if layout:
            figure.set_layout_engine("constrained")
        else:
            figure.subplots_adjust(bottom=0.3)
        for axis in figure.axes:
            for drawn in axis.collections:
                drawn.set_rasterized(False)  # colour bars: a page of ours refers to no image
            axis.xaxis.label.set_fontsize(8)
            axis.yaxis.label.set_fontsize(8)
            axis.tick_params(labelsize=7)
        return figure
    finally:
        for number in set(plt.get_fignums()) - opened:
            plt.close(number)


@contextmanager
def _quiet() -> Iterator[Any]:
    """Give Optuna without its messages, and matplotlib its settings back: Optuna's figures set a style for all that come after."""
    import matplotlib
    import optuna

    with silent_optuna(), matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its figures are marked experimental; layouts of narrow panels
        yield optuna
