"""The app's commands. `flask check` says what is wrong with the set-up, before anybody signs in."""

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import click
from flask import Flask

import app_config
from signin.oidc import (
    CLOCK_SKEW,
    SIGN_IN,
    HttpClient,
    HttpError,
    OidcError,
    Response,
    SetupFault,
)
from signin.registration.commands import register, unregister
from signin.sessions import StoreError
from signin.web.engine import Engine, without_query
from signin.web.words import port_advice, words_for

CERTIFICATE_WARNING_DAYS = 30


@dataclass(frozen=True)
class Finding:
    """One line of the report. `advice` says what to do when `ok` is false, or soon when it is true."""

    what: str
    ok: bool
    detail: str
    advice: str = ""


class CheckFailed(Exception):
    """A check has found a fault that is not an OidcError."""

    def __init__(self, detail: str, advice: str) -> None:
        super().__init__(detail)
        self.advice = advice


class CheckWarned(CheckFailed):
    """A check has found what is no fault yet."""


def add_commands(app: Flask) -> None:
    """Add `flask check`, `flask register` and `flask unregister` to `app`."""
    app.cli.add_command(register)
    app.cli.add_command(unregister)

    @app.cli.command("check")
    @click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
    def check(as_json: bool) -> None:
        """Say what is wrong with the set-up, before anybody signs in."""
        findings = []
        for finding in _findings(app.extensions["signin"]):
            findings.append(finding)
            if not as_json:
                _print(finding)
        failed = sum(not finding.ok for finding in findings)
        if as_json:
            click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
        else:
            click.echo(_summary(len(findings), failed))
        raise SystemExit(1 if failed else 0)


def _summary(checks: int, failed: int) -> str:
    if not failed:
        return f"\nAll {checks} checks have passed."
    return f"\n{failed} of {checks} checks failed."


def run_registration_command() -> None:
    """If `flask register` or `flask unregister` was typed, run it and end the process.

    Flask looks for commands in the app. The app needs its settings, and before `flask register` there are
    none.
    """
    program, arguments = Path(sys.argv[0]), sys.argv[1:]
    is_flask = program.stem == "flask" or program.parent.name == "flask"  # the latter: python -m flask
    while arguments and arguments[0].startswith("-"):
        has_value = arguments[0] in ("-A", "--app", "-e", "--env-file")
        del arguments[: 2 if has_value else 1]
    command = {"register": register, "unregister": unregister}.get(arguments[0]) if arguments else None
    if is_flask and command:
        command.main(arguments[1:], prog_name=f"flask {arguments[0]}")


def _print(finding: Finding) -> None:
    verdict = ("WARN" if finding.advice else "ok  ") if finding.ok else "FAIL"
    click.echo(f"{verdict}  {finding.what}: {finding.detail}")
    if finding.advice:
        click.echo(f"      {finding.advice}")


def _findings(parts: Engine) -> Iterator[Finding]:
    """Check the registration, each user flow, the clock, the credential, the session store and the API."""
    scope = " ".join(parts.settings.scope) or "none"
    yield Finding("settings", True, f"complete and well-formed; scope: {scope}")
    for name, meant in app_config.misspelt_here().items():
        yield Finding(
            name, False, "is not a setting of this app, and has no effect", f"Did you mean {meant}?"
        )
    yield _finding(parts, "redirect URI", partial(_redirect_uri, parts))
    if parts.settings.on_this_machine:
        yield _finding(parts, "port", partial(_port, parts.settings))
    provider = parts.client.provider
    has_metadata: dict[str, bool] = {}  # by URL, which user flows can share
    for user_flow in _sign_in_first(parts):
        url = provider.metadata_url(user_flow)
        if url not in has_metadata:
            what = f"user flow {provider.user_flow_name(user_flow)}"
            finding = _finding(
                parts,
                what if provider.has_user_flows else "provider metadata",
                partial(_metadata, parts, user_flow),
            )
            has_metadata[url] = finding.ok
            yield finding
    for user_flow in _sign_in_first(parts):
        if has_metadata[provider.metadata_url(user_flow)]:
            name = provider.user_flow_name(user_flow)
            what = f"sign-in request to {name}" if provider.has_user_flows else f"{name} request"
            yield _finding(parts, what, partial(_request, parts, user_flow))
    if has_metadata[provider.metadata_url(SIGN_IN)]:
        yield _finding(parts, "clock", partial(_clock, parts))
        yield _finding(parts, "client credential", partial(_credential, parts))
    else:
        yield Finding("clock and client credential", False, "not checked: they need the provider's metadata")
    if parts.client.credential.ends:
        yield _finding(parts, "client certificate", partial(_certificate, parts.client.credential.ends))
    yield _finding(parts, "session store", partial(_store, parts))
    if parts.settings.endpoint:
        yield _finding(parts, "web API", partial(_api, parts.settings.endpoint, "ENDPOINT"))
    if parts.settings.profile_scope:
        yield _finding(parts, "Microsoft Graph", partial(_api, parts.settings.graph_me, "GRAPH_URL"))


