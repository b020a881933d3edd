"""The tables of a study as plain rows of text, and the ways to show them: aligned text, rich, (in the report) HTML."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from autorl.analysis.candidates import readable
from autorl.analysis.origins import origins_sentence
from autorl.analysis.scores import arm_name, count, interval, number, seconds
from autorl.analysis.selection_bias import sentences
from autorl.analysis.work import compared_sentence, guide_sentence, teacher_sentence, untaught_sentence
from autorl.studies.trial import AT_HURDLE, Arm, Json, Trial

if TYPE_CHECKING:
    import rich.table


WIDTH = 80
"""Columns of the narrowest terminal that tables are made for."""
_DUPLICATES = "Of the loss graphs that Co-Reyes et al. (2021) made, about 70 % were duplicates at the end."


@dataclass(frozen=True)
class Column:
    """A heading and how its cells stand."""

    name: str
    right: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of text under headings.

    Attributes:
        title: What is shown.
        columns: Headings.
        rows: One text for each column.
        strong: Indices of rows to stress.
        note: A sentence below the table.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[int] = frozenset()
    note: str = ""


def result_table(result: Json) -> Table:
    """Return one row an arm: test score, 95 % interval, seeds, failures, environment steps of one training."""
    columns = (
        Column("arm", right=False),
        Column("test IQM"),
        Column("95 % interval"),
        Column("P(better)"),
        Column("seeds"),
        Column("failed"),
        Column("env steps"),
    )
    rows = []
    for arm, found in result["arms"].items():
        difference = result["differences"].get(arm)
        chance = "" if difference is None else f"{difference['probability_of_improvement']:.2f}"
        rows.append(
            (
                arm_name(arm, result["method"]),
                number(found["score"]),
                interval(found["interval"]),
                chance,
                str(len(found["seeds"])),
                f"{found['failed']} of {found['trainings']}",
                count(found["env_steps"]),
            )
        )
    ours = arm_name("method", result["method"])
    note = f"IQM: interquartile mean. P(better): how likely a training of {ours} is to score above one of this arm."
    return Table("Result on test seeds", columns, tuple(rows), frozenset({0} if rows else ()), note)


def trials_table(trials: Sequence[Trial], title: str = "Trials", limit: int | None = None) -> Table:
    """Return one row a trial, best first: number, score on its own seeds, status, lineage, candidate.

    Args:
        trials: Trials of one arm, of the search or the finalists.
        title: Title.
        limit: Only so many rows; the note says how many are left out.
    """
    ranked = sorted(trials, key=_rank)
    shown = ranked if limit is None else ranked[:limit]
    continues = any(t.parent is not None for t in trials)
    sourced = any(t.source is not None for t in trials)
    columns = [
        Column("trial"),
        *([Column("of trial")] if sourced else []),
        Column("score"),
        Column("status", right=False),
    ]
    columns += [Column("generation"), Column("parent")] if continues else []
    columns += [Column("candidate", right=False)]
    rows = []
    for t in shown:
        lineage = [str(t.generation), "" if t.parent is None else str(t.parent)] if continues else []
        source = ["" if t.source is None else str(t.source)] if sourced else []
        rows.append(
            (str(t.number), *source, number(t.score), str(t.status).replace("_", " "), *lineage, describe(t.candidate))
        )
    role = "tuning" if any(t.phase == "finalists" for t in trials) else "search"
    note = f"Scores are of {role} seeds: they choose, and are no result."
    if len(shown) < len(ranked):
        note = f"The best {len(shown)} of {len(ranked)} trials. {note}"
    return Table(title, tuple(columns), tuple(rows), frozenset(), note)


def _rank(trial: Trial) -> tuple[float, ...]:
    """Return what trials are sorted by: completed before pruned before the rest; the pruned by how far and how well they came."""
    if trial.score is not None:
        return (0, -trial.score, 0, trial.number)
    if trial.status == "pruned":
        return (1, -trial.env_steps, -trial.values.get(AT_HURDLE, 0.0), trial.number)
    return (2, 0, 0, trial.number)


def failures_table(trials: Sequence[Trial], method: str) -> Table:
    """Return one row for each trial that did not complete: which, how and why it ended, and its candidate."""
    failed = [t for t in trials if t.status not in ("completed", "running", "pruned")]
    columns = tuple(
        Column(name, right=name == "trial") for name in ("arm", "phase", "trial", "status", "why", "candidate")
    )
    rows = tuple(
        (
            arm_name(t.arm, method),
            t.phase,
            str(t.number),
            str(t.status).replace("_", " "),
            t.message,
            describe(t.candidate),
        )
        for t in failed
    )
    return Table("Failures", columns, rows, note="Failures are results: each ranks behind every trial that completed.")


def failure_kinds_table(trials: Sequence[Trial], method: str) -> Table:
    """Return one row for each way of failing: how many trials, of which arms and phases, and the first one's message."""
    failed = [t for t in trials if t.status not in ("completed", "running", "pruned")]
    kinds = sorted(
        {str(t.status) for t in failed}, key=lambda kind: (-sum(str(t.status) == kind for t in failed), kind)
    )
    rows = []
    for kind in kinds:
        own = [t for t in failed if str(t.status) == kind]
        where = Counter(f"{arm_name(t.arm, method)}, {t.phase}" for t in own)
        listed = "; ".join(f"{name}: {amount}" for name, amount in where.items())
        rows.append((kind.replace("_", " "), str(len(own)), listed, own[0].message))
    columns = (
        Column("kind", right=False),
        Column("trials"),
        Column("where", right=False),
        Column("such as", right=False),
    )
    return Table("Failures by kind", columns, tuple(rows))


