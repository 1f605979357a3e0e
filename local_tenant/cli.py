"""The command line: run COMMAND with a tenant beside it, or print the settings and wait."""

import argparse
import os
import re
import sys
import threading
import time
import webbrowser
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from . import trust
from .authorities import DEFAULT_KIND, KINDS
from .command import ENDING, HANG_UP, Signals, run, say
from .configuration import (
    ConfigurationError,
    default_configuration,
    example,
    lasting_tenant_id,
)
from .home import HomeUnusable, home
from .invocation import program
from .kept import Kept
from .model.database import DatabaseUnusable
from .model.origins import LOOPBACK
from .model.redirect_uris import redirect_uri_fault
from .server import AddressMissing, PortTaken
from .tenant import APP_CHOICES, DEFAULT_PORT, DEFAULT_REDIRECT_URI, LocalTenant, RedirectUriUnusable
from .tls import java_options, write_java_truststore

DEFAULT_APP_PORT = 5000
LOGOUT_PATH = "/frontchannel_logout"  # of the app
# How flask and gunicorn are told their port. The redirect URI has to name the same one.
PORT_OPTION = re.compile(r"(?:--port[ =]|-p ?)(\d{1,5})|(?:--bind[ =]|-b ?)\S*:(\d{1,5})")
LARGEST_PORT = 65535
KEPT_FROM_ENVIRONMENT = ("REDIRECT_URI", "SECRET_KEY", *APP_CHOICES)
OPEN_SECONDS = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    if options.command[:1] == ["trust"]:
        return trust.main(options.command[1:])
    if options.command[:1] == ["init"]:
        return init(options.command[1:], options.kind)
    # Set before the tenant starts, so that Ctrl-C is as quiet during the start as it is later.
    signals = Signals(ENDING if options.command else ENDING + HANG_UP)
    port = app_port(options.command, os.environ)
    own_redirect_uri = from_environment("REDIRECT_URI")
    redirect_uris = registered(own_redirect_uri or f"http://localhost:{port}/getAToken")
    try:
        tenant = LocalTenant(
            options.port,
            redirect_uris,
            announce=say,
            kind=options.kind,
            logout_url=logout_url(own_redirect_uri),
            https=options.https,
            home=home(),
            listen=options.listen,
            control=options.control,
            config=options.config,
            database=options.database,
        )
        if own_redirect_uri:
            tenant.add_redirect_uris(redirect_uris)  # besides those of the file, if it lists any
        with tenant:
            return serve(tenant, options.command, signals, port, open_app=options.open)
    except AddressMissing as missing:
        text = "--listen needs one of its own, or 0.0.0.0."
        say(f"This machine has no address {missing.address}. {text}")
        return 2
    except PortTaken as taken:
        say(f"Port {taken.port} cannot be used ({taken.reason}). {remedy(taken)}")
        return 2
    except (ConfigurationError, DatabaseUnusable, HomeUnusable, RedirectUriUnusable) as error:
        say(str(error))
        return 2


def init(arguments: Sequence[str], kind: str) -> int:
    """Print a file that sets up the tenant as it is without one."""
    parser = argparse.ArgumentParser(
        prog=f"{program()} init",
        description="Print a file for --config, with the IDs and secrets that the tenant has without one.",
    )
    add_kind(parser)
    kind = parser.parse_args(arguments).kind or kind or DEFAULT_KIND
    tenant_id = lasting_tenant_id(kind)
    configuration = default_configuration(kind, [DEFAULT_REDIRECT_URI], tenant_id=tenant_id)
    try:
        print(example(configuration, Kept(home(), tenant_id)), end="")
    except HomeUnusable as error:
        say(str(error))
        return 2
    return 0


def remedy(taken: PortTaken) -> str:
    if taken.forbidden:
        return (
            "Ports below 1024 need more rights. On Linux, this allows them to all programs until the next "
            f"restart: sudo sysctl net.ipv4.ip_unprivileged_port_start={taken.port}"
        )
    return (
        "Stop the program that uses it, or choose other ports: --port N takes N, N+1 and N+2, and --port 0 "
        "takes any that are free."
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program(),
        description="A stand-in for a Microsoft tenant and a web API, for development only.",
        epilog="Other commands: init prints a file for --config, trust makes browsers trust the tenant.",
    )
    add_kind(parser)
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="first of three ports (default: %(default)s)"
    )
    parser.add_argument(
        "--https",
        action="store_true",
        help="https everywhere: pages, metadata and tokens on --port, the web API on the next one",
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        default=LOOPBACK,
        help="let containers and other machines reach it, for example at 0.0.0.0; implies --https "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--config", metavar="FILE", type=file_name, help="set the tenant up by a TOML file (see init)"
    )
    parser.add_argument("--database", metavar="FILE", type=file_name, help="keep accounts in an SQLite file")
    parser.add_argument("--open", action="store_true", help="open the app in the browser once it answers")
    parser.add_argument(
        "--control", action="store_true", help="turn on the control API, for programs on this machine"
    )
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="COMMAND ...",
        help="a program to run with the tenant's settings in its environment",
    )
    options = parser.parse_args(arguments)
    if options.command[:1] == ["--"]:
        del options.command[0]
    if not 0 <= options.port <= LARGEST_PORT - 2:
        parser.error(f"--port is a number from 0 to {LARGEST_PORT - 2}")
    if not is_ip_address(options.listen):
        parser.error("--listen needs an IP address, such as 0.0.0.0")
    if options.config and options.command[:1] == ["init"]:
        parser.error("init prints what the tenant has without a file. Leave --config out")
    options.https = options.https or options.listen != LOOPBACK
    return options


