"""A run of the real processes, as a command, and what its summary says of each stage and hop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import harness
from ops import cache

HOT = 4  # two feeds, detector, gateway: a core each, and one for the venues
SPARE_S = 40.0  # starting, getting trusted, stopping


def live(seconds: int) -> dict[str, object]:
    """Percentiles of every stage of a run of `arb-supervisor` with its own world, in a state folder
    and under names of its own. Nothing of it is judged on too few cores."""
    with tempfile.TemporaryDirectory(prefix="arb-bench-") as folder:
        summary = _summary(seconds, folder)
    cores = harness.cores()
    figures: dict[str, object] = {
        "verdict": "no verdict: shown only"
        if cores > HOT
        else f"no verdict: {cores} cores, {HOT + 1} wanted",
        "orders_informative": summary["orders"],
        "fills_informative": summary["fills"],
        "waiting_informative": summary["waiting"],
        "tick_to_order_ns_informative": summary["tick_to_order_ns"],
        "wire_to_order_ns_informative": summary["wire_to_order_ns"],
        "stages_ns_informative": summary["stages_ns"],
    }
    assert summary["orders"] > 0, summary
    return figures


def _summary(seconds: int, folder: str) -> dict[str, Any]:
    """The object that the command prints. Compiled kernels are shared with this process."""
    (Path(folder) / "kernels").symlink_to(cache.state_dir() / "kernels")
    names = {"ARB_STATE_DIR": folder, "ARB_NAME": f"arb-bench-{os.getpid()}"}
    command = [sys.executable, "-m", "ops.supervisor_cli", "start", "--json"]
    done = subprocess.run(
        [*command, "--for", str(seconds)], env=os.environ | names,
        capture_output=True, text=True, timeout=seconds + SPARE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"arb-supervisor: exit {done.returncode}: {done.stderr[-400:]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found
