"""`python -m local_tenant`, run as a program."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import dotenv
import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no POSIX signals and terminals")
ANSWER_SECONDS = 20

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


def command(*arguments):
    return [sys.executable, "-m", "local_tenant", "--port", "0", *arguments]


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if name not in ("REDIRECT_URI", "SECRET_KEY")}
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
