"""What it takes to run the study again, and the reproducibility checklist of Eimer et al. (2023), filled in from the record.

Source: Eimer, Lindauer and Raileanu (2023), Hyperparameters in Reinforcement Learning and How To Tune Them, checklist.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from autorl.analysis.scores import count, environments, plural, seconds
from autorl.analysis.tables import Column, Table
from autorl.spaces import Bool, Categorical, Fixed, Float, Int, Space
from autorl.spaces.columns import columns
from autorl.studies.trial import Json, Phase, Trial

_OPEN = "not known"


_PHASES: Mapping[str, Phase] = {"search": "search", "tuning": "finalists", "test": "test"}
"""Whose trials have the seeds of a role."""


def checklist(
    result: Json,
    specification: Mapping[str, Any],
    manifest: Mapping[str, Any],
    space: Space | None,
    trials: Sequence[Trial] = (),
) -> Table:
    """Return the checklist: what a paper is asked to report, and this study's answer.

    Seeds are those of the manifest and all that ``trials`` were trained on: a race, and a candidate that is tried again, take further ones.
    """
    seeds = _used(manifest.get("seeds") or {}, trials)
    budget = specification.get("budget") or {}
    work = result["work"]
    wall = sum(row["wall_seconds"] for row in result["ledger"])
    rows = [
        ("Training and tuning see only the training setting", _setting(specification)),
        (
            "Package and method",
            f"AutoRL {manifest.get('autorl') or _OPEN}, method {result['method']}{_settings(specification)}",
        ),
        ("Configuration space with ranges and scales", _space_name(specification, space)),
        ("Same ranges for what the compared arms share", _shared(result, specification)),
        (
            "Cost metric",
            "environment steps of training; gradient updates, evaluation steps and seconds beside it (Work)",
        ),
        ("Tuning budget, the same for all", f"{_budget(budget)}. {work['sentence']}"),
        ("Hardware", f"{_hardware(manifest)}; {seconds(wall)} of wall time in all"),
        ("Search seeds", _search_seeds(seeds.get("search"), (specification.get("seeds") or {}).get("search"))),
        ("Tuning seeds", _seeds(seeds.get("tuning"), (specification.get("seeds") or {}).get("tuning"))),
        ("Test seeds", _seeds(seeds.get("test"), (specification.get("seeds") or {}).get("test"))),
        ("Tuning and test seeds are disjoint", _disjoint(seeds)),
        ("All results are on test seeds", _results(result)),
        ("Final incumbent configuration", "under Winner, ready to copy" if result["winner"] else "none yet"),
        ("Code, tuning included", _code(manifest)),
        ("Exact environment", _environment(manifest)),
    ]
    columns_ = (Column("asked for", right=False), Column("this study", right=False))
    return Table("Reproducibility checklist", columns_, tuple(rows), note="After Eimer, Lindauer and Raileanu (2023).")


def space_table(space: Space | None) -> Table:
    """Return every dimension: its kind, range, scale and when it exists."""
    conditions = getattr(space, "conditions", {})
    rows = []
    for name, dimension in columns(space).items():
        condition = conditions.get(name)
        when = f"{condition.parent} is {' or '.join(map(_word, condition.values))}" if condition else ""
        rows.append((name, *_dimension(dimension), when))
    heads = ("hyperparameter", "kind", "range", "scale", "exists when")
    return Table("Search space", tuple(Column(head, right=False) for head in heads), tuple(rows))


def reproduction(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is known of how the study was run: terms and values."""
    git = manifest.get("git") or {}
    commit = git.get("commit")
    if commit and git.get("changed"):
        commit += " (with uncommitted changes)"
    packages = manifest.get("packages") or {}
    entries = [
        ("Command", shlex.join(map(str, manifest.get("command") or [])) or None),
        ("Started", manifest.get("started")),
        ("Device", _device(manifest.get("device"))),
        (
            "Processor",
            f"{manifest.get('processor')}, {plural(manifest['cpus'], 'core')}" if manifest.get("cpus") else None,
        ),
        ("Platform", manifest.get("platform")),
        ("Python", manifest.get("python")),
        ("Packages", ", ".join(f"{name} {version}" for name, version in packages.items()) or None),
        ("Commit", commit),
        *[(f"Resumed {r.get('started')}", "; ".join(r.get("changed", []))) for r in manifest.get("resumed", [])],
    ]
    return [(name, str(value)) for name, value in entries if value]


def _setting(specification: Mapping[str, Any]) -> str:
    def named(listed: Sequence[Mapping[str, Any]]) -> str:
        return ", ".join(str(e.get("id")) for e in listed)

    searched, tested = environments(specification, "search"), environments(specification, "test")
    if not tested:
        return "the user's own objective"
    if searched != tested:
        return f"yes: searched in {named(searched)}; tested in {named(tested)}, which the search never saw"
    return f"yes: {named(tested)}; phases differ only in their seeds"


