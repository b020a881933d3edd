"""The registry of learning algorithms. A new algorithm is one new file and one line here."""

from __future__ import annotations

from typing import Any

from autorl.registry import Registry

ALGORITHMS: Registry[Any] = Registry(
    "learner",
    {
        "ppo": "autorl.inner.ppo:PPO",
        "paired_ppo": "autorl.inner.paired_ppo:PairedPPO",
        "dqn": "autorl.inner.dqn:DQN",
        "sac": "autorl.inner.sac:SAC",
        "tabular": "autorl.inner.tabular:TabularQ",
    },
)
