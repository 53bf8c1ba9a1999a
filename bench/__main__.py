# ruff: noqa: T201 - a command prints
"""`python -m bench` lists the benches; `python -m bench NAME… [--json] [--quick]` runs them."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import pkgutil
import sys

from ops import cache

cache.use()

import bench  # noqa: E402
from bench import harness  # noqa: E402

_EPILOG = "example: python -m bench slot ring --json"


def found() -> dict[str, str]:
    """Every bench and the first line of its head."""
    benches = {}
    for module in pkgutil.iter_modules(bench.__path__):
        loaded = None
        if not module.name.startswith("_") and module.name != "harness":
            loaded = importlib.import_module(f"bench.{module.name}")
        if loaded is not None and hasattr(loaded, "run"):
            benches[module.name] = (loaded.__doc__ or "").strip().splitlines()[0]
    return dict(sorted(benches.items()))


def show(figures: dict[str, object], indent: str = "  ") -> None:
    """A bench's figures as an indented table."""
    width = max((len(name) for name in figures), default=0)
    for name, value in figures.items():
        if isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
            print(f"{indent}{name}")
            show(value, indent + "  ")
        elif isinstance(value, dict):
            cells = "  ".join(f"{k} {v:,}" if isinstance(v, int | float) else f"{k} {v}"
                              for k, v in value.items())  # fmt: skip
            print(f"{indent}{name:<{width}}  {cells}")
        else:
            print(f"{indent}{name:<{width}}  {value}")


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 2 for a name that is no bench."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, epilog=_EPILOG)
    parser.add_argument("names", nargs="*", metavar="NAME", help="benches to run; none: list them")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--quick", action="store_true", help="a few seconds each, coarser figures")
    parser.add_argument("--seconds", type=float, help="how long, for a bench that runs for a time")
    parser.add_argument("--rate", type=int, help="frames a second, for a bench that has a rate")
    options = parser.parse_args(arguments)
    benches = found()
    if unknown := [name for name in options.names if name not in benches]:
        known = ", ".join(benches)
        print(f"bench: no bench named {', '.join(unknown)}; there are: {known}", file=sys.stderr)
        return 2
    if not options.names:
        if options.json:
            print(json.dumps({"benches": benches}))
        else:
            for name, head in benches.items():
                print(f"{name:<16} {head}")
        return 0
    results: dict[str, object] = {"machine": harness.machine()}
    if not options.json:
        show(results)
    for name in options.names:
        act = importlib.import_module(f"bench.{name}").run
        told = {"seconds": options.seconds, "rate": options.rate}
        takes = inspect.signature(act).parameters
        figures = act(options.quick, **{key: told[key] for key in told if key in takes})
        results[name] = figures
        if not options.json:
            print(name)
            show(figures)
    if options.json:
        print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