def _settings(specification: Mapping[str, Any]) -> str:
    search = specification.get("search") or {}
    policy = search.get("policy")
    settings = {
        **(search.get("settings") or {}),
        **((policy.get("settings") or {}) if isinstance(policy, Mapping) else {}),
    }
    return f" ({', '.join(f'{k} {v}' for k, v in settings.items())})" if settings else " with its default settings"


def _space_name(specification: Mapping[str, Any], space: Space | None) -> str:
    if space is None:
        return "nothing is searched"
    reference = (specification.get("search") or {}).get("space")
    name = reference if isinstance(reference, str) else space.name
    return f"{name}, {plural(len(columns(space)), 'dimension')} (Search space, below)"


def _shared(result: Json, specification: Mapping[str, Any]) -> str:
    if "random" in result["arms"] or any(row["arm"] == "random" for row in result["ledger"]):
        return f"yes: {result['method']} and random search draw from the same space"
    return "no second search to compare with"


def _budget(budget: Mapping[str, Any]) -> str:
    trainings, steps = budget.get("trainings"), budget.get("env_steps")
    return f"{plural(trainings, 'training')} of {count(steps)} environment steps" if trainings and steps else _OPEN


def _hardware(manifest: Mapping[str, Any]) -> str:
    parts = [manifest.get("processor"), plural(manifest["cpus"], "core") if manifest.get("cpus") else None]
    return ", ".join(str(part) for part in [*parts, _device(manifest.get("device"))] if part) or _OPEN


def _device(device: Any) -> str | None:
    return ", ".join(map(str, device)) if isinstance(device, list | tuple) else (str(device) if device else None)


def _seeds(listed: Sequence[int] | None, amount: int | None) -> str:
    if listed:
        return f"{len(listed)}: {', '.join(map(str, listed))}"
    return str(amount) if amount else _OPEN


def _search_seeds(listed: Sequence[int] | None, amount: int | None) -> str:
    """As `_seeds`; says where some were for some trials alone."""
    further = len(listed or ()) - (amount or 0)
    said = f" ({amount} of every trial, {further} of trials that were trained on more)"
    return _seeds(listed, amount) + (said if amount and further > 0 else "")


def _used(seeds: Mapping[str, Sequence[int]], trials: Sequence[Trial]) -> dict[str, list[int]]:
    """Return the seeds of each role: the manifest's, then others that trials of its phase were trained on."""
    found: dict[str, list[int]] = {}
    for role, phase in _PHASES.items():
        others = sorted({seed for t in trials if t.phase == phase for seed in t.seeds})
        found[role] = list(dict.fromkeys([*(seeds.get(role) or ()), *others]))
    return found


def _disjoint(seeds: Mapping[str, Any]) -> str:
    """Whether no test seed is a search or tuning seed: looked up, not promised."""
    roles = {role: set(seeds.get(role) or ()) for role in _PHASES}
    if not roles["test"]:
        return _OPEN
    shared = sorted(roles["test"] & (roles["search"] | roles["tuning"]))
    return f"NO: {', '.join(map(str, shared))} play both roles" if shared else "yes, compared seed by seed"


def _results(result: Json) -> str:
    if not result["arms"]:
        return "there is no result yet"
    failed = sum(arm["failed"] for arm in result["arms"].values())
    protocol = result["protocol"]
    return f"yes: {protocol['statistic']}, {protocol['interval']}; {failed} failed, {protocol['failures']}"


def _code(manifest: Mapping[str, Any]) -> str:
    git = manifest.get("git") or {}
    version = f"AutoRL {manifest.get('autorl') or _OPEN}"
    return f"{version}, commit {git['commit']}" if git.get("commit") else version


def _environment(manifest: Mapping[str, Any]) -> str:
    packages = manifest.get("packages") or {}
    python = f"Python {manifest.get('python') or _OPEN}"
    return f"{python} and {plural(len(packages), 'package version')} (Reproduction)" if packages else python


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _dimension(dimension: Any) -> tuple[str, str, str]:
    if isinstance(dimension, Float):
        return "real", f"{dimension.low:g} to {dimension.high:g}", dimension.scale.replace("_", " ")
    if isinstance(dimension, Int):
        return "whole", f"{dimension.low} to {dimension.high}", "log" if dimension.log else "linear"
    if isinstance(dimension, Categorical):
        return "choice", ", ".join(map(str, dimension.choices)), dimension.feature
    if isinstance(dimension, Bool):
        return "choice", "false, true", ""
    assert isinstance(dimension, Fixed)
    return "fixed", str(dimension.value), ""
