"""Several studies side by side as one HTML page: tables, performance profiles, probability of improvement, anytime performance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autorl.analysis import page
from autorl.analysis.anytime import Curve, best_so_far, draw, over_repeats
from autorl.analysis.compare import NamedStudy, compare_studies, tables
from autorl.analysis.scores import method_name
from autorl.analysis.statistics import Array, fill_failures, performance_profile, profile_interval
from autorl.analysis.style import (
    GREY,
    INK,
    arm_style,
    label,
    legend,
    message,
    new_figure,
    title,
    to_svg,
)
from autorl.analysis.timeline import Timeline, timeline, timing_caption
from autorl.keys import derive
from autorl.studies.files import write_text_atomic
from autorl.studies.trial import Json, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THRESHOLDS = 101

_NOT_OF_THE_SEARCH = frozenset({"name", "description", "log", "expected", "baselines", "finalists", "parsimony"})


def write_page(path: Path | str, studies: Sequence[NamedStudy]) -> None:
    """Write the page to ``path``, atomically. See `render_page`.

    Raises:
        UsageError: As `compare_studies`.
        StudyError: The file cannot be written.
    """
    write_text_atomic(Path(path), render_page(studies))


def render_page(studies: Sequence[NamedStudy]) -> str:
    """Return the comparison as one self-contained HTML document. The same studies give the same bytes."""
    outcome = compare_studies(studies)
    names = [name for name, _, _ in studies]
    body = [
        f"<header>\n{page.paragraph('AutoRL comparison', 'kind')}\n<h1>{page.escape(' and '.join(names))}</h1>\n</header>",
        page.section("Warnings", *(page.paragraph(warning) for warning in outcome["warnings"])),
        page.section("Result", *(page.table(table, heading=True) for table in tables(outcome))),
    ]
    for number, question in enumerate(_questions(outcome)):
        where = ", ".join(question[0]["environments"]) or "no environment"
        scores = _filled(question)
        parts = [
            page.figure(
                to_svg(profiles(scores), f"profiles-{number}"), "Higher is better; where lines cross, neither is."
            )
        ]
        parts.append(page.figure(to_svg(improvement(_pairs(outcome, question)), f"improvement-{number}")))
        own = [study for study in studies if study[0] in {fact["name"] for fact in question}]
        orders = [timeline(_searched(trials), specification) for _, specification, trials in own]
        parts.append(page.figure(to_svg(anytime(own, orders), f"anytime-{number}"), _timing(orders)))
        body.append(page.section(f"On {where}", *parts))
    return page.page(f"{' and '.join(names)}: AutoRL comparison", body)


def profiles(scores: Mapping[str, Array]) -> Figure:
    """Return the figure of performance profiles: the share of test trainings that score above each threshold, with 95 % intervals.

    Source: Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice; Dolan and Moré (2002).

    Args:
        scores: Test scores [S, E] of each study, failures filled.
    """
    if not scores:
        return message("No performance profiles: no study has a test result here.")
    everything = np.concatenate([table.ravel() for table in scores.values()])
    low, high = float(everything.min()), float(everything.max())
    margin = 0.02 * (high - low) or 0.5
    thresholds = np.linspace(low - margin, high + margin, THRESHOLDS)
    figure, (axis,) = new_figure(3.3)
    for name, table in scores.items():
        colour, marker = _style(name, scores)
        axis.plot(
            thresholds, performance_profile(table, thresholds), "-", color=colour, linewidth=1.9, marker=marker, markevery=12,
            markersize=4.5, label=shortened(name),
        )  # fmt: skip
        if len(table) > 1:
            bounds = profile_interval(table, thresholds, seed=derive(0, "profile", name))
            axis.fill_between(thresholds, *bounds, color=colour, alpha=0.16, linewidth=0)
    axis.set_ylim(-0.02, 1.02)
    label(axis, x="score τ", y="trainings that score above τ")
    legend(axis, loc="lower left", columns=1)
    title(figure, "Performance profiles on test seeds, with 95 % intervals")
    return figure


def improvement(pairs: Sequence[Json]) -> Figure:
    """Return the figure of P(a training of the one study scores above one of the other), with 95 % intervals: a row for each pair."""
    if not pairs:
        return message("No probability of improvement: it needs two studies with test results.")
    figure, (axis,) = new_figure(0.9 + 0.5 * len(pairs))
    for row, pair in enumerate(pairs):
        if pair["probability_interval"]:
            axis.plot(pair["probability_interval"], [row, row], "-", color=GREY, linewidth=4, solid_capstyle="butt")
        axis.plot([pair["probability_of_improvement"]], [row], "o", color=INK, markersize=6)
    axis.axvline(0.5, color=INK, linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(pairs)), [_above(pair) for pair in pairs])
    axis.set_ylim(len(pairs) - 0.5, -0.5)
    axis.set_xlim(-0.02, 1.02)
    axis.tick_params(axis="y", labelcolor=INK, length=0)
    axis.grid(False, axis="y")
    label(axis, x="probability")
    title(figure, "Probability of improvement on test seeds")
    return figure


def anytime(studies: Sequence[NamedStudy], orders: Sequence[Timeline | None]) -> Figure:
    """Return the figure of the best search score over work: repeats of a search as one curve with its 95 % interval.

    Repeats are studies that differ in nothing that a search score depends on but the study seed.

    Args:
        studies: Those that are compared.
        orders: The timeline of each one's search.
    """
    curves: dict[str, list[Curve]] = {}
    first: dict[str, tuple[str, str]] = {}
    for (name, specification, trials), order in zip(studies, orders, strict=True):
        curve = best_so_far(_searched(trials), specification, order)
        if curve is not None:
            search = _search_of(specification)
            curves.setdefault(search, []).append(curve)
            first.setdefault(search, (method_name(specification), name))
    if not curves:
        return message("No anytime performance: no search trial has completed.")
    methods = [method for method, _ in first.values()]
    drawn: dict[str, Curve] = {}
    for search, own_curves in curves.items():
        method, name = first[search]
        # where other searches have the same method, the first study's name tells them apart
        own = method if methods.count(method) == 1 else f"{method} ({shortened(name)})"
        together = over_repeats(own_curves)
        if together is not None:
            labelled = {f"{own}: interquartile mean and 95 % of {len(own_curves)} studies": together}
        elif len(own_curves) == 1:
            labelled = {f"{method} ({shortened(name)})": own_curves[0]}
        else:
            labelled = {f"{own} {number + 1}": curve for number, curve in enumerate(own_curves)}
        taken = any(text in drawn for text in labelled)  # two long names may be shortened to the same
        drawn |= {f"{text} [{len(drawn) + 1}]" if taken else text: curve for text, curve in labelled.items()}
    styles = [_style(name, drawn) for name in drawn]
    whose = f". {next(iter(drawn))}" if len(drawn) == 1 else ""  # a single curve has no legend
    return draw(drawn, styles, f"Anytime performance: best so far (search seeds: no result){whose}")


def _search_of(specification: Mapping[str, Any]) -> str:
    """Return all of a specification that a search score depends on but the study seed, as text."""
    kept = {name: value for name, value in specification.items() if name not in _NOT_OF_THE_SEARCH}
    seeds = dict(kept.pop("seeds", None) or {})
    return json.dumps([kept, seeds.get("search")], sort_keys=True, default=str)


def _timing(orders: Sequence[Timeline | None]) -> str:
    """Return from when on scores of studies under a budget policy count; where the order of one is not known, that is said as well."""
    return max(map(timing_caption, orders), key=len, default="")


def _searched(trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if (t.arm, t.phase) == ("method", "search")]


def _above(pair: Json) -> str:
    """Return who is above whom, in two lines where the names are long."""
    study, against = shortened(pair["study"]), shortened(pair["against"])
    separator = " " if len(study) + len(against) < 36 else "\n"
    return f"{study}{separator}above {against}"


def shortened(name: str, most: int = 32) -> str:
    """Return the end of a study's name: some are whole paths, which would leave a figure no room to draw in."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _questions(outcome: Json) -> list[list[Json]]:
    """Return the studies in groups that answer the same question: the same environments and tasks."""
    groups: dict[str, list[Json]] = {}
    for fact in outcome["studies"]:
        groups.setdefault(fact["question"], []).append(fact)
    return [group for group in groups.values() if len(group) > 1]


def _filled(question: Sequence[Json]) -> dict[str, Array]:
    return fill_failures({fact["name"]: fact["scores"] for fact in question if fact["scores"]}) or {}


def _pairs(outcome: Json, question: Sequence[Json]) -> list[Json]:
    names = {fact["name"] for fact in question}
    return [pair for pair in outcome["pairs"] if pair["study"] in names]


def _style(name: str, names: Mapping[str, object]) -> tuple[str, str]:
    """Return colour and marker: the first two as a study's own arms have them, then the others in turn."""
    order = list(names)
    main = {0: "method", 1: "random", 2: "default"}.get(order.index(name))
    return arm_style(main, ()) if main is not None else arm_style(name, order[3:])
