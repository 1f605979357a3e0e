"""The pytest plugin, by the example of its README."""

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

README = Path(__file__).resolve().parent.parent.parent / "local_tenant" / "README.md"


def samples() -> dict[str, str]:
    """The files that the README shows, by name."""
    text = README.read_text(encoding="utf-8")
    return dict(re.findall(r"<!-- sample: (\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL))


def test_the_example_of_the_readme_passes(pytester: pytest.Pytester) -> None:
    for name, text in samples().items():
        (pytester.path / name).write_text(text, encoding="utf-8")

    result = pytester.runpytest("-p", "local_tenant.pytest_plugin", "-p", "no:xdist")

    result.assert_outcomes(passed=4)