def ledger_table(result: Json) -> Table:
    """Return the work spent, one row for each arm and phase and their sum."""
    names = ("trials", "failed", "train steps", "evaluation steps", "updates", "compile", "wall")
    columns = (Column("arm", right=False), Column("phase", right=False), *(Column(name) for name in names))
    entries = result["ledger"]
    rows = [_ledger_row(arm_name(row["arm"], result["method"]), row["phase"], row) for row in entries]
    if len(entries) > 1:
        summed = ("trials", "train_env_steps", "evaluation_env_steps", "updates", "compile_seconds", "wall_seconds")
        total = {key: sum(row[key] for row in entries) for key in summed}
        failures = {"": sum(sum(row["failures"].values()) for row in entries)}
        rows.append(_ledger_row("all", "", {**total, "failures": failures}))
    strong = frozenset({len(rows) - 1} if len(entries) > 1 else ())
    said = [result["work"]["sentence"], compared_sentence(result), teacher_sentence(result), untaught_sentence(result)]
    said += [guide_sentence(result), *warm_sentences(result)]
    note = " ".join(sentence for sentence in said if sentence)
    return Table("Work", columns, tuple(rows), strong, note)


def warm_sentences(result: Json) -> list[str]:
    """Return what the study took over from an earlier one, in words; nothing if it did not."""
    return list((result.get("warm_start") or {}).get("sentences", ()))


def winner_table(result: Json) -> Table:
    """Return the winner's hyperparameters.

    A schedule has one row a stage and one column for each hyperparameter that changes; the note lists those that stay.
    """
    winner = result["winner"]
    if winner is None:
        return Table("Winner", (Column("hyperparameter", right=False), Column("value")), ())
    if not winner["schedule"]:
        single = tuple((name, _value(value)) for name, value in readable(winner["candidate"]).items())
        return Table("Winner", (Column("hyperparameter", right=False), Column("value")), single)
    stages = [readable(stage["hyperparameters"]) for stage in winner["schedule"]]
    same = {name: value for name, value in stages[0].items() if all(stage.get(name) == value for stage in stages)}
    changing = [name for name in dict.fromkeys(name for stage in stages for name in stage) if name not in same]
    rows = tuple(
        (count(entry["until"]), *(_value(stage.get(name)) for name in changing))
        for entry, stage in zip(winner["schedule"], stages, strict=True)
    )
    note = f"The same in every stage: {describe(same)}." if same else ""
    return Table("Winner", (Column("until step"), *(Column(name) for name in changing)), rows, note=note)


def split(table: Table, width: int = WIDTH) -> list[Table]:
    """Return ``table`` as tables no wider than ``width`` as plain text, each with the first column; the last has the note.

    A column wider than that stays whole.
    """
    widths = [
        max(len(text) for text in texts) for texts in zip([c.name for c in table.columns], *table.rows, strict=True)
    ]
    groups: list[list[int]] = [[0]]
    for index in range(1, len(widths)):
        if len(groups[-1]) > 1 and sum(widths[i] + 2 for i in groups[-1]) + widths[index] > width:
            groups.append([0])
        groups[-1].append(index)
    return [
        replace(
            table,
            title=table.title if number == 0 else f"{table.title}, continued",
            columns=tuple(table.columns[i] for i in group),
            rows=tuple(tuple(row[i] for i in group) for row in table.rows),
            note=table.note if number == len(groups) - 1 else "",
        )
        for number, group in enumerate(groups)
    ]


