"""The command line: run COMMAND with a tenant beside it, or print the settings and wait."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import webbrowser
from http.client import HTTPException
from importlib import metadata
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from .server import PortTaken
from .tenant import BLANK, DEFAULT_PORT, LocalTenant

DEFAULT_APP_PORT = 5000
# As flask and gunicorn take it.
APP_PORT = re.compile(r"(?:--port[ =]|-p ?)([0-9]{1,5})|(?:--bind[ =]|-b ?)\S*:([0-9]{1,5})")
KEPT_FROM_ENVIRONMENT = ("REDIRECT_URI", "SECRET_KEY", *BLANK)
ENDING = (signal.SIGINT, signal.SIGTERM)
HANG_UP = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGQUIT") if hasattr(signal, name))
FROM_KEYBOARD = (signal.SIGINT, getattr(signal, "SIGQUIT", signal.SIGINT))
# What gunicorn, for one, takes as orders: reload, reopen the logs, upgrade.
ORDERS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))
OPEN_SECONDS = 60
FORWARD_SECONDS = 1
PATIENCE = 3


def main(arguments=None):
    """Run the command line; returns the exit status."""
    wanted = parse(arguments)
    # From the first moment on, so that Ctrl-C during the start is as quiet as later.
    signals = Signals(ENDING if wanted.command else ENDING + HANG_UP)
    if wanted.command and (package := missing_package()):
        say(f"The package {package!r} is missing. Run: pip install -r requirements.txt")
        return 1
    redirect_uri = own("REDIRECT_URI") or f"http://localhost:{app_port(wanted.command)}/getAToken"
    try:
        with LocalTenant(wanted.port, [redirect_uri], announce=say) as tenant:
            return serve(tenant, wanted, signals)
    except PortTaken as taken:
        say(
            f"Port {taken.port} cannot be used ({taken.reason}). Stop the program that has it, "
            "or choose others: --port N takes N, N+1 and N+2; --port 0 takes any that are free."
        )
        return 2


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m local_tenant",
        description="A stand-in Azure AD B2C tenant and web API on this machine, for development only.",
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="first of three ports (default %(default)s)"
    )
    parser.add_argument("--open", action="store_true", help="open the app in the browser once it answers")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND ...", help="what to run with it"
    )
    wanted = parser.parse_args(arguments)
    if wanted.command[:1] == ["--"]:
        del wanted.command[0]
    if not 0 <= wanted.port <= 65533:
        parser.error("--port is a number from 0 to 65533")
    return wanted


def missing_package():
    """The first package that the app's section of requirements.txt pins for everyone and is not installed."""
    file = Path(__file__).resolve().parent.parent / "requirements.txt"
    text = file.read_text("utf-8") if file.is_file() else ""
    for line in text.partition("# The app\n")[2].partition("\n\n")[0].splitlines():
        name = re.match(r"[A-Za-z0-9][\w.-]*(?=[^;#]*(#|$))", line)
        try:
            name and metadata.version(name[0])
        except metadata.PackageNotFoundError:
            return name[0]
    return None


def own(name):
    """What the environment says; blank counts as nothing, as it does for the app."""
    return os.environ.get(name, "").strip()


def app_port(command):
    """The port that COMMAND is told to listen on, if that can be seen."""
    for option, value in zip(command, [*command[1:], ""], strict=False):
        found = APP_PORT.fullmatch(option) or APP_PORT.fullmatch(f"{option} {value}")
        port = int(found[1] or found[2]) if found else 0
        if 0 < port <= 65535:
            return port
    return DEFAULT_APP_PORT


def app_address(redirect_uri):
    """The app's origin; None for what is no web address, which the app itself explains."""
    try:
        uri = urlsplit(redirect_uri)
        fit = uri.scheme in ("http", "https") and uri.hostname and uri.port != 0
    except ValueError:
        return None
    return f"{uri.scheme}://{uri.netloc}" if fit else None


