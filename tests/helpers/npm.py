"""Programs of Node.js in folders of the tests, with what their package-lock.json pins."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.helpers.processes import program

OLDEST_NODE = 20
INSTALL_SECONDS = 240


def node() -> str:
    """The path of Node.js. Skips the test where there is none, or only an old one."""
    path = program("node", "nodejs")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"these packages need Node.js {OLDEST_NODE} or later, and this is {version}")
    return path


def install(folder: Path) -> None:
    """Install what package-lock.json pins, once for each state of that file."""
    installed = folder / "node_modules" / ".installed"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if installed.exists() and installed.read_text() == wanted:
        return
    command = [program("npm", "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    assert done.returncode == 0, done.stderr
    installed.write_text(wanted)


def installed_version(folder: Path, package: str) -> str:
    """The version of a package in this folder's node_modules."""
    metadata = json.loads((folder / "node_modules" / package / "package.json").read_text())
    return str(metadata["version"])
