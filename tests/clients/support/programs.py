"""Running client programs: where they are, and whether they complained."""
import os
import pathlib
import shutil
import subprocess

from support.registry import Skipped, check, check_equal, shorten
from support.waiting import PATIENCE

CLIENTS = pathlib.Path(__file__).resolve().parents[1]
TARGET = CLIENTS.parents[1] / "target"
VENV_PYTHON = TARGET / "clients-venv" / "bin" / "python"
NODE_MODULES = TARGET / "clients-node" / "node_modules"

# Debian keeps servers where a user's PATH does not look.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def find(program: str) -> str:
    """The path of a program; skips the test when it is not installed."""
    path = shutil.which(program, path=SEARCH_PATH)
    if path is None:
        raise Skipped(f"{program} is not installed (see tests/clients/install)")
    return path


def find_node(package: str) -> tuple[str, dict[str, str]]:
    """Node and the environment in which it finds the packages of `node/package.json`."""
    node = find("node")
    if not (NODE_MODULES / package).is_dir():
        raise Skipped(f"the npm package {package} is not installed (see tests/clients/install)")
    return node, os.environ | {"NODE_PATH": str(NODE_MODULES)}


def find_venv_python() -> str:
    """The Python that has the packages of `requirements.txt`."""
    if not VENV_PYTHON.exists():
        raise Skipped("the Python packages are not installed (see tests/clients/install)")
    return str(VENV_PYTHON)


def run(command: list, stdin: bytes | None = None, **options) -> bytes:
    """Runs a client to its end and returns its standard output; any word on standard error is a complaint."""
    done = subprocess.run(
        [str(word) for word in command], input=stdin if stdin is not None else b"",
        check=False, capture_output=True, timeout=2 * PATIENCE, **options)
    name = pathlib.Path(str(command[0])).name
    complaint = shorten(done.stderr.decode(errors="replace"))
    check_equal(f"exit status of {name} ({complaint})", done.returncode, 0)
    check(not done.stderr, f"{name} complains: {complaint}")
    return done.stdout


def stop(process: subprocess.Popen) -> int:
    """Asks a program that was started by a test to end; returns its exit status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
