"""`python -m local_tenant`, run as a program."""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dotenv
import pytest
import requests

from local_tenant import LocalTenant, cli

ROOT = Path(__file__).resolve().parent.parent
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no POSIX signals and terminals")
ANSWER_SECONDS = 20
OPTIONAL = (
    "REDIS_URL",
    "SECRET_KEY_FALLBACKS",
    "SESSION_DIR",
    "SESSION_IDLE_MINUTES",
    "SESSION_ABSOLUTE_MINUTES",
)

SHOW_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"
# Says that it is ready, counts interrupts for a moment, and ends with 40 and their number.
COUNT_SIGNALS = """
import signal, sys, time
seen = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: seen.append(number))
print("ready", flush=True)
while not seen:
    time.sleep(0.01)
time.sleep(0.2)
sys.exit(40 + len(seen))
"""
# Counts the signal it is told, says when it is ready for the next, and ends with 40 and their number.
COUNT_ORDERS = """
import signal, sys, time
name, wanted = sys.argv[1], int((sys.argv[2:] or ["4"])[0])
seen = []
signal.signal(getattr(signal, name), lambda number, frame: seen.append(number))
for count in range(wanted):
    print("ready", flush=True)
    while len(seen) <= count:
        time.sleep(0.01)
sys.exit(40 + len(seen))
"""


def command(*arguments):
    return [sys.executable, "-m", "local_tenant", "--port", "0", *arguments]


def environment(**changes):
    unwanted = {"REDIRECT_URI", "SECRET_KEY", "NO_PROXY", "no_proxy", *OPTIONAL}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | changes


