"""The frame of a peer that signs: what it is told from standard input, each job once per item, ns
and result of each to standard output. Nothing of this project is imported.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Job = Callable[[Any], str]
WARM = 3  # items before the first that is timed


def serve(make: Callable[[dict[str, Any]], dict[str, Job]]) -> None:
    """`make` gives the jobs by name; {name: {"took_ns": [...], "left": [...]}} is answered."""
    told = json.load(sys.stdin)
    answer = {}
    for name, job in make(told).items():
        items = told["items"]
        for item in items[:WARM]:
            job(item)
        took, left = [], []
        for item in items:
            start = time.perf_counter_ns()
            found = job(item)
            took.append(time.perf_counter_ns() - start)
            left.append(found)
        answer[name] = {"took_ns": took, "left": left}
    json.dump(answer, sys.stdout)
