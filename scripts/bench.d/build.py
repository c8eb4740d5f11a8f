"""Builds what is measured."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def build(package: str) -> Path:
    """Builds a package by itself, so that no other one's choice of features reaches it; returns the folder of its
    programs."""
    command = ["cargo", "build", "--release", "--package", package]
    subprocess.run(command, cwd=ROOT, check=True)
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, check=True, capture_output=True
    )
    return Path(json.loads(metadata.stdout)["target_directory"]) / "release"