@contextmanager
def start(*arguments, **changes):
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(
        command(*arguments), cwd=ROOT, env=environment(**changes), text=True, **pipes
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(*arguments, **changes):
    with start(*arguments, **changes) as process:
        stdout, stderr = process.communicate(timeout=ANSWER_SECONDS)
    return process.returncode, stdout, stderr


def printed_settings(process):
    """The settings a tenant without a command prints, read as `.env` is read."""
    lines = []
    while not (lines and lines[-1].startswith("SSL_CERT_FILE=")):
        lines.append(process.stdout.readline())
        assert lines[-1], "the tenant ended early"
    return dotenv.dotenv_values(stream=io.StringIO("".join(lines)))


def test_command_gets_the_settings():
    status, stdout, stderr = run(sys.executable, "-c", SHOW_ENVIRONMENT)
    found = json.loads(stdout)
    assert status == 0
    assert found["SIGNUPSIGNIN_USER_FLOW"] == "B2C_1_signupsignin1"
    assert found["EDITPROFILE_USER_FLOW"] == "B2C_1_profileediting1"
    assert found["RESETPASSWORD_USER_FLOW"] == "B2C_1_passwordreset1"
    assert re.fullmatch(
        r"https://127\.0\.0\.1:\d+/\{tenant\}\.onmicrosoft\.com/\{user_flow\}", found["AUTHORITY_TEMPLATE"]
    )
    assert found["REDIRECT_URI"] == "http://localhost:5000/getAToken"
    assert found["B2C_TENANT_NAME"] in found["SCOPE"]
    assert len(found["SECRET_KEY"]) >= 32
    assert found["REQUESTS_CA_BUNDLE"] == found["SSL_CERT_FILE"]
    assert "FOR DEVELOPMENT ONLY" in stderr
    assert "http://localhost:5000" in stderr
    assert re.search(r"ada@example\.com +password \S+", stderr)


def test_own_redirect_uri_and_secret_key_are_kept():
    own = {"REDIRECT_URI": "http://localhost:7000/back", "SECRET_KEY": "k" * 40}
    _, stdout, _ = run(sys.executable, "-c", SHOW_ENVIRONMENT, **own)
    assert own.items() <= json.loads(stdout).items()


def test_optional_settings_are_blank_unless_the_environment_has_them():
    _, stdout, _ = run(sys.executable, "-c", SHOW_ENVIRONMENT, REDIS_URL="redis://localhost:1/0")
    found = json.loads(stdout)
    blank = dict.fromkeys(OPTIONAL, "")
    assert {name: found.get(name) for name in OPTIONAL} == blank | {"REDIS_URL": "redis://localhost:1/0"}


@pytest.mark.parametrize(
    ("already", "wanted"),
    [
        pytest.param({}, "127.0.0.1,localhost", id="nothing"),
        pytest.param({"NO_PROXY": "a.example, localhost"}, "a.example,localhost,127.0.0.1", id="upper case"),
        pytest.param({"no_proxy": "b", "NO_PROXY": "a"}, "b,127.0.0.1,localhost", id="both"),
        pytest.param({"NO_PROXY": "*"}, "*", id="everything"),
    ],
)
def test_this_machine_needs_no_proxy(monkeypatch, already, wanted):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in already.items():
        monkeypatch.setenv(name, value)
    with LocalTenant() as tenant:
        assert (tenant.settings["NO_PROXY"], tenant.settings["no_proxy"]) == (wanted, wanted)


def test_a_proxy_of_the_environment_is_not_asked():
    fetch = "import os, requests; print(requests.get(os.environ['ENDPOINT'], timeout=5).status_code)"
    proxy = dict.fromkeys(("HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    assert run(sys.executable, "-c", fetch, **proxy)[1].strip() == "401"


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ("flask run", 5000),
        ("flask run --port 5001", 5001),
        ("flask run --port=5001 --debug", 5001),
        ("flask run -p 5001", 5001),
        ("gunicorn --bind 127.0.0.1:8001 app:app", 8001),
        ("gunicorn --bind=:8001 app:app", 8001),
        ("gunicorn -b [::1]:8001 app:app", 8001),
        ("gunicorn -b unix:/run/app app:app", 5000),
        ("flask run --port", 5000),
        ("flask run --port 99999", 5000),
        ("", 5000),
    ],
)
def test_redirect_uri_follows_the_commands_port(command, port):
    assert cli.app_port(command.split()) == port


def test_redirect_uri_and_banner_have_the_commands_port():
    _, stdout, stderr = run(sys.executable, "-c", SHOW_ENVIRONMENT, "--port", "5001")
    assert json.loads(stdout)["REDIRECT_URI"] == "http://localhost:5001/getAToken"
    assert re.search(r"App +http://localhost:5001\n", stderr)


@pytest.mark.parametrize("redirect_uri", ["http://[foo/x", "foo"])
def test_malformed_redirect_uri_is_left_to_the_app(redirect_uri):
    status, stdout, stderr = run("--open", sys.executable, "-c", SHOW_ENVIRONMENT, REDIRECT_URI=redirect_uri)
    assert (status, json.loads(stdout)["REDIRECT_URI"]) == (0, redirect_uri)
    assert re.search(r"App +where REDIRECT_URI says\n", stderr)
    assert "Traceback" not in stderr


@pytest.mark.parametrize("number", ["SIGHUP", "SIGUSR1", "SIGUSR2"])
@POSIX
def test_orders_are_passed_on_and_end_nothing(number):
    with start(sys.executable, "-c", COUNT_ORDERS, number) as process:
        for _ in range(4):
            assert process.stdout.readline() == "ready\n"
            process.send_signal(getattr(signal, number))
        process.communicate(timeout=ANSWER_SECONDS)
    assert process.returncode == 44


@POSIX
def test_quit_is_passed_on():
    with start(sys.executable, "-c", COUNT_ORDERS, "SIGQUIT", "1") as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGQUIT)
        process.communicate(timeout=ANSWER_SECONDS)
    assert process.returncode == 41


