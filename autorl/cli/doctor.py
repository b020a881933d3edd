"""``autorl doctor``: whether this installation can do its work, and how fast it is likely to be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Annotated, Any

import typer

EXTRAS = {
    "torch": "search method gp",
    "optuna_dashboard": "the live dashboard",
    "stable_baselines3": "the benchmarks",
    "tensorboardX": "--log tensorboard",
    "wandb": "--log wandb",
    "mlflow": "--log mlflow",
}
LOW_DISK_GB = 1.0


def doctor(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check versions, devices, catalogues, caches and disk; exit 1 if something needed does not work."""
    from autorl.cli.output import print_json, print_table

    checks = [_run(name, check) for name, check in _CHECKS.items()]
    if json:
        print_json({"ok": all(c["ok"] for c in checks), "checks": checks})
    else:
        print_table("", ["check", "ok", "what"], [[c["check"], "yes" if c["ok"] else "NO", c["what"]] for c in checks])
    if not all(c["ok"] for c in checks):
        raise typer.Exit(1)


def _run(name: str, check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"check": name, "ok": True, "what": check()}
    except Exception as error:  # whatever is broken here is what the user wants to be told
        return {"check": name, "ok": False, "what": f"{type(error).__name__}: {error}"}


def _versions() -> str:
    from autorl.studies.manifest import manifest

    about = manifest()
    wanted = ("jax", "flax", "optax", "evosax", "optuna", "gymnax", "numpy")
    found = about["packages"]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise RuntimeError(f"not installed: {', '.join(missing)}; reinstall autorl")
    return f"autorl {about['autorl']}, python {about['python']}, " + ", ".join(f"{n} {found[n]}" for n in wanted)


def _extras() -> str:
    import importlib.util

    parts = [f"{n} {'yes' if importlib.util.find_spec(n) else 'no'} ({use})" for n, use in EXTRAS.items()]
    return ", ".join(parts)


def _devices() -> str:
    from autorl.engine.devices import cores, start

    devices = start()
    return f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform}); {cores()} cores"


def _catalogues() -> str:
    from autorl.catalogue import KINDS, names

    counts = {kind: len(names(kind)) for kind in KINDS}
    if not counts["experiments"] or not counts["search_spaces"]:
        raise RuntimeError("the shipped catalogues were not found; reinstall autorl")
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _cache() -> str:
    from autorl.engine.devices import cache_folder

    folder = cache_folder()
    return f"compiled programs in {folder}" if folder else "no writable cache folder: every run compiles anew"


def _disk() -> str:
    free = shutil.disk_usage(".").free / 2**30
    if free < LOW_DISK_GB:
        raise RuntimeError(f"{free:.1f} GB free here; studies need at least {LOW_DISK_GB:.0f}")
    return f"{free:.0f} GB free here"


def _record() -> str:
    import sqlite3

    return f"SQLite {sqlite3.sqlite_version}"


_CHECKS: dict[str, Callable[[], str]] = {
    "versions": _versions,
    "extras": _extras,
    "devices": _devices,
    "catalogues": _catalogues,
    "cache": _cache,
    "record": _record,
    "disk": _disk,
}
