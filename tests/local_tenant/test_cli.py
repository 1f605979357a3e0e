"""`python -m local_tenant`, run as a program."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import IO, Any, Protocol

import dotenv
import pytest
import requests

from local_tenant import LocalTenant, cli
from local_tenant import command as command_module
from local_tenant.tenant import APP_CHOICES, OTHER_AUTHORITIES
from tests.local_tenant.visitor import DOMAIN, RESET, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no POSIX signals and terminals")
ANSWER_SECONDS = 30

SHOW_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"
SHOW_APPS = """
import os, urllib.request
print(urllib.request.urlopen(os.environ["LOCAL_TENANT_URL"] + "/control/apps", timeout=10).read().decode())
"""
# Says that it is ready, waits for an interrupt and a moment longer, and ends with 40 plus their number.
COUNT_INTERRUPTS = """
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
# Says when it is ready for the next signal of those named, and ends with 40 plus their number.
COUNT_SIGNALS = """
import signal, sys, time
seen = []
for name in set(sys.argv[1:]):
    signal.signal(getattr(signal, name), lambda number, frame: seen.append(number))
for count in range(len(sys.argv) - 1):
    print("ready", flush=True)
    while len(seen) <= count:
        time.sleep(0.01)
sys.exit(40 + len(seen))
"""

Program = subprocess.Popen[str]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "local_tenant", "--port", "0", *arguments]


def environment(**changes: str) -> dict[str, str]:
    ours = {"REDIRECT_URI", "SECRET_KEY", "FLASK_RUN_PORT", "NO_PROXY", "no_proxy", "NODE_EXTRA_CA_CERTS"}
    ours |= {*APP_CHOICES, *OTHER_AUTHORITIES}
    return {name: value for name, value in os.environ.items() if name not in ours} | changes


@contextmanager
def start(*arguments: str, **changes: str) -> Iterator[Program]:
    with subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env=environment(**changes),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        try:
            yield program
        finally:
            program.kill()