def serve(tenant, wanted, signals):
    settings = tenant.settings | {name: own(name) for name in KEPT_FROM_ENVIRONMENT if own(name)}
    app, ended = app_address(settings["REDIRECT_URI"]), threading.Event()
    say(banner(tenant, app))
    if wanted.open and app:
        threading.Thread(target=open_when_up, args=(app, ended), daemon=True).start()
    if wanted.command:
        try:
            return run(wanted.command, os.environ | settings, signals)
        finally:
            ended.set()
    for name, value in settings.items():
        if value:
            print(f'{name}="{value}"' if " " in value else f"{name}={value}")
    sys.stdout.flush()
    while not signals.seen:
        time.sleep(0.2)
    return 0


def banner(tenant, app):
    return f"""
  Local stand-in tenant. FOR DEVELOPMENT ONLY: it listens on this machine alone,
  keeps everything in memory, and anyone on this machine can use it.

    App       {app or "where REDIRECT_URI says"}
    Mailbox   {tenant.url}/mailbox
    Web API   {tenant.api_url}
    Sign in   {tenant.account["email"]}   password {tenant.account["password"]}
"""


def run(command, environment, signals):
    """Run the command to its end; returns its exit status, 127 if there is no such command."""
    # The tools of this virtual environment are found even if it is not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    program = shutil.which(command[0], path=path)
    if not program:
        say(f"There is no command {command[0]!r}. Is it installed in this environment?")
        return 127
    try:
        child = subprocess.Popen([program, *command[1:]], env=environment)  # noqa: S603 - the user typed it
    except OSError as error:
        say(f"{command[0]!r} cannot be started: {error.strerror}.")
        return 126
    signals.pass_on_to(child)
    status = wait(child)
    return status if status >= 0 else 128 - status


class Signals:
    """Passes signals on to the command instead of dying of them, and notes those of `ending` in `seen`."""

    def __init__(self, ending):
        # A list and no Event: a handler that waits for a lock of the thread it interrupts waits for ever.
        self.seen = []
        self._ending = ending
        self._early = []
        self._child = None
        for number in ENDING + HANG_UP + ORDERS:
            # What was ignored at the start stays so: that is how nohup works.
            if number in ENDING or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)

    def pass_on_to(self, child):
        self._child = child
        for number in self._early:
            send(child, number)

    def _handle(self, number, _frame):
        if number in self._ending:
            self.seen.append(number)
        if not self._child:
            self._early.append(number)
        elif len(self.seen) >= PATIENCE:
            self._child.kill()
        elif number in FROM_KEYBOARD and got_it_from_terminal():
            # A second interrupt at once would disturb the command's own clean-up.
            later = threading.Timer(FORWARD_SECONDS, send, (self._child, number))
            later.daemon = True
            later.start()
        else:
            send(self._child, number)


def got_it_from_terminal():
    """Whether Ctrl-C reached the command as well, as a terminal sends it to everyone in the foreground."""
    if os.name == "nt":
        return True
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False


def send(child, number):
    if child.poll() is None:
        if os.name == "nt" and number == signal.SIGINT:
            number = signal.SIGTERM  # Windows can only send this one
        child.send_signal(number)


def wait(child):
    while True:
        try:
            return child.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            continue  # in slices, because Windows does not wake a waiting thread for Ctrl-C


def open_when_up(app, ended):
    """Open the app once it answers; never after `ended`, because then another program has its address."""
    deadline = time.monotonic() + OPEN_SECONDS
    while time.monotonic() < deadline and not ended.is_set():
        if answers(app):
            if not ended.is_set():
                webbrowser.open(app)
            return
        time.sleep(0.2)


def answers(address):
    # The app is on this machine: a proxy of the environment must not be asked.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(address, timeout=2):
            return True
    except HTTPError:
        return True
    except (OSError, HTTPException, ValueError):
        return False


def say(line):
    print(line, file=sys.stderr, flush=True)
