"""The report: one HTML file with the result, how it came about, and what it takes to get it again.

It needs no network and no scripts, works for a study at any point of its life, and prints. The same study gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from autorl.analysis import curriculum_page, hall_of_fame, page
from autorl.analysis.anytime import anytime_figure
from autorl.analysis.checklist import checklist, reproduction, space_table
from autorl.analysis.common_rung import at_common_rung
from autorl.analysis.figures import arm_scores, importance_bars, learning_curves, optimisation_history, slices
from autorl.analysis.figures_optuna import optuna_figures
from autorl.analysis.figures_pbt import lineage, pbt_schedule
from autorl.analysis.figures_space import contours, parallel_coordinates
from autorl.analysis.held_out import held_out_table, lessons_summary
from autorl.analysis.importance import importances
from autorl.analysis.origins import origins_sentence
from autorl.analysis.programs import programs_sentence
from autorl.analysis.result import summarise
from autorl.analysis.rungs import rungs_table
from autorl.analysis.scores import (
    all_environments,
    arm_name,
    count,
    environments,
    finished,
    number,
    plural,
    policy_name,
)
from autorl.analysis.selection_bias import sentences
from autorl.analysis.style import to_svg
from autorl.analysis.tables import (
    failure_kinds_table,
    failures_table,
    ledger_table,
    proposals_table,
    result_table,
    trials_table,
    winner_table,
)
from autorl.analysis.timeline import timeline, timing_caption
from autorl.engine.winner import searches_graphs
from autorl.spaces import Space, load_space
from autorl.spaces.plain_values import OBJECTIVE, TEACHER, plain_values, with_teacher
from autorl.studies.files import write_text_atomic
from autorl.studies.seeds import first_test_seed
from autorl.studies.trial import Arm, Json, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN_TRIALS = 10
_MOST_TRIALS = 2000
"""Rows of the folded table of all trials; more would make a page that browsers choke on."""


def write_report(
    path: Path | str,
    trials: Sequence[Trial],
    specification: Mapping[str, Any],
    manifest: Mapping[str, Any],
    space: Space | None = None,
    figures: Path | None = None,
    compiled: Sequence[Json] = (),
    lessons: Mapping[Arm, Sequence[Json]] = MappingProxyType({}),
    curricula: Sequence[Json] = (),
    proposals: Mapping[Arm, Json] = MappingProxyType({}),
) -> None:
    """Write the report to ``path``, atomically, and its figures as SVG files into the folder ``figures``. See `render`.

    Raises:
        StudyError: A file cannot be written.
    """
    drawn: dict[str, str] = {}
    text = render(trials, specification, manifest, space, drawn, compiled, lessons, curricula, proposals)
    write_text_atomic(Path(path), text)
    if figures is not None:
        for name, svg in drawn.items():
            write_text_atomic(figures / f"{name}.svg", svg)


def render(
    trials: Sequence[Trial],
    specification: Mapping[str, Any],
    manifest: Mapping[str, Any],
    space: Space | None = None,
    drawn: dict[str, str] | None = None,
    compiled: Sequence[Json] = (),
    lessons: Mapping[Arm, Sequence[Json]] = MappingProxyType({}),
    curricula: Sequence[Json] = (),
    proposals: Mapping[Arm, Json] = MappingProxyType({}),
) -> str:
    """Return the report as one self-contained HTML document.

    Args:
        trials: Every trial of the study, all arms and phases.
        specification: The resolved specification as plain data.
        manifest: The manifest as plain data (see `autorl.studies.manifest`).
        space: The space searched, if anything was.
        drawn: Filled with the SVG text of every figure, by name.
        compiled: The programs that were compiled, as the record keeps them.
        lessons: Of the test trainings of each arm, as the record keeps them.
        curricula: What they tell of each environment (see `autorl.analysis.curriculum_page.readings`).
        proposals: What search methods counted (see `autorl.analysis.proposals.proposals_of`).
    """
    drawn = {} if drawn is None else drawn
    lessons_told = lessons_summary(lessons, specification)
    result = {**summarise(trials, specification), **lessons_told, "proposals": proposals}
    searched = [t for t in trials if (t.arm, t.phase) == ("method", "search")]
    body = [
        _header(result, specification),
        page.section("Result", *_result(result, trials, specification, drawn)),
        page.section("Winner", *_winner(result, specification)),
        page.section("Hall of fame", *_fame(result, searched, space, drawn)),
        page.section(curriculum_page.heading(curricula), *_curriculum(result, curricula, drawn)),
        page.section("Search", *_search(result, trials, searched, specification, space, drawn)),
        page.section("Trials", *_trials(result, trials)),
        page.section("Failures", *_failures(result, trials)),
        page.section("Work", page.table(ledger_table(result)), page.paragraph(_programs(compiled, specification))),
        page.section("Reproduction", *_reproduction(result, trials, specification, manifest, space)),
    ]
    return page.page(f"{result['study'] or 'study'}: AutoRL report", body)


def winner_yaml(result: Json, specification: Mapping[str, Any]) -> str:
    """Return the winner as a plain experiment in YAML: ``autorl run`` trains and tests it again. Empty if there is none."""
    winner, learner = result["winner"], specification.get("learner")
    if winner is None or learner is None:
        own = (result["own_objective"] or {}).get("best_candidate")
        return yaml.safe_dump(_builtin(own), sort_keys=False) if own else ""
    chosen = [{k: v for k, v in e.items() if v not in (None, {})} for e in environments(specification)]
    fixed, teacher = dict(learner.get("hyperparameters") or {}), specification.get("teacher")
    experiment: Json = {"environment": chosen[0] if len(chosen) == 1 else chosen}
    if winner["schedule"]:
        experiment["learner"] = {"algorithm": learner["algorithm"], "hyperparameters": fixed}
        experiment["schedule"] = winner["schedule"]
    else:
        space = (specification.get("search") or {}).get("space")
        nested = any(isinstance(value, Mapping) for value in winner["candidate"].values())
        found = plain_values(load_space(space), winner["candidate"]) if space and nested else dict(winner["candidate"])
        found = with_teacher(found, teacher)
        objective, teacher = found.pop(OBJECTIVE, learner.get("objective")), found.pop(TEACHER, None)
        experiment["learner"] = {"algorithm": learner["algorithm"], "hyperparameters": {**fixed, **found}}
        experiment["learner"] |= {"objective": objective} if objective else {}
    experiment |= {"teacher": teacher} if teacher else {}
    experiment["budget"] = {"env_steps": (specification.get("budget") or {}).get("env_steps")}
    seeds = specification.get("seeds") or {}
    experiment["seeds"] = {k: v for k, v in seeds.items() if k in ("study", "test")}
    start = first_test_seed(specification)
    experiment["seeds"] |= {"test_start": start} if start else {}
    experiment["evaluation"] = dict(specification.get("evaluation") or {})
    return yaml.safe_dump(_builtin(experiment), sort_keys=False, allow_unicode=True)


def _programs(compiled: Sequence[Json], specification: Mapping[str, Any]) -> str:
    return programs_sentence(compiled, [str(e.get("id")) for e in all_environments(specification)])


def _header(result: Json, specification: Mapping[str, Any]) -> str:
    state = {"complete": "finished study", "empty": "study not started"}.get(result["state"], "unfinished study")
    if result.get("own_objective"):  # which has no test, and so no end
        state = "study of scores that were told"
    lines = [
        "<header>",
        page.paragraph(f"AutoRL report · {state}", "kind"),
        f"<h1>{page.escape(result['study'] or 'study')}</h1>",
        page.paragraph(str(specification.get("description") or "")),
        '<div class="lead">',
        page.paragraph(result["headline"], "headline"),
        page.paragraph(result["verdict"]),
        "</div>",
        "</header>",
    ]
    return "\n".join(line for line in lines if line)


def _result(
    result: Json, trials: Sequence[Trial], specification: Mapping[str, Any], drawn: dict[str, str]
) -> list[str]:
    if not result["arms"]:
        return []
    failed = any(arm["failed"] for arm in result["arms"].values())
    caption = "Failed trainings count as the worst score of all arms." if failed else ""
    return [
        page.table(result_table(result)),
        *([page.table(held_out_table(result))] if result["held_out"] else []),
        *(page.paragraph(sentence) for sentence in sentences(result["selection_bias"])),
        _figure(drawn, arm_scores(result), "test-scores"),
        _figure(drawn, learning_curves(trials, specification), "learning-curves", caption),
    ]


def _winner(result: Json, specification: Mapping[str, Any]) -> list[str]:
    text = winner_yaml(result, specification)
    winner = result["winner"]
    if winner is None:
        return [page.paragraph("The best candidate told so far."), page.code(text)] if text else []
    source = "" if winner["source"] is None else f" It is trial {winner['source']} of the search."
    chosen_by = winner["chosen_by"]
    chosen = ""
    if chosen_by["tuning_iqm"] is not None:
        seeds = plural(len(chosen_by["tuning_seeds"]), "tuning seed")
        chosen = f" It was chosen among {plural(chosen_by['finalists'], 'finalist')} on {seeds} "
        middle = f"(interquartile mean {number(chosen_by['tuning_iqm'])} there"
        if chosen_by["pooled_mean"] is None:
            chosen += f"{middle}, which chose it and is no result)."
        else:
            chosen += (
                f"{middle}) and those that they raced on in the search: over its {chosen_by['pooled_seeds']} seeds it has a mean of "
                f"{number(chosen_by['pooled_mean'])}, drawn towards that of all finalists, which chose it and is no result."
            )
    kind = "A schedule: hyperparameters change during the training." if winner["kind"] == "schedule" else ""
    return [
        page.paragraph(f"{kind}{source}{chosen}".strip()),
        page.table(winner_table(result)),
        page.paragraph("The same as an experiment, to copy into a file for autorl run:", "note"),
        page.code(text),
    ]


def _fame(result: Json, searched: Sequence[Trial], space: Space | None, drawn: dict[str, str]) -> list[str]:
    if not searches_graphs(space):
        return []
    found, picture = hall_of_fame.parts(searched, space, _leader(result, searched))
    return [*found, "" if picture is None else _figure(drawn, picture, "loss-graph")]


def _curriculum(result: Json, curricula: Sequence[Json], drawn: dict[str, str]) -> list[str]:
    study, method = result["study"] or "STUDY", result["method"]
    return curriculum_page.parts(curricula, study, method, lambda made, name: _figure(drawn, made, name))


def _search(
    result: Json,
    trials: Sequence[Trial],
    searched: Sequence[Trial],
    specification: Mapping[str, Any],
    space: Space | None,
    drawn: dict[str, str],
) -> list[str]:
    if not any(finished(t) for t in searched):
        return []
    source = _leader(result, searched)
    rungs = rungs_table(searched, specification)
    said = (result["chosen"], origins_sentence(result["origins"], result["winner"], result["method"]))
    parts = [page.paragraph(sentence) for sentence in said if sentence]
    order = timeline(searched, specification)
    timing = timing_caption(order)
    parts.append(_figure(drawn, optimisation_history(trials, specification, order), "history", timing))
    made = proposals_table(result["proposals"], result["method"])
    parts += [page.table(table, heading=True) for table in (made, rungs) if table is not None]
    parts.append(_figure(drawn, anytime_figure(trials, specification, order), "anytime", timing))
    if any(t.parent is not None for t in searched):
        parts.append(_figure(drawn, pbt_schedule(searched, space, source), "schedule"))
        parts.append(_figure(drawn, lineage(searched, source), "lineage"))
    return parts + _space_seen(result, searched, specification, space, source, drawn)


def _space_seen(
    result: Json,
    searched: Sequence[Trial],
    specification: Mapping[str, Any],
    space: Space | None,
    source: int | None,
    drawn: dict[str, str],
) -> list[str]:
    """The space as the search saw it: which hyperparameters mattered, and where the good values are."""
    found = importances(searched, space, cut=policy_name(specification) is not None)
    bars = (
        _figure(drawn, importance_bars(found), "importance") if found.shares else page.paragraph(found.message, "note")
    )
    leader = "the winner" if result["winner"] else "the best so far"
    ringed, thick = ("" if source is None else f"{word}: trial {source}, {leader}. " for word in ("Ringed", "Thick"))
    compared = at_common_rung(searched, specification)
    shown = compared.trials, space, list(found.shares), source, compared.score
    below = compared.caption
    optuna = optuna_figures(compared.trials, space, list(found.shares), compared.score)
    own = [_figure(drawn, made, name) for name, made in optuna.items()]
    own += [page.paragraph(below, "note")] if own and below else []
    return [
        bars,
        _figure(drawn, slices(*shown), "slices", (ringed + below).strip()),
        _figure(drawn, parallel_coordinates(*shown), "parallel-coordinates", (thick + below).strip()),
        _figure(drawn, contours(*shown), "contours", (ringed + below).strip()),
        page.details("Completed trials as Optuna draws them: parallel coordinates, slices, contours", "\n".join(own)),
    ]


def _leader(result: Json, searched: Sequence[Trial]) -> int | None:
    """The winner's search trial, or the best one so far."""
    if result["winner"] is not None:
        source: int | None = result["winner"]["source"]
        return source
    completed = [t for t in searched if t.score is not None]
    return min(completed, key=lambda t: (-(t.score or 0.0), t.number)).number if completed else None


