"""What nginx itself refuses, limits and answers, with tests/nginx.conf."""

import os
import re
import signal
import socket
import ssl
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from pathlib import Path

import pytest
import requests

from tests.deployment.conftest import Site
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")

SECURITY_HEADERS = (
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cache-Control",
)


def connect(site: Site, address: str = "127.0.0.1", **options: ssl.TLSVersion) -> ssl.SSLSocket:
    """A TLS connection from this address of the loopback interface. nginx limits each address by itself."""
    context = ssl.create_default_context(cafile=site.authority)
    for name, value in options.items():
        setattr(context, name, value)
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=20, source_address=(address, 0))
    return context.wrap_socket(connection, server_hostname="localhost")


def ask(site: Site, path: str, address: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body of a page, asked for from this address."""
    context = ssl.create_default_context(cafile=site.authority)
    connection = HTTPSConnection(
        "localhost", site.port, timeout=60, source_address=(address, 0), context=context
    )
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def assert_secure(page: requests.Response) -> None:
    """Each header is there once."""
    counts = {name: len(page.raw.headers.getlist(name)) for name in SECURITY_HEADERS}
    assert counts == dict.fromkeys(SECURITY_HEADERS, 1)


# --- Error pages -------------------------------------------------------------------------------------------


def test_a_page_for_a_request_that_is_too_large_has_the_security_headers(site: Site) -> None:
    page = requests.post(f"{site.url}/logout", data=b"x" * 70_000, verify=site.authority, timeout=10)

    assert page.status_code == 413
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert_secure(page)


def test_a_page_for_a_path_that_is_too_long_has_the_security_headers(site: Site) -> None:
    page = site.get("/" + "x" * 40_000)

    assert page.status_code == 414
    assert_secure(page)


def test_a_page_without_an_instance_has_the_security_headers(site_without_instances: Site) -> None:
    page = site_without_instances.get()

    assert page.status_code == 502
    assert_secure(page)
    assert not re.search(r"nginx/\d", page.text + page.headers["Server"])


@pytest.mark.parametrize("path", ["/", "/login", "/nowhere", "/static/style.css", "/healthz"])
def test_the_apps_own_headers_are_not_doubled(site: Site, path: str) -> None:
    assert_secure(site.get(path))


def test_a_page_that_gunicorn_refuses_has_the_security_headers(site: Site) -> None:
    page = site.get("/" + "x" * 9_000)

    assert page.status_code == 414
    assert "gunicorn" not in page.headers["Server"]
    assert_secure(page)


# --- Cookies that fill the header --------------------------------------------------------------------------


def test_cookies_that_nginx_lets_through_end_on_the_apps_page(site: Site) -> None:
    page = site.get(Cookie=f"__Host-signin_session=x; sibling={'x' * 15_990}")

    assert page.status_code == 431
    assert "This browser sends too many cookies" in page.text
    assert page.headers["Set-Cookie"].startswith("__Host-signin_session=;")
    assert "Clear-Site-Data" not in page.headers


@pytest.mark.parametrize("length", [31_000, 32_730])
def test_as_many_cookies_as_nginx_lets_through_reach_the_app(site: Site, length: int) -> None:
    page = site.get(Cookie="s=" + "x" * length)

    assert page.status_code == 431
    assert "<h1>This browser sends too many cookies</h1>" in page.text
    assert page.headers["Clear-Site-Data"] == '"cookies"'


def test_more_cookies_than_nginx_lets_through_are_all_removed(site: Site) -> None:
    page = site.get(Cookie="s=" + "x" * 40_000)

    assert page.status_code == 431
    assert page.headers["Clear-Site-Data"] == '"cookies"'
    assert_secure(page)


# --- TLS ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_both_versions_of_tls_have_forward_secrecy(site: Site, version: ssl.TLSVersion) -> None:
    with connect(site, minimum_version=version, maximum_version=version) as connection:
        cipher = connection.cipher()

    assert cipher
    assert cipher[0].startswith("ECDHE-" if version == ssl.TLSVersion.TLSv1_2 else "TLS_")


def test_older_versions_of_tls_are_refused(site: Site) -> None:
    context = ssl.create_default_context(cafile=site.authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=10)

    with connection, pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        context.wrap_socket(connection, server_hostname="localhost")


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE+SHA1", "DHE"])
def test_a_cipher_without_forward_secrecy_or_with_sha1_is_refused(site: Site, cipher: str) -> None:
    context = ssl.create_default_context(cafile=site.authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=10)

    with connection, pytest.raises(ssl.SSLError):
        context.wrap_socket(connection, server_hostname="localhost")


# --- Limits ------------------------------------------------------------------------------------------------


def test_one_address_cannot_ask_without_end_and_others_can(site: Site) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(
            status for status, _ in pool.map(lambda _: ask(site, "/healthz", "127.0.0.2"), range(300))
        )
    others = [ask(site, "/healthz", "127.0.0.3") for _ in range(5)]

    assert statuses[200] >= 150
    assert statuses[429] >= 10
    assert set(statuses) == {200, 429}
    assert others == [(200, b"ok\n")] * 5


def test_one_address_cannot_hold_every_thread(site: Site) -> None:
    workers = [pid for instance in site.instances for pid in instance.children()]
    with ThreadPoolExecutor(40) as pool:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            pages = [pool.submit(ask, site, "/healthz", "127.0.0.4") for _ in range(40)]
            wait_until(lambda: sum(page.done() for page in pages) == 8, "those beyond the limit are answered")
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        statuses = Counter(page.result()[0] for page in pages)

    assert statuses == {200: 32, 429: 8}


def test_400_half_sent_requests_delay_nobody(site: Site) -> None:
    connections = []
    try:
        for number in range(400):
            connections.append(connect(site, f"127.0.1.{number % 200 + 1}"))
            connections[-1].sendall(b"POST /logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n")
        pages = [ask(site, path, "127.0.0.5") for path in ("/", "/healthz", "/login") for _ in range(3)]
    finally:
        for connection in connections:
            connection.close()

    assert {status for status, _ in pages} == {200, 302}


# --- The log -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/x%0aFORGED", "/x%0d%0aFORGED", "/x%1b[2J", "/x%00FORGED", "/x%c2%85FORGED"]
)
def test_a_path_writes_no_line_of_its_own(site: Site, path: str) -> None:
    before = [len(text) for text in logs(site)]
    site.get(path)
    written = [text[length:] for text, length in zip(logs(site), before, strict=True)]

    assert not any(line.startswith("FORGED") for text in written for line in text.splitlines())
    assert "\x1b" not in "".join(written)
    assert "\x00" not in "".join(written)


def logs(site: Site) -> list[str]:
    return [site.log.read_text(), *(instance.output() for instance in site.instances)]