def _sign_in_first(parts: Engine) -> list[str]:
    return sorted(parts.client.user_flows, key=lambda user_flow: (user_flow != SIGN_IN, user_flow))


def _finding(parts: Engine, what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except CheckFailed as fault:
        return Finding(what, isinstance(fault, CheckWarned), str(fault), fault.advice)
    except OidcError as error:
        tried = f" Tried {error.url}" if error.url else ""
        return Finding(
            what, False, str(error).splitlines()[0], words_for(error, parts.settings).operator + tried
        )


def _redirect_uri(parts: Engine) -> str:
    settings = parts.settings
    secure = "cookies are Secure" if settings.https else "http, so it works on this machine only"
    return f"register {settings.redirect_uri} and {settings.origin}/ as Web; {secure}"


def _port(settings: app_config.Settings) -> str:
    """Whether the port that REDIRECT_URI names is the app's, or can become it."""
    port = settings.flask_run_port
    if port and port != settings.port:
        raise CheckFailed(
            f"FLASK_RUN_PORT is {port}, and REDIRECT_URI says {settings.port}", port_advice(settings, port)
        )
    if settings.https:
        return f"serve the app with: flask run --cert=adhoc --port {settings.port}"
    url = f"{settings.origin}/healthz"
    try:
        socket.create_connection((urlsplit(url).hostname, settings.port), timeout=2).close()
    except OSError:
        return f"nothing listens there now; serve the app with: flask run --port {settings.port}"
    try:
        answer = HttpClient("check", ca_for=url, use_proxies=False).request("GET", url).text
    except HttpError as error:
        answer = str(error)
    if answer != "ok\n":
        raise CheckFailed(
            f"another program listens on port {settings.port}",
            "Stop it, or choose another port for REDIRECT_URI and `flask run`. On macOS it is often AirPlay.",
        )
    return f"the app answers on port {settings.port}"


def _metadata(parts: Engine, user_flow: str) -> str:
    issuer = parts.client.metadata(user_flow)["issuer"]
    return f"issuer {issuer}, {len(parts.client.signing_keys(user_flow))} signing key(s)"


def _request(parts: Engine, user_flow: str) -> str:
    """Send the authorization request without a user. What is wrong with it comes back at once."""
    scopes = parts.settings.scope if user_flow == SIGN_IN else ()
    uri = parts.client.begin(user_flow, scopes)["auth_uri"]
    response = _get(uri)
    answer = dict(parse_qsl(urlsplit(response.headers.get("Location", "")).query))
    if "error" in answer:
        raise parts.client.error_from(answer)
    if response.status >= 400:
        raise CheckFailed(
            f"the sign-in page answers {response.status}",
            f"Open it in a browser to see why. Usually it is CLIENT_ID or the redirect URI: {uri}",
        )
    return "client ID, redirect URI and scopes are accepted"


def _clock(parts: Engine) -> str:
    date = parts.client.date(SIGN_IN)
    if not date:
        return "the provider does not say what time it is"
    try:
        seconds = time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError as error:
        raise CheckFailed(
            f"the provider's Date header {date[:40]!r} cannot be read",
            "Look for a proxy that changes the provider's responses.",
        ) from error
    if abs(seconds) > CLOCK_SKEW / 2:
        ahead = "ahead of" if seconds > 0 else "behind"
        raise CheckFailed(
            f"{abs(seconds):.0f} s {ahead} the provider's", "Set this machine's clock, and let NTP keep it."
        )
    return f"{seconds:+.0f} s against the provider's"


def _credential(parts: Engine) -> str:
    """Redeem a made-up code. A provider refuses a wrong credential before it looks at the code."""
    refusal = parts.client.redeem_made_up_code(SIGN_IN)
    if isinstance(refusal, SetupFault):
        raise refusal
    return "not refused"


def _certificate(ends: datetime) -> str:
    days = (ends - datetime.now(timezone.utc)).days
    advice = "Make a new certificate, add it to the app registration, then set CLIENT_CERTIFICATE_PATH."
    if days < 0:
        raise CheckFailed(f"ended on {ends:%Y-%m-%d}", advice)
    detail = f"ends on {ends:%Y-%m-%d}, in {days} days"
    if days < CERTIFICATE_WARNING_DAYS:
        raise CheckWarned(detail, advice)
    return detail


def _store(parts: Engine) -> str:
    try:
        parts.records.check()
    except StoreError as error:
        raise CheckFailed(
            str(error), "Check REDIS_URL, or the free space and the permissions of SESSION_DIR."
        ) from error
    return "written and read back"


def _api(endpoint: str, setting: str) -> str:
    shown, status = without_query(endpoint), _get(endpoint).status
    if status < 300:
        return f"{shown} answers {status} without a token: is it protected?"
    if status not in (401, 403):
        raise CheckFailed(
            f"{shown} answers {status} without a token", f"Check {setting} and the API's own log."
        )
    return f"{shown} answers {status} without a token, as it should"


def _get(url: str) -> Response:
    try:
        return HttpClient("check", ca_for=url).request("GET", url)
    except HttpError as error:
        raise CheckFailed(
            f"no answer: {error}", f"Is it running, and can this machine reach {without_query(url)}?"
        ) from error