def file_name(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("write the name of a file")
    return text


def is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def add_kind(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind", choices=KINDS, default="", help=f"what it stands in for (default: {DEFAULT_KIND})"
    )


def from_environment(name: str) -> str:
    """The value of an environment variable. A blank value counts as not set, as it does for the app."""
    return os.environ.get(name, "").strip()


def app_port(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The port that the app will listen on, as far as its command and the environment show it."""
    following = [*command[1:], ""]
    candidates = [
        found[1] or found[2]
        for option, value in zip(command, following, strict=False)
        if (found := PORT_OPTION.fullmatch(option) or PORT_OPTION.fullmatch(f"{option} {value}"))
    ]
    candidates.append(environment.get("FLASK_RUN_PORT", "").strip())
    ports = [int(text) for text in candidates if text.isdecimal()]
    return next((port for port in ports if 0 < port <= LARGEST_PORT), DEFAULT_APP_PORT)


def app_origin(redirect_uri: str) -> str | None:
    """The app's origin. None if the redirect URI is no web address, which the app itself reports."""
    try:
        uri = urlsplit(redirect_uri)
        is_web_address = uri.scheme in ("http", "https") and uri.hostname and uri.port != 0
    except ValueError:
        return None
    return f"{uri.scheme}://{uri.netloc}" if is_web_address else None


def registered(redirect_uri: str) -> list[str]:
    """What is registered for the app: its redirect URI, and where sign-out leads back to."""
    if fault := redirect_uri_fault(redirect_uri, "web", may_have_query=True):
        say(f"{redirect_uri} is not registered, because it cannot be a redirect URI. {fault}")
        return []
    return [redirect_uri, f"{app_origin(redirect_uri)}/"]


def logout_url(own_redirect_uri: str) -> str:
    """The app's address for front-channel sign-out, or its path at the origin of the redirect URI."""
    if not own_redirect_uri:
        return LOGOUT_PATH
    origin = app_origin(own_redirect_uri)
    return f"{origin}{LOGOUT_PATH}" if origin else ""


def serve(tenant: LocalTenant, command: list[str], signals: Signals, port: int, *, open_app: bool) -> int:
    """Run the command to its end. Without one, print the settings and wait for a signal."""
    chosen = {name: from_environment(name) for name in KEPT_FROM_ENVIRONMENT if from_environment(name)}
    settings = tenant.settings | chosen
    app, ended = app_origin(settings["REDIRECT_URI"]), threading.Event()
    say(banner(tenant, app))
    if open_app and app:
        threading.Thread(target=open_when_up, args=(app, ended), daemon=True).start()
    if command:
        try:
            return run(command, os.environ | settings | run_port(port) | java_variables(tenant), signals)
        finally:
            ended.set()
    for name, value in settings.items():
        if value:
            print(f'{name}="{value}"' if " " in value else f"{name}={value}")
    sys.stdout.flush()
    signals.wait()
    return 0


def run_port(port: int) -> dict[str, str]:
    """The port for `flask run`, so that one in the app's `.env` does not win over REDIRECT_URI's."""
    return {} if from_environment("REDIRECT_URI") else {"FLASK_RUN_PORT": str(port)}


def banner(tenant: LocalTenant, app: str | None) -> str:
    return f"""
  Local stand-in for {tenant.name}, FOR DEVELOPMENT ONLY. {who_can_use(tenant)}

    Values    {tenant.url}
    App       {app or "where REDIRECT_URI says"}
    Mailbox   {tenant.url}/mailbox
    Web API   {tenant.settings["ENDPOINT"]}
    Sign in   {who_can_sign_in(tenant)}
{trust_hint(tenant)}"""


def who_can_sign_in(tenant: LocalTenant) -> str:
    try:
        account = tenant.account
    except LookupError:
        return "sign up first: the default accounts have been removed"
    password = account["password"] or "as its owner chose it"
    return f"{account['email']}   password {password}"


def trust_hint(tenant: LocalTenant) -> str:
    if not tenant.https:
        return ""
    return f"""    CA        {tenant.ca_certificate}

  Browsers warn of the certificate until you trust this CA: {program()} trust
"""


def java_variables(tenant: LocalTenant) -> dict[str, str]:
    """The variable that makes Java trust the tenant, besides what it holds already."""
    options = java_options(write_java_truststore(Path(tenant.ca_bundle)))
    return {"JAVA_TOOL_OPTIONS": f"{from_environment('JAVA_TOOL_OPTIONS')} {options}".lstrip()}


def who_can_use(tenant: LocalTenant) -> str:
    where = tenant.database or "memory"
    if ip_address(tenant.listen).is_loopback:
        return f"""It listens on this machine
  alone and keeps accounts in {where}. Anyone on this machine can use it."""
    return f"""It keeps accounts in {where}.

  WARNING: it LISTENS ON {tenant.listen}. Everyone who can reach this machine can sign in to it,
  read the mailbox and get tokens. Do this in a network that you trust, and only while you need it."""


def open_when_up(app: str, ended: threading.Event) -> None:
    """Open the app once it answers. Not after `ended`: then another program may have its address."""
    deadline = time.monotonic() + OPEN_SECONDS
    while time.monotonic() < deadline and not ended.is_set():
        if answers(app):
            if not ended.is_set():
                webbrowser.open(app)
            return
        time.sleep(0.2)


def answers(address: str) -> bool:
    # The app is on this machine, so a proxy of the environment is not asked.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(address, timeout=2):
            return True
    except HTTPError:
        return True
    except (OSError, HTTPException, ValueError):
        return False
