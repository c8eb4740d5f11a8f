"""Finds and builds what is measured."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from server import Programs

ROOT = Path(__file__).resolve().parent.parent.parent

# Where a program that a server needs comes from in Debian.
PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy", "wrk": "wrk", "openssl": "openssl"}


def build(package: str, profile: str = "release", environment: dict[str, str] | None = None) -> Path:
    """Builds a package by itself, so that no other one's choice of features reaches it; returns the folder of its
    programs."""
    command = ["cargo", "build", "--locked", "--profile", profile, "--package", package]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, **(environment or {})})
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, check=True, capture_output=True
    )
    return Path(json.loads(metadata.stdout)["target_directory"]) / profile


def find(name: str) -> str | None:
    # Debian keeps servers where a user's PATH does not look.
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")


def programs(servers: list[str], headgate: Path | None, load: bool = True) -> Programs:
    """All that these servers need; ends the program where something is not installed."""
    needed = {name for name in ("nginx", "haproxy") if any(server.startswith(name) for server in servers)}
    needed |= {"wrk"} if load else set()
    needed |= {"openssl"} if any("tls" in server for server in servers) else set()
    missing = [PACKAGES[name] for name in sorted(needed) if not find(name)]
    if missing:
        sys.exit(f"{sys.argv[0]} needs more programs: apt-get install {' '.join(missing)}")
    floor = build("headgate-bench-floor")
    if headgate is None and any(server.startswith("headgate") for server in servers):
        headgate = build("headgate") / "headgate"
    return Programs(
        floor=floor / "headgate-bench-floor",
        sink=floor / "headgate-bench-sink",
        headgate=headgate,
        nginx=find("nginx"),
        haproxy=find("haproxy"),
    )


def versions(servers: list[str]) -> list[str]:
    """Of the other servers, as they name themselves."""
    found = []
    if nginx := find("nginx") if any(name.startswith("nginx") for name in servers) else None:
        said = subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr
        found.append(said.strip().removeprefix("nginx version: "))
    if haproxy := find("haproxy") if "haproxy" in servers else None:
        said = subprocess.run([haproxy, "-v"], capture_output=True, text=True).stdout
        found.append(" ".join(said.split()[:3]))
    return found
