#!/usr/bin/env python3
"""Runs Headgate's tests with real, unchanged clients and real data, from outside, each against a server of its own.

    tests/clients/install                                          installs the client programs
    tests/clients/run.py [--bin PATH] [-j N] [--keep] [PATTERN…]   runs the tests whose name has a part that fits a PATTERN

One line a test, `ok NAME (s)`, `FAIL NAME: reason` or `skip NAME: reason`; the last line is the sum. Exit status 0 or 1.
A test is skipped only where its client program is not installed.
"""
import argparse
import concurrent.futures
import importlib
import os
import pathlib
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

from support import data  # noqa: E402
from support.registry import CASES, Case, Failed, Sandbox, Skipped  # noqa: E402


def main() -> int:
    """Runs what the command line asks for; returns the exit status."""
    arguments = _parse_arguments()
    binary = _find_binary(arguments.bin)
    for module in sorted((HERE / "cases").glob("[!_]*.py")):
        importlib.import_module(f"cases.{module.stem}")
    chosen = [case for case in CASES if case.matches(arguments.patterns)]
    if not chosen:
        print(f"no test fits {arguments.patterns}", file=sys.stderr)
        return 1
    print(f"binary: {binary}\n{data.describe()}", flush=True)
    workspace = pathlib.Path(tempfile.mkdtemp(prefix="headgate-clients-"))
    try:
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            outcomes = list(pool.map(lambda case: _run(case, binary, workspace / case.name), chosen))
    finally:
        if arguments.keep:
            print(f"folders of failed tests: {workspace}")
        else:
            shutil.rmtree(workspace, ignore_errors=True)
    passed, failed, skipped = (outcomes.count(outcome) for outcome in ("ok", "FAIL", "skip"))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


def _run(case: Case, binary: pathlib.Path, folder: pathlib.Path) -> str:
    folder.mkdir()
    started = time.monotonic()
    try:
        case.function(Sandbox(binary, folder), *case.arguments)
        outcome, remark = "ok", f" ({time.monotonic() - started:.1f})"
    except Skipped as reason:
        outcome, remark = "skip", f": {reason}"
    except Failed as reason:
        outcome, remark = "FAIL", f": {reason}"
    # A fault in a test, or a client that hangs, must not keep the other tests from running.
    except Exception as fault:
        outcome, remark = "FAIL", f": {type(fault).__name__}: {fault}"
    if outcome != "FAIL":
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{outcome} {case.name}{remark}", flush=True)
    return outcome


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, help="the program under test")
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="how many tests run at a time")
    parser.add_argument("--keep", action="store_true", help="keep the folders of failed tests: data, configuration, logs")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    return parser.parse_args()


def _find_binary(named: pathlib.Path | None) -> pathlib.Path:
    if named is None and "HEADGATE_BIN" in os.environ:
        named = pathlib.Path(os.environ["HEADGATE_BIN"])
    target = HERE.parents[1] / "target"
    candidates = [named] if named else [target / "release" / "headgate", target / "debug" / "headgate"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    sys.exit(f"no program to test: {' and '.join(map(str, candidates))} not found; build it, or name it with --bin")


if __name__ == "__main__":
    sys.exit(main())