class Run(Protocol):
    """Runs the command line in this process. Returns exit status, standard output and standard error."""

    def __call__(self, *arguments: str, **changes: str) -> tuple[int, str, str]: ...


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    numbers = (*command_module.ENDING, *command_module.HANG_UP, *command_module.ORDERS)
    handlers = {number: signal.getsignal(number) for number in numbers}

    def run_here(*arguments: str, **changes: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for name in os.environ.keys() - environment().keys():
                patch.delenv(name)
            for name, value in changes.items():
                patch.setenv(name, value)
            status = cli.main(["--port", "0", *arguments])
        return status, *capfd.readouterr()

    yield run_here
    for number, handler in handlers.items():
        signal.signal(number, handler)


def read_line(stream: IO[str] | None) -> str:
    assert stream
    line = stream.readline()
    assert line, "the program ended early"
    return line


def printed_settings(program: Program) -> dict[str, str | None]:
    """The settings that a tenant without a command prints, read as `.env` is read."""
    lines = [read_line(program.stdout)]
    while not lines[-1].startswith("NODE_EXTRA_CA_CERTS="):
        lines.append(read_line(program.stdout))
    return dict(dotenv.dotenv_values(stream=io.StringIO("".join(lines))))


# --- settings


def test_the_command_gets_the_settings() -> None:
    with start(sys.executable, "-c", SHOW_ENVIRONMENT) as program:
        stdout, stderr = program.communicate(timeout=ANSWER_SECONDS)
    status = program.returncode
    settings = json.loads(stdout)
    assert status == 0
    assert settings["SIGNUPSIGNIN_USER_FLOW"] == "B2C_1_signupsignin1"
    assert settings["EDITPROFILE_USER_FLOW"] == "B2C_1_profileediting1"
    assert settings["RESETPASSWORD_USER_FLOW"] == "B2C_1_passwordreset1"
    authority = r"https://127\.0\.0\.1:\d+/\{tenant\}\.onmicrosoft\.com/\{user_flow\}"
    assert re.fullmatch(authority, settings["AUTHORITY_TEMPLATE"])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", settings["INSECURE_SIGN_IN_ORIGIN"])
    assert settings["REDIRECT_URI"] == "http://localhost:5000/getAToken"
    assert settings["B2C_TENANT_NAME"] in settings["SCOPE"]
    assert len(settings["SECRET_KEY"]) >= 32
    bundle, certificate = Path(settings["SSL_CERT_FILE"]), Path(settings["NODE_EXTRA_CA_CERTS"])
    assert settings["REQUESTS_CA_BUNDLE"] == settings["CURL_CA_BUNDLE"] == str(bundle)
    assert certificate.read_text() in bundle.read_text()
    assert "java-truststore.p12" in settings["JAVA_TOOL_OPTIONS"]
    assert "FOR DEVELOPMENT ONLY" in stderr
    assert "http://localhost:5000" in stderr
    assert re.search(r"ada@example\.com +password \S+", stderr)


def test_the_environment_may_choose_for_the_app_but_not_another_authority(run: Run) -> None:
    chosen = {
        "REDIRECT_URI": "http://localhost:7000/back",
        "SECRET_KEY": "k" * 40,
        "REDIS_URL": "redis://localhost:1/0",
    }
    others = dict.fromkeys(OTHER_AUTHORITIES, "something")
    _, stdout, _ = run(sys.executable, "-c", SHOW_ENVIRONMENT, **chosen, **others)
    wanted = dict.fromkeys((*APP_CHOICES, *OTHER_AUTHORITIES), "") | chosen
    assert wanted.items() <= json.loads(stdout).items()


@pytest.mark.parametrize(
    ("already", "wanted"),
    [
        pytest.param({}, "127.0.0.1,localhost", id="nothing"),
        pytest.param({"NO_PROXY": "a.example, localhost"}, "a.example,localhost,127.0.0.1", id="upper case"),
        pytest.param({"no_proxy": "b", "NO_PROXY": "a"}, "b,127.0.0.1,localhost", id="both"),
        pytest.param({"NO_PROXY": "*"}, "*", id="everything"),
    ],
)
def test_this_machine_needs_no_proxy(
    monkeypatch: pytest.MonkeyPatch, tenant: LocalTenant, already: dict[str, str], wanted: str
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in already.items():
        monkeypatch.setenv(name, value)
    assert (tenant.settings["NO_PROXY"], tenant.settings["no_proxy"]) == (wanted, wanted)


def test_the_command_does_not_ask_a_proxy_for_the_tenant(run: Run) -> None:
    fetch = "import os, requests; print(requests.get(os.environ['ENDPOINT'], timeout=5).status_code)"
    proxy = dict.fromkeys(("HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    assert run(sys.executable, "-c", fetch, **proxy)[1].strip() == "401"


@pytest.mark.parametrize(
    ("line", "flask_run_port", "port"),
    [
        ("flask run", "", 5000),
        ("flask run --port 5001", "", 5001),
        ("flask run --port=5001 --debug", "", 5001),
        ("flask run -p 5001", "", 5001),
        ("gunicorn --bind 127.0.0.1:8001 app:app", "", 8001),
        ("gunicorn --bind=:8001 app:app", "", 8001),
        ("gunicorn -b [::1]:8001 app:app", "", 8001),
        ("gunicorn -b unix:/run/app app:app", "", 5000),
        ("flask run --port", "", 5000),
        ("flask run --port 99999", "", 5000),
        ("", "", 5000),
        ("flask run", "5002", 5002),
        ("flask run", "nonsense", 5000),
        ("flask run --port 5001", "5002", 5001),
    ],
)
def test_the_apps_port_is_that_of_its_command(line: str, flask_run_port: str, port: int) -> None:
    assert cli.app_port(line.split(), {"FLASK_RUN_PORT": flask_run_port}) == port


def test_an_address_of_another_machine_is_refused_in_words(run: Run) -> None:
    status, _, stderr = run("--listen", "192.0.2.1", "true")
    assert (status, stderr.strip()) == (
        2,
        "This machine has no address 192.0.2.1. --listen needs one of its own, or 0.0.0.0.",
    )


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_the_ipv6_loopback_address_can_be_used_and_is_not_warned_of(run: Run) -> None:
    fetch = """
import os, requests
for name in ("LOCAL_TENANT_URL", "ENDPOINT"):
    url = os.environ[name].replace("127.0.0.1", "[::1]")
    print(requests.get(url, timeout=5).status_code)
"""
    _, stdout, stderr = run("--listen", "::1", sys.executable, "-c", fetch)
    assert (stdout.split(), "WARNING" in stderr) == (["200", "401"], False)


def test_redirect_uri_and_banner_have_the_apps_port(run: Run) -> None:
    _, stdout, stderr = run(sys.executable, "-c", SHOW_ENVIRONMENT, FLASK_RUN_PORT="5001")
    assert json.loads(stdout)["REDIRECT_URI"] == "http://localhost:5001/getAToken"
    assert re.search(r"App +http://localhost:5001\n", stderr)


@pytest.mark.parametrize(("option", "port"), [((), "5000"), (("--port", "5001"), "5001")])
def test_the_command_gets_the_port_of_the_redirect_uri(run: Run, option: tuple[str, ...], port: str) -> None:
    # A FLASK_RUN_PORT in the app's .env does not win over a variable of the environment.
    _, stdout, _ = run(sys.executable, "-c", SHOW_ENVIRONMENT, *option)
    assert json.loads(stdout)["FLASK_RUN_PORT"] == port
    assert json.loads(stdout)["REDIRECT_URI"] == f"http://localhost:{port}/getAToken"


def test_the_command_gets_no_port_besides_a_redirect_uri_of_the_users_own(run: Run) -> None:
    own = "http://localhost:6000/getAToken"
    _, stdout, _ = run(sys.executable, "-c", SHOW_ENVIRONMENT, REDIRECT_URI=own)
    assert "FLASK_RUN_PORT" not in json.loads(stdout)


def test_a_redirect_uri_of_the_users_own_is_registered_besides_those_of_the_file(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "tenant.toml"
    file.write_text('[[apps]]\nname = "shop"\nredirect_uris = ["http://localhost:3000/cb"]\n')
    program = ("--control", "--config", str(file), sys.executable, "-c", SHOW_APPS)
    [listed] = json.loads(run(*program)[1])
    [both] = json.loads(run(*program, REDIRECT_URI="http://localhost:8080/cb")[1])

    assert listed["redirect_uris"] == ["http://localhost:3000/cb"]
    assert listed["logout_url"] == "http://localhost:3000/frontchannel_logout"
    assert {"http://localhost:3000/cb", "http://localhost:8080/cb"} <= set(both["redirect_uris"])
    assert both["logout_url"] == "http://localhost:8080/frontchannel_logout"


@pytest.mark.parametrize("redirect_uri", ["http://[foo/x", "http://localhost:0/x", "foo"])
def test_what_is_no_web_address_has_no_origin(redirect_uri: str) -> None:
    assert cli.app_origin(redirect_uri) is None


def test_a_malformed_redirect_uri_is_left_to_the_app(run: Run) -> None:
    arguments = ("--open", sys.executable, "-c", SHOW_ENVIRONMENT)
    status, stdout, stderr = run(*arguments, REDIRECT_URI="http://[foo/x")
    assert (status, json.loads(stdout)["REDIRECT_URI"]) == (0, "http://[foo/x")
    assert re.search(r"App +where REDIRECT_URI says\n", stderr)
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--config", ""], "write the name of a file"),
        (["--database", ""], "write the name of a file"),
        (["--config", "tenant.toml", "init"], "Leave --config out"),
    ],
)
def test_what_would_be_ignored_is_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.parse(arguments)
    assert reason in capsys.readouterr().err


# --- the command


def test_the_exit_status_is_the_commands(run: Run) -> None:
    assert run(sys.executable, "-c", "raise SystemExit(7)")[0] == 7


@POSIX
def test_a_command_killed_by_a_signal_counts_128_more(run: Run) -> None:
    status, *_ = run(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert status == 128 + 9


def test_options_of_the_command_are_left_to_it(run: Run) -> None:
    _, stdout, _ = run(sys.executable, "-c", "import sys; print(sys.argv[1:])", "--port", "5000", "--open")
    assert stdout.strip() == "['--port', '5000', '--open']"


def test_an_unknown_command_is_one_clear_line(run: Run) -> None:
    status, _, stderr = run("no-such-command")
    line = "There is no command 'no-such-command'. Is it installed in this environment?"
    assert (status, stderr.splitlines()[-1]) == (127, line)


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with start("--port", str(port)) as program:
            stdout, stderr = program.communicate(timeout=ANSWER_SECONDS)
            status = program.returncode
    assert (status, stdout) == (2, "")
    assert re.fullmatch(
        rf"Port {port} cannot be used \(Address already in use\)\. Stop the program .+--port N.+\n", stderr
    )


def test_a_missing_package_is_one_clear_line() -> None:
    # -S leaves out everything that pip has installed.
    arguments = [sys.executable, "-S", "-m", "local_tenant"]
    program = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    line = r"The package '\w+' is missing\. Run: pip install -r requirements\.txt\n"
    assert program.returncode == 1
    assert re.fullmatch(line, program.stderr)


# --- signals


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_reaches_the_command_once(number: signal.Signals) -> None:
    with start(sys.executable, "-c", COUNT_INTERRUPTS) as program:
        assert read_line(program.stdout) == "ready\n"
        program.send_signal(number)
        _, stderr = program.communicate(timeout=ANSWER_SECONDS)
    assert (program.returncode, "Traceback" in stderr) == (41, False)


@POSIX
def test_other_signals_reach_the_command_and_end_nothing() -> None:
    names = ["SIGHUP", "SIGUSR1"] * 4 + ["SIGQUIT"]  # more than the three Ctrl-C that kill it
    with start(sys.executable, "-c", COUNT_SIGNALS, *names) as program:
        for name in names:
            assert read_line(program.stdout) == "ready\n"
            program.send_signal(getattr(signal, name))
        program.communicate(timeout=ANSWER_SECONDS)
    assert program.returncode == 40 + len(names)


@POSIX
def test_ctrl_c_in_a_terminal_reaches_the_command_once() -> None:
    import fcntl
    import termios

    ours, theirs = os.openpty()
    program = subprocess.Popen(
        command(sys.executable, "-c", COUNT_INTERRUPTS),
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
        assert program.wait(ANSWER_SECONDS) == 41
    finally:
        program.kill()
        program.wait()
        os.close(ours)


@POSIX
def test_ctrl_c_during_the_imports_is_quiet(tmp_path: Path) -> None:
    # A package that only the tenant imports. Python itself may import others as it starts (certifi,
    # by a .pth file of the system), and the tenant cannot handle a signal before it runs.
    slow = "import time; print('importing', flush=True); time.sleep(60)"
    (tmp_path / "cheroot.py").write_text(slow)
    with start(PYTHONPATH=str(tmp_path)) as program:
        assert read_line(program.stdout) == "importing\n"
        program.send_signal(signal.SIGINT)
        _, stderr = program.communicate(timeout=ANSWER_SECONDS)
    assert (program.returncode, stderr) == (-signal.SIGINT, "")


@POSIX
def test_a_hang_up_ends_the_command() -> None:
    with start(sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)") as program:
        read_line(program.stdout)
        program.send_signal(signal.SIGHUP)
        program.communicate(timeout=ANSWER_SECONDS)
    assert program.returncode == 128 + signal.SIGHUP


@POSIX
def test_nohup_keeps_the_command_alive() -> None:
    def ignore_hang_up() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    script = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    program = subprocess.run(
        command(sys.executable, "-c", script),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=ANSWER_SECONDS,
        preexec_fn=ignore_hang_up,
    )
    assert program.stdout == "True\n"


# --- without a command


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_without_a_command_it_prints_the_settings_and_waits_for_a_signal(number: signal.Signals) -> None:
    with start() as program:
        settings = printed_settings(program)
        program.send_signal(signal.SIGUSR1)  # an order for a command: it ends nothing
        program.send_signal(number)
        _, stderr = program.communicate(timeout=ANSWER_SECONDS)
    assert (settings["SCOPE"] or "").endswith("tasks.read")
    assert not settings.keys() & {*APP_CHOICES, *OTHER_AUTHORITIES}
    assert (program.returncode, "Traceback" in stderr) == (0, False)


@POSIX
def test_a_mailed_code_is_shown_in_the_terminal() -> None:
    with start() as program:
        settings = printed_settings(program)
        page = f"{settings['INSECURE_SIGN_IN_ORIGIN']}/{DOMAIN}/{RESET}/oauth2/v2.0/authorize"
        names = {"client_id": "CLIENT_ID", "redirect_uri": "REDIRECT_URI"}
        query = {name: settings[setting] for name, setting in names.items()}
        query |= {"response_type": "code", "scope": "openid"}
        requests.post(page, params=query, data={"email": "a@example.com", "sendCode": "1"}, timeout=5)
        program.terminate()
        _, stderr = program.communicate(timeout=ANSWER_SECONDS)
    assert re.search(r"^Verification code for a@example\.com: \d{6}$", stderr, re.MULTILINE)


# --- --open


@pytest.mark.parametrize("has_ended", [False, True])
def test_the_app_is_opened_while_the_command_runs(monkeypatch: pytest.MonkeyPatch, has_ended: bool) -> None:
    opened: list[str] = []
    ended = threading.Event()

    class App(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if has_ended:
                ended.set()
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.setattr("webbrowser.open", opened.append)
    with HTTPServer(("127.0.0.1", 0), App) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        cli.open_when_up(address, ended)
    assert opened == ([] if has_ended else [address])


@POSIX
def test_open_shows_the_app_once_it_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    app = (sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", str(tmp_path))
    settings = {"REDIRECT_URI": f"http://localhost:{port}/back", "BROWSER": f"{browser} %s"}
    with start("--open", *app, **settings) as program:
        wait_until(lambda: opened.exists() and opened.read_text())
        program.terminate()
        program.communicate(timeout=ANSWER_SECONDS)
    assert opened.read_text() == f"http://localhost:{port}\n"


# --- --config


def test_init_prints_a_file_for_config_with_the_ids_of_the_tenant(run: Run, tmp_path: Path) -> None:
    chosen = {"LOCAL_TENANT_HOME": str(tmp_path)}
    status, file, _ = run("--kind", "entra-id", "init", **chosen)
    (tmp_path / "tenant.toml").write_text(file)
    show = (sys.executable, "-c", SHOW_ENVIRONMENT)
    _, without_file, _ = run("--kind", "entra-id", *show, **chosen)
    _, with_file, _ = run("--config", str(tmp_path / "tenant.toml"), *show, **chosen)
    settings = ("AUTHORITY_KIND", "CLIENT_ID", "CLIENT_SECRET", "SECRET_KEY", "REDIRECT_URI")
    first, second = json.loads(without_file), json.loads(with_file)
    assert (status, [first[name] for name in settings]) == (0, [second[name] for name in settings])


@pytest.mark.parametrize(
    ("option", "says"),
    [("--config", "No such file or directory"), ("--database", "cannot be used")],
)
def test_a_file_that_cannot_be_used_ends_the_start(run: Run, tmp_path: Path, option: str, says: str) -> None:
    missing = tmp_path / "missing" / "file"
    status, _, stderr = run(option, str(missing), "flask", LOCAL_TENANT_HOME=str(tmp_path))
    assert (status, says in stderr, "Traceback" in stderr) == (2, True, False)