def _trials(result: Json, trials: Sequence[Trial]) -> list[str]:
    parts = []
    for arm in ("method", "random"):
        own = [t for t in trials if (t.arm, t.phase) == (arm, "search")]
        if not own:
            continue
        name = arm_name(arm, result["method"])
        if arm == "method":
            parts.append(page.table(trials_table(own, f"Best of {name}", _SHOWN_TRIALS), heading=True))
        if arm == "random" or len(own) > _SHOWN_TRIALS:
            content = page.table(trials_table(own, name, _MOST_TRIALS))
            parts.append(page.details(f"All {plural(len(own), 'trial')} of {name}", content))
    finalists = [t for t in trials if (t.arm, t.phase) == ("method", "finalists")]
    parts.append(page.table(trials_table(finalists, "Finalists, on fresh tuning seeds"), heading=True))
    return parts


def _failures(result: Json, trials: Sequence[Trial]) -> list[str]:
    table, kinds = failures_table(trials, result["method"]), failure_kinds_table(trials, result["method"])
    ended = sum(finished(t) for t in trials)
    summary = page.paragraph(f"{len(table.rows)} of {plural(ended, 'trial')} failed.") if ended else ""
    listed = page.table(table)
    return [
        summary,
        page.table(kinds),
        listed if len(table.rows) <= _SHOWN_TRIALS else page.details("Every failure", listed),
    ]


