"""Trains with ARLBench's own code, as ``arlbench_speed.py`` asks. Runs under a Python that has arlbench and nothing of ours.

Standard input: one JSON object a line, ``{"setting": configuration of AutoRLEnv, "hyperparameters": {...}, "seed": 0}``.
Standard output: one a line, ``{"seconds": wall, "cpu_seconds": of all threads, "score": mean return of the last evaluation}``.
"""

import json
import sys
import time
from collections import UserDict


def main():
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing that a library prints may come between
    began, used = time.perf_counter(), time.process_time()
    import warnings

    warnings.filterwarnings("ignore")
    from arlbench import AutoRLEnv

    seconds = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
    print(json.dumps({**seconds, "score": None}), file=answers, flush=True)  # the imports
    for line in sys.stdin:
        asked = json.loads(line)
        began, used = time.perf_counter(), time.process_time()
        environment = AutoRLEnv(config={**asked["setting"], "seed": asked["seed"]})
        environment.reset()
        configuration = UserDict(environment.config_space.get_default_configuration())
        for name, value in asked[
            "hyperparameters"
        ].items():  # no dict: arlbench would refuse batches that its experiments used
            configuration[name] = value
        _, objectives, _, _, _ = environment.step(configuration)
        seconds = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
        print(json.dumps({**seconds, "score": float(objectives["reward_mean"])}), file=answers, flush=True)


if __name__ == "__main__":
    main()
