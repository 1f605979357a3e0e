"""What gunicorn itself answers and logs, with gunicorn.conf.py."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_tenant import LocalTenant
from tests.helpers.browser import send_lines
from tests.helpers.processes import Gunicorn, free_port

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


@pytest.fixture(scope="module")
def gunicorn(running_tenant: LocalTenant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """The app as it is behind a proxy that ends TLS."""
    folder = tmp_path_factory.mktemp("gunicorn")
    settings: dict[str, str] = running_tenant.settings | {
        "REDIRECT_URI": "https://app.example/getAToken",
        "SESSION_DIR": str(folder / "sessions"),
    }
    with Gunicorn(folder, settings, free_port()) as running:
        yield running


REFUSED = {
    "no request": (400, ["NONSENSE <script>"]),
    "a long path": (414, [f"GET /{'x' * 9_000} HTTP/1.1", "Host: app.example"]),
    "many headers": (431, ["GET / HTTP/1.1", *(f"X-{n}: <script>" for n in range(100))]),
    "a long header": (431, ["GET / HTTP/1.1", f"Cookie: {'x' * 40_000}"]),
    "large headers": (431, ["GET /healthz HTTP/1.1", *(f"X-{n}: {'x' * 9_000}" for n in range(13))]),
    "a header without a name": (400, ["GET / HTTP/1.1", ": <script>"]),
    "an unknown coding": (501, ["POST / HTTP/1.1", "Host: app.example", "Transfer-Encoding: <script>"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_request_that_gunicorn_refuses_gets_the_security_headers(gunicorn: Gunicorn, what: str) -> None:
    status, lines = REFUSED[what]

    answered, headers, body = send_lines(gunicorn.port, *lines)
    _, of_a_page, _ = send_lines(gunicorn.port, "GET / HTTP/1.1", "Host: app.example")

    names = [
        "Content-Security-Policy",
        "X-Content-Type-Options",
        "Referrer-Policy",
        "Strict-Transport-Security",
        "Cross-Origin-Opener-Policy",
        "Cache-Control",
    ]
    assert answered == status
    assert {name: headers[name] for name in names} == {name: of_a_page[name] for name in names}
    assert len(body) == int(headers["Content-Length"])
    assert b"script" not in body


def test_a_cookie_header_that_gunicorn_refuses_has_all_cookies_removed(gunicorn: Gunicorn) -> None:
    status, headers, _ = send_lines(gunicorn.port, *REFUSED["a long header"][1])

    assert (status, headers["Clear-Site-Data"]) == (431, '"cookies"')


@pytest.mark.parametrize("length", [17_000, 32_760])
def test_a_cookie_header_that_the_app_can_answer_reaches_the_app(gunicorn: Gunicorn, length: int) -> None:
    cookies = "__Host-signin_session=x; s="
    cookies += "x" * (length - len("Cookie: ") - len(cookies))
    status, headers, body = send_lines(
        gunicorn.port, "GET / HTTP/1.1", "Host: app.example", f"Cookie: {cookies}", "Accept: text/html"
    )

    assert status == 431
    assert headers["Set-Cookie"].startswith("__Host-signin_session=;")
    assert b"This browser sends too many cookies" in body


def test_a_body_that_arrives_with_large_headers_does_not_count_as_headers(gunicorn: Gunicorn) -> None:
    headers = "".join(f"X-{n}: {'x' * 8_000}\r\n" for n in range(12))
    head = f"POST /healthz HTTP/1.1\r\nHost: app.example\r\nContent-Length: 60000\r\n{headers}"
    head += f"X-Rest: {'x' * (99_000 - len(head))}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"x" * 60_000)
        answer = connection.recv(4096)

    assert answer.split()[1] == b"405"


HOSTILE = [
    "GET /x%0aFORGED HTTP/1.1",
    "GET /x%0d%0aFORGED HTTP/1.1",
    "GET /x%1b[2J HTTP/1.1",
    "GET /x%00FORGED HTTP/1.1",
    "GET /x%c2%85FORGED HTTP/1.1",
    'GET /x%22%20200%20"FORGED HTTP/1.1',
    "GET /x\x1b[2J HTTP/1.1",
    "FORGED\x1b[2J / HTTP/1.1",
    "GET http://app.example/x%0aFORGED HTTP/1.1",
]


@pytest.mark.parametrize("line", HOSTILE)
def test_a_request_cannot_write_a_line_of_its_own_into_the_log(gunicorn: Gunicorn, line: str) -> None:
    before = len(gunicorn.output())
    send_lines(gunicorn.port, line, "Host: app.example", "User-Agent: \x1b[2J", "Referer: /?FORGED")
    written = gunicorn.output()[before:]

    assert written.strip()
    assert not any(part.startswith("FORGED") for part in written.splitlines())
    assert not [character for character in written if not (character.isprintable() or character == "\n")]


def test_the_log_has_the_path_as_it_came_and_no_query(gunicorn: Gunicorn) -> None:
    before = len(gunicorn.output())
    send_lines(gunicorn.port, "GET /x%0a%C3%BC?code=a-code HTTP/1.1", "Host: app.example")
    [line] = [line for line in gunicorn.output()[before:].splitlines() if '"GET ' in line]

    assert '"GET /x%0A%C3%BC HTTP/1.1" 404' in line
    assert "a-code" not in gunicorn.output()
