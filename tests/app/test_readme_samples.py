"""The samples of the README's "Make it yours", put where it says, in a copy of the project."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.helpers.processes import ROOT

CHAPTER = re.search(
    r"^## Make it yours\n(.*?)^## ", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
)
SAMPLE = re.compile(r"<!-- sample: (\S+) -->\n```\w+\n(.*?)```\n", re.DOTALL)
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "venv", ".sessions", ".env", ".*_cache", "node_modules")
BEFORE_SIGN_OUT = "# --- Sign out ---"

# What the samples do, besides what their own tests say.
MORE_TESTS = """
from tests.helpers.browser import Browser


def test_orders(browser: Browser) -> None:
    assert "Orders A lamp" in browser.sign_in(start="/orders").text


def test_script(browser: Browser) -> None:
    browser.sign_in(start="/reports/2024")
    assert '<script type="module" src="/static/report.js">' in browser.page.text
    assert browser.get("/static/report.js").headers["Content-Type"].startswith("text/javascript")
"""
WITHOUT_DEMO = """
from tests.helpers.browser import Browser


def test_no_page_of_the_demo_is_left(browser: Browser) -> None:
    browser.sign_in()
    for path in ("/token_details", "/call_downstream_api", "/add_task"):
        assert browser.get(path).status_code == 404
        assert path not in browser.get("/").text


def test_the_home_page_does_not_speak_of_the_demo(browser: Browser) -> None:
    browser.get("/")
    for words in ("This app shows", "web API", "learns about you"):
        assert words not in browser.text
    assert "you can edit your profile." in browser.text


def test_the_rest_works(browser: Browser) -> None:
    assert browser.sign_in(start="/edit_profile").page.status_code == 200
    assert browser.signed_in_as() == "Ada Lovelace"
    browser.post("/logout")
    assert browser.signed_in_as() is None
"""


def chapter() -> str:
    assert CHAPTER
    return CHAPTER[1]


class Orders(BaseHTTPRequestHandler):
    """The API of the sample."""

    def do_GET(self) -> None:
        is_allowed = self.path == "/orders" and self.headers["Authorization"].startswith("Bearer ey")
        self.send_response(200 if is_allowed else 403)
        self.end_headers()
        self.wfile.write(json.dumps([{"title": "A lamp"}]).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def orders_api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Orders) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project."""
    return Path(shutil.copytree(ROOT, tmp_path / "project", ignore=LEFT_OUT))


def add_sample(copy: Path, name: str, text: str) -> None:
    file = copy / name
    if name == "app.py":
        file.write_text(file.read_text().replace(BEFORE_SIGN_OUT, f"{text}\n\n{BEFORE_SIGN_OUT}"))
    elif file.exists():  # a second sample for a page
        before, content, after = file.read_text().partition("{% block content %}")
        file.write_text(before + text + content + after)
    else:
        file.write_text(text)


def run_tests(copy: Path, *names: str) -> None:
    """Run these tests of the copy, with its own app and local tenant."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *names]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def unused_imports(source: str) -> set[str]:
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = {name.asname or name.name for node in imports for name in node.names}
    return imported - {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_the_samples_work(copy: Path, orders_api: str) -> None:
    for name, text in SAMPLE.findall(chapter()):
        text = text.replace("https://orders.contoso.com", orders_api)
        text = text.replace(
            "https://contoso.onmicrosoft.com/orders-api/orders.read",
            "https://localtenant.onmicrosoft.com/notes-api/notes.read",
        )
        add_sample(copy, name, text)
    (copy / "tests/app/test_more.py").write_text(MORE_TESTS)

    run_tests(copy, "tests/app/test_reports.py", "tests/app/test_more.py")


def test_every_block_of_code_is_a_sample() -> None:
    assert chapter().count("```") == 2 * len(SAMPLE.findall(chapter()))


def test_the_demo_can_be_deleted_as_described(copy: Path) -> None:
    [described] = re.findall(
        r"^### Remove the demo\n.*?\n\n((?:- .*\n)+)", chapter(), re.MULTILINE | re.DOTALL
    )
    assert "- the part *The demo* of `app.py`" in described
    assert "its imports `call_api` and `show_sign_in_page`" in described
    app = copy / "app.py"
    without, parts = re.subn(
        r"^# --- The demo:.*?(?=^# --- )", "", app.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    without, imports = re.subn(r"^    (call_api|show_sign_in_page),\n", "", without, flags=re.MULTILINE)
    app.write_text(without)
    for name in re.findall(r"^- `(.+)`$", described, re.MULTILINE):
        (copy / name).unlink()
    (copy / "tests/app/test_without_demo.py").write_text(WITHOUT_DEMO)

    assert (parts, imports) == (1, 2)
    assert unused_imports(without) == set()
    run_tests(copy, "tests/app/test_without_demo.py")
