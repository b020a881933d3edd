"""MLflow: the study is a run, each trial a child of it with its parameters, metrics and learning curve.

Where it goes is said by MLflow's own variables (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME); a resumed study goes on in its run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from autorl.interop.loggers.protocol import Entry, Run

_MOST_METRICS = 1000
"""MLflow takes so many in one call."""
_IDENTITY = "autorl.study"


class MLflow:
    """See the module."""

    package: ClassVar[str] = "mlflow"
    extra: ClassVar[str] = "mlflow"

    def __init__(self, run: Run) -> None:
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "autorl")
        found = self._client.get_experiment_by_name(name)
        self._experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        self._study = self._begin(run)

    def trial(self, entry: Entry) -> None:
        """Write one trial that has ended."""
        from mlflow.entities import Metric, Param, RunTag

        tags = {"mlflow.parentRunId": self._study, "group": entry.group}
        made = self._client.create_run(self._experiment, tags=tags, run_name=f"{entry.group}/{entry.number}")
        now, identity = int(time.time() * 1000), made.info.run_id
        points = [Metric(name, float(value), now, 0) for name, value in entry.numbers.items()]
        points += [Metric("curve", value, now, step) for step, value in entry.curve.items()]
        for first in range(_MOST_METRICS, len(points), _MOST_METRICS):
            self._client.log_batch(identity, metrics=points[first : first + _MOST_METRICS])
        self._client.log_batch(
            identity,
            metrics=points[:_MOST_METRICS],
            params=[Param(name, str(value)) for name, value in entry.hyperparameters.items()],
            tags=[RunTag(name, text) for name, text in entry.texts.items()],
        )
        completed = "score" in entry.numbers or entry.texts["status"] == "pruned"
        self._client.set_terminated(identity, status="FINISHED" if completed else "FAILED")
        if "score" in entry.numbers:
            self._client.log_metric(self._study, f"{entry.group}/score", entry.numbers["score"], step=entry.number)

    def close(self) -> None:
        """End the study's run."""
        self._client.set_terminated(self._study, status="FINISHED")

    def _begin(self, run: Run) -> str:
        """Return the id of the study's run: that of an earlier part of the study, or a new one."""
        before = self._client.search_runs(
            [self._experiment], filter_string=f"tags.`{_IDENTITY}` = '{run.identity}'", max_results=1
        )
        if before:
            identity = str(before[0].info.run_id)
            self._client.update_run(identity, status="RUNNING")
            return identity
        made = self._client.create_run(self._experiment, tags={_IDENTITY: run.identity}, run_name=run.name)
        for name, value in _parameters(run.specification).items():
            self._client.log_param(made.info.run_id, name, value)
        return str(made.info.run_id)


def _parameters(specification: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells one study from another."""
    search, budget = specification.get("search") or {}, specification.get("budget") or {}
    learner, seeds = specification.get("learner") or {}, specification.get("seeds") or {}
    found = {
        "method": search.get("method"),
        "learner": learner.get("algorithm"),
        "trainings": budget.get("trainings"),
        "env_steps": budget.get("env_steps"),
        "seed": seeds.get("study"),
    }
    return {name: value for name, value in found.items() if value is not None}