@POSIX
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_without_a_command_it_ends_clean(number):
    with start() as process:
        bundle = Path(printed_settings(process)["REQUESTS_CA_BUNDLE"])
        # An order is for a command: without one it means nothing.
        process.send_signal(signal.SIGUSR1)
        process.send_signal(getattr(signal, number))
        _, stderr = process.communicate(timeout=ANSWER_SECONDS)
    assert (process.returncode, "Traceback" in stderr, bundle.parent.exists()) == (0, False, False)


@POSIX
def test_hang_up_that_ends_the_command_leaves_no_folder():
    show = "import os, time; print(os.environ['SSL_CERT_FILE'], flush=True); time.sleep(60)"
    with start(sys.executable, "-c", show) as process:
        bundle = Path(process.stdout.readline().strip())
        assert bundle.is_file()
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=ANSWER_SECONDS)
    assert (process.returncode, bundle.parent.exists()) == (128 + signal.SIGHUP, False)


@POSIX
def test_nohup_keeps_the_command_alive():
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    script = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    arguments = command(sys.executable, "-c", script)
    stdout = subprocess.check_output(
        arguments, cwd=ROOT, env=environment(), text=True, stderr=subprocess.DEVNULL, preexec_fn=ignore
    )
    assert stdout == "True\n"


@POSIX
def test_ctrl_c_during_the_imports_is_quiet(tmp_path):
    # The first import that the command line needs from outside says so, and takes its time.
    slow = "import time; print('importing', flush=True); time.sleep(60)"
    (tmp_path / "certifi.py").write_text(slow)
    with start(PYTHONPATH=str(tmp_path)) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=ANSWER_SECONDS)
    assert (process.returncode, stderr) == (-signal.SIGINT, "")


@pytest.fixture
def requirements(tmp_path):
    """A copy of the program with a requirements.txt of its own: a function that runs it with that text."""
    shutil.copytree(ROOT / "local_tenant", tmp_path / "local_tenant")

    def run(text):
        if text is not None:
            (tmp_path / "requirements.txt").write_text(text)
        arguments = command(sys.executable, "-c", "print('started')")
        result = subprocess.run(
            arguments, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=ANSWER_SECONDS
        )
        return result.returncode, result.stdout, result.stderr

    return run


def test_package_of_the_app_that_is_missing_is_one_clear_line(requirements):
    text = "# The app\nflask==3.1.3\nno-such.package==1.0  # for a; b\n\n# Tests\n"
    line = "The package 'no-such.package' is missing. Run: pip install -r requirements.txt\n"
    assert requirements(text) == (1, "", line)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="no requirements.txt"),
        pytest.param("# The app\nFlask_Session==1\n\n# Tests\nno-such-package==1\n", id="other section"),
        pytest.param('# The app\nno-such-package==1; sys_platform == "x"  # y\n', id="marker"),
        pytest.param("no-such-package==1\n", id="no section"),
    ],
)
def test_only_packages_of_the_app_are_looked_for(requirements, text):
    assert requirements(text)[:2] == (0, "started\n")


@pytest.mark.parametrize("over", [False, True], ids=["running", "ended"])
def test_open_needs_the_command_to_be_running(monkeypatch, over):
    opened, ended = [], threading.Event()

    class App(BaseHTTPRequestHandler):
        def do_GET(self):
            if over:
                ended.set()
            self.send_error(404)

        def log_message(self, *_):
            pass

    monkeypatch.setattr(cli.webbrowser, "open", opened.append)
    with HTTPServer(("127.0.0.1", 0), App) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        cli.open_when_up(address, ended)
    assert opened == ([] if over else [address])


def test_exit_status_is_the_commands():
    assert run(sys.executable, "-c", "raise SystemExit(7)")[0] == 7


