"""The local tenant as a package of its own: what its pyproject.toml says is what it has and needs."""

import ast
import re
import sys
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).resolve().parent.parent.parent / "local_tenant"
NOT_PACKAGED = {"LICENSE", "pyproject.toml"}  # the licence is beside the package, in its metadata
# Comes with another package, or is there only for those who use the plugin.
IMPLIED = {"werkzeug": "flask", "pytest": ""}


def project() -> dict[str, Any]:
    return tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))


def source_files() -> list[Path]:
    made = {"__pycache__", "build", "local_tenant.egg-info"}
    return [
        path
        for path in FOLDER.rglob("*")
        if path.is_file() and not made & set(path.relative_to(FOLDER).parts)
    ]


def imported_packages() -> set[str]:
    """The top-level names of everything that the source imports from elsewhere."""
    names = set[str]()
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"local_tenant"}


def test_the_package_names_all_that_it_imports() -> None:
    declared = {re.split(r"[^\w-]", line)[0] for line in project()["project"]["dependencies"]}
    distributions = packages_distributions()
    needed = {IMPLIED.get(name, distributions.get(name, [name])[0]) for name in imported_packages()}

    assert {name.lower() for name in needed if name} <= declared


def test_every_file_goes_into_the_package() -> None:
    settings = project()["tool"]["setuptools"]
    folders = {name: FOLDER.joinpath(*name.split(".")[1:]) for name in settings["packages"]}
    patterns = [
        f"{folders[name].relative_to(FOLDER).as_posix()}/{pattern}".removeprefix("./")
        for name in folders
        for pattern in ["*.py", *settings["package-data"].get(name, [])]
    ]
    files = {path.relative_to(FOLDER).as_posix() for path in source_files()}
    packed = {
        file
        for file in files
        for pattern in patterns
        if fnmatch(file, pattern) and file.count("/") == pattern.count("/")
    }

    assert files - packed == NOT_PACKAGED
