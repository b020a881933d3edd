"""The report's section about a curriculum: what the tested trainings played, how they came on, and what they can do in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from autorl.analysis import page
from autorl.analysis.curriculum import curriculum_of, curriculum_table
from autorl.analysis.curriculum_figures import curriculum_figure, curves_figure
from autorl.analysis.gallery import gallery_figure, gallery_of
from autorl.analysis.scores import arm_name
from autorl.analysis.task_success import task_success, task_success_figure
from autorl.errors import UsageError
from autorl.studies.trial import Arm, Json, Trial, in_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from autorl.studies.specification import Specification

_MOST_FEATURES = 4
"""Rows of heat maps on the page; more would make it heavy."""
Draw = Callable[["Figure", str], str]
"""Makes a figure, under a name, a part of the page."""


def readings(
    specification: Specification, trials: Sequence[Trial], lessons: Mapping[Arm, Sequence[Json]]
) -> list[Json]:
    """Return, of each environment tested in, ``{"environment", "reports_success", "arms": {arm: {"played", "exam", "levels"}}}``.

    ``played`` is as `autorl.analysis.curriculum.curriculum_of`, ``exam`` as `autorl.analysis.task_success.task_success`, ``levels`` as
    `autorl.analysis.gallery.gallery_of`; an arm without the first two is left out. Where the environment cannot be made here, ``missing``
    says why instead.

    Args:
        specification: The study's.
        trials: Of it, all or those of the test.
        lessons: Of the test trainings of each arm, as the record keeps them.
    """
    tested = {t.arm: t for t in trials if t.phase == "test" and lessons.get(t.arm)}
    where = sorted({one["environment"] for arm in tested for one in lessons[arm]})
    found = []
    for environment in where:
        name = specification.environments[environment].id
        try:
            found.append(_reading(specification, tested, lessons, environment))
        except UsageError as error:
            # an own environment may be out of reach where a report is made anew
            found.append({"environment": name, "missing": str(error), "arms": {}})
    return found


def _reading(
    specification: Specification, tested: Mapping[Arm, Trial], lessons: Mapping[Arm, Sequence[Json]], environment: int
) -> Json:
    from autorl.environments.check import reports_success
    from autorl.environments.registry import make_environment

    name = specification.environments[environment].id
    arms = {
        arm: {
            "played": curriculum_of(specification, lessons[arm], environment, tested[arm]),
            "exam": task_success(specification, lessons[arm], environment),
            "levels": gallery_of(specification, lessons[arm], environment),
        }
        for arm in in_order(tested)
    }
    told = {arm: own for arm, own in arms.items() if own["played"] or own["exam"]}
    return {"environment": name, "reports_success": reports_success(make_environment(name)), "arms": told}


def heading(found: Sequence[Json]) -> str:
    """Return what the section is called."""
    taught = any(own["played"] for one in found for own in one["arms"].values())
    return "Curriculum" if taught else "Held-out tasks"


def parts(found: Sequence[Json], study: str, method: str, draw: Draw) -> list[str]:
    """Return the parts of the section; none without a teacher or held-out tasks.

    Args:
        found: See `readings`.
        study: Its name.
        method: What its method is called (`autorl.analysis.scores.method_name`).
        draw: See `Draw`.
    """
    made: list[str] = []
    for i, one in enumerate(found):
        if "missing" in one:
            made.append(page.paragraph(f"{one['environment']} cannot be made here: {one['missing']}", "note"))
        played = {arm: own["played"] for arm, own in one["arms"].items() if own["played"]}
        exams = {arm: own["exam"] for arm, own in one["arms"].items() if own["exam"]}
        if played:
            lead = next(iter(played))
            who = arm_name(lead, method)
            made.append(page.paragraph(f"{one['environment']}, {who}: tasks of the trainings on test seeds."))
            made.append(page.table(curriculum_table(played[lead], one["reports_success"]), heading=True))
            made.append(draw(curriculum_figure(played[lead], who, _MOST_FEATURES), f"curriculum-{i}"))
            made.append(draw(curves_figure(played, method, one["environment"]), f"training-curves-{i}"))
            if levels := one["arms"][lead]["levels"]:
                made.append(draw(gallery_figure(levels, who), f"levels-{i}"))
        if exams:
            made.append(draw(task_success_figure(exams, method, one["environment"]), f"task-success-{i}"))
        if played:
            others = ", ".join(arm for arm in played if arm != next(iter(played)))
            also = f" The heat maps of another arm: --arm ARM, of {others}." if others else ""
            made.append(page.paragraph(f"autorl curriculum show {study} draws these anew.{also}", "note"))
    return made