@POSIX
def test_command_killed_by_a_signal_counts_128_more():
    status, *_ = run(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert status == 128 + 9


def test_options_of_the_command_are_left_to_it():
    _, stdout, _ = run(sys.executable, "-c", "import sys; print(sys.argv[1:])", "--port", "5000", "--open")
    assert stdout.strip() == "['--port', '5000', '--open']"


def test_unknown_command_is_one_clear_line():
    status, _, stderr = run("no-such-command")
    assert status == 127
    assert (
        stderr.splitlines()[-1]
        == "There is no command 'no-such-command'. Is it installed in this environment?"
    )


def test_taken_port_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, stdout, stderr = run("--port", str(port))
    assert (status, stdout) == (2, "")
    assert re.fullmatch(rf"Port {port} cannot be used \(.+\)\. Stop the program .+--port N.+\n", stderr)


def test_missing_package_is_one_clear_line():
    # -S leaves out everything that pip has installed.
    arguments = [sys.executable, "-S", "-m", "local_tenant"]
    process = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    assert process.returncode == 1
    assert re.fullmatch(
        r"The package '\w+' is missing\. Run: pip install -r requirements\.txt\n", process.stderr
    )


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_is_passed_on_once(number):
    with start(sys.executable, "-c", COUNT_SIGNALS) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=ANSWER_SECONDS)
    assert process.returncode == 41
    assert "Traceback" not in stderr


@POSIX
def test_ctrl_c_in_a_terminal_reaches_the_command_once():
    import fcntl
    import termios

    ours, theirs = os.openpty()
    process = subprocess.Popen(
        command(sys.executable, "-c", COUNT_SIGNALS),
        cwd=ROOT,
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        output = b""
        while b"ready" not in output:
            output += os.read(ours, 1000)
        os.write(ours, b"\x03")
        assert process.wait(ANSWER_SECONDS) == 41
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@POSIX
def test_without_a_command_it_prints_settings_and_runs_until_interrupted():
    with start() as process:
        settings = printed_settings(process)
        bundle = Path(settings["REQUESTS_CA_BUNDLE"])
        assert settings["CLIENT_SECRET"]
        assert settings["SCOPE"].count("https://") == 2
        assert not settings.keys() & set(OPTIONAL)
        assert bundle.is_file()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=ANSWER_SECONDS)
    assert (process.returncode, "Traceback" in stderr, bundle.exists()) == (0, False, False)


@POSIX
def test_mailed_code_is_shown_in_the_terminal():
    with start() as process:
        settings = printed_settings(process)
        api = re.search(r"http://127\.0\.0\.1:\d+/mailbox", read_until(process.stderr, "password"))[0]
        page = api.removesuffix("mailbox") + (
            f"localtenant.onmicrosoft.com/{settings['RESETPASSWORD_USER_FLOW']}/oauth2/v2.0/authorize"
        )
        params = {
            "client_id": settings["CLIENT_ID"],
            "redirect_uri": settings["REDIRECT_URI"],
            "response_type": "code",
            "scope": "openid",
        }
        requests.post(page, params=params, data={"email": "a@example.com", "sendCode": "1"}, timeout=5)
        process.terminate()
        _, stderr = process.communicate(timeout=ANSWER_SECONDS)
    assert re.search(r"^Verification code for a@example\.com: \d{6}$", stderr, re.MULTILINE)


def read_until(stream, word):
    text = ""
    while word not in text:
        line = stream.readline()
        assert line, f"{word} did not come"
        text += line
    return text


@POSIX
def test_open_shows_the_app_once_it_answers(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    app = [
        sys.executable,
        "-m",
        "http.server",
        str(port),
        "--bind",
        "127.0.0.1",
        "--directory",
        str(tmp_path),
    ]
    own = {"REDIRECT_URI": f"http://localhost:{port}/back", "BROWSER": f"{browser} %s"}
    with start("--open", *app, **own) as process:
        deadline = time.monotonic() + ANSWER_SECONDS
        while not (opened.exists() and opened.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.terminate()
        process.communicate(timeout=ANSWER_SECONDS)
    assert opened.read_text() == f"http://localhost:{port}\n"