def plain(table: Table) -> str:
    """Return the table as aligned text, for a terminal without colours, a file or a pipe."""
    cells = [[column.name for column in table.columns], *[list(row) for row in table.rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    lines = [
        "  ".join(
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(row, widths, table.columns, strict=True)
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([table.title, *lines, *([table.note] if table.note else [])]) + "\n"


def to_rich(table: Table) -> rich.table.Table:
    """Return the table for `rich`; text is shown as it is, never read as markup."""
    import rich.box
    import rich.table
    import rich.text

    made = rich.table.Table(
        title=rich.text.Text(table.title, style="bold"),
        caption=rich.text.Text(table.note, style="dim") if table.note else None,
        title_justify="left",
        caption_justify="left",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),  # narrow, so that a result fits into 80 columns
    )
    for column in table.columns:
        made.add_column(rich.text.Text(column.name), justify="right" if column.right else "left", overflow="fold")
    for index, row in enumerate(table.rows):
        made.add_row(*(rich.text.Text(text) for text in row), style="bold" if index in table.strong else None)
    return made


def render(table: Table) -> str:
    """Return the table as text for standard output: with `rich` if that is a terminal, plain otherwise."""
    if not sys.stdout.isatty():
        return plain(table)
    import rich.console

    console = rich.console.Console()
    with console.capture() as captured:
        console.print(to_rich(table))
    return captured.get()


def render_result(result: Json) -> str:
    """Return the result for standard output: the sentence, the table, the conclusion, the winner."""
    parts = [result["headline"], ""]
    if result["arms"]:
        parts += [render(result_table(result))]
        if result.get("held_out"):
            from autorl.analysis.held_out import held_out_table  # it makes tables

            parts += [render(held_out_table(result))]
        parts += [result["verdict"], *sentences(result["selection_bias"])]
        taught = (
            compared_sentence(result),
            teacher_sentence(result),
            untaught_sentence(result),
            guide_sentence(result),
        )
        said = (
            result["work"]["sentence"],
            *taught,
            origins_sentence(result["origins"], result["winner"], result["method"]),
            *warm_sentences(result),
        )
        parts += [*(sentence for sentence in said if sentence), ""]
    if result.get("proposals"):
        made = proposals_table(result["proposals"], result["method"])
        parts += [] if made is None else [render(made)]
    if result["winner"] is not None:
        parts += [render(part) for part in split(winner_table(result))]
    return "\n".join(parts).rstrip() + "\n"


def proposals_table(found: Mapping[Arm, Json], method: str) -> Table | None:
    """Return one row an arm: candidates made, rejected untrained, duplicates, hit rate, trained; None if nothing was counted.

    Args:
        found: As `proposals_of` returns it.
        method: Name of the study's search method.
    """
    if not found:
        return None
    names = ("candidates made", "rejected untrained", "duplicates", "hit rate", "trained", "trained again")
    rows = tuple(
        (
            arm_name(arm, method),
            *(f"{own[name]:,.0f}" for name in ("made", "rejected", "duplicates")),
            f"{own['hit_rate']:.1%}" if "hit_rate" in own else "-",
            *(f"{own[name]:,.0f}" for name in ("trained", "repeated")),
        )
        for arm, own in found.items()
    )
    notes = [
        "Hit rate: the share of duplicates, whose behaviour was known, among the candidates that were not rejected.",
        "A sample is drawn until one passes the filters: what was drawn on the way is not counted.",
    ]
    for own in found.values():
        if own["reasons"]:
            notes.append(f"Rejected: {', '.join(f'{n:,.0f} {reason}' for reason, n in own['reasons'].items())}.")
            notes.append(_DUPLICATES)
    columns = (Column("search", right=False), *map(Column, names))
    return Table("What became of candidates", columns, rows, note=" ".join(dict.fromkeys(notes)))


def render_trials(trials: Sequence[Trial], limit: int | None = None) -> str:
    """Return the table of trials for standard output, best first."""
    return render(trials_table(trials, limit=limit))


def describe(candidate: Mapping[str, Any]) -> str:
    """Return a candidate in one line: ``learning_rate=0.0003, n_steps=128``; arrays are left out."""
    return ", ".join(f"{name}={_value(value)}" for name, value in readable(candidate).items()) or "defaults"


def _ledger_row(arm: str, phase: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        arm,
        phase,
        str(row["trials"]),
        str(sum(row["failures"].values())),
        count(row["train_env_steps"]),
        count(row["evaluation_env_steps"]),
        count(row["updates"]),
        seconds(row["compile_seconds"]),
        seconds(row["wall_seconds"]),
    )


def _value(value: Any) -> str:
    """A hyperparameter as a person reads it: four digits, no more; the exact value is in the record and the YAML."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