def _reproduction(
    result: Json,
    trials: Sequence[Trial],
    specification: Mapping[str, Any],
    manifest: Mapping[str, Any],
    space: Space | None,
) -> list[str]:
    budget = (specification.get("budget") or {}).get("env_steps")
    evaluation = specification.get("evaluation") or {}
    entries = reproduction(manifest)
    if result["own_objective"] is None and budget:
        entries.append(
            ("Evaluation", f"{evaluation.get('episodes')} episodes at each of {evaluation.get('points')} points of a training "
             f"of {count(budget)} environment steps; a search score is the mean of the last {evaluation.get('averaged')} points, "
             "a test score the last one")
        )  # fmt: skip
    return [
        page.definitions(entries),
        page.table(checklist(result, specification, manifest, space, trials), heading=True),
        page.table(space_table(space), heading=True),
        page.details("The resolved specification", page.code(_dump(specification))),
    ]


def _figure(drawn: dict[str, str], made: Figure, name: str, caption: str = "") -> str:
    drawn[name] = to_svg(made, name)
    return page.figure(drawn[name], caption)


def _dump(specification: Mapping[str, Any]) -> str:
    return yaml.safe_dump(_builtin(specification), sort_keys=False, allow_unicode=True)


def _builtin(value: Any) -> Any:
    """Mappings and tuples as dicts and lists, which is all that YAML's safe dumper knows."""
    if isinstance(value, Mapping):
        return {str(key): _builtin(item) for key, item in value.items()}
    return [_builtin(item) for item in value] if isinstance(value, list | tuple) else value
