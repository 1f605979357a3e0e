"""A small browser: cookies, one connection, redirects followed by the caller, who wants to see each."""

import asyncio
import re
from html import unescape
from http.cookies import SimpleCookie
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
TIMEOUT = 30  # seconds

LOGOUT_FORM = re.compile(r'<form[^>]*action="([^"]*/logout)".*?</form>', re.DOTALL)
HIDDEN_FIELD = re.compile(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"')
REFRESH_TO = re.compile(r"""http-equiv=['"]refresh['"][^>]*URL=([^'"]+)""")


class Page(NamedTuple):
    """An answer: status, header fields by lower-case name, and text."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def leads_to(self) -> str:
        """Return where the browser goes from here by itself, or an empty string."""
        if 300 <= self.status < 400:
            return self.headers.get("location", "")
        found = REFRESH_TO.search(self.text)
        return unescape(found[1]) if found else ""


class NoAnswer(ConnectionError):
    """The connection ended, or the time ran out, before the answer was complete."""

    def __init__(self, port: int, reason: str) -> None:
        super().__init__(reason)
        self.port, self.reason = port, reason


class Browser:
    """One user's browser on one site; with ``keep_alive=False`` every request has its own connection."""

    def __init__(self, url: str, keep_alive: bool = True) -> None:
        self.url, self._keep_alive = url, keep_alive
        self._where = urlsplit(url)
        self._streams: Streams | None = None
        self.cookies: dict[str, str] = {}

    @property
    def cookie_header(self) -> str:
        """Return the cookies as a request sends them."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    async def get(self, path: str) -> Page:
        """Return the answer to a GET; raises NoAnswer."""
        return await self._request("GET", path, b"")

    async def post(self, path: str, form: dict[str, str]) -> Page:
        """Return the answer to a form that was sent from a page of the same site; raises NoAnswer."""
        return await self._request("POST", path, urlencode(form).encode())

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._keep(None, self._streams)

    async def _request(self, method: str, path: str, body: bytes) -> Page:
        port, streams = 0, self._streams
        try:
            reader, writer = streams = streams or await asyncio.wait_for(self._connect(), TIMEOUT)
            port = writer.get_extra_info("sockname")[1]
            writer.write(self._head(method, path, body) + body)
            page = await asyncio.wait_for(self._read(reader), TIMEOUT)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            self._keep(None, streams)
            raise NoAnswer(port, type(error).__name__) from error
        closing = not self._keep_alive or page.headers.get("connection", "").lower() == "close"
        self._keep(None if closing else streams, streams)
        return page

    async def _connect(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self._where.port)

    def _keep(self, kept: Streams | None, used: Streams | None) -> None:
        self._streams = kept
        if used and not kept:
            used[1].close()

    def _head(self, method: str, path: str, body: bytes) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._where.netloc}", "Accept: text/html"]
        if self.cookies:
            lines.append(f"Cookie: {self.cookie_header}")
        if method == "POST":
            kind = "application/x-www-form-urlencoded"
            lines += [f"Origin: {self.url}", "Sec-Fetch-Site: same-origin", f"Content-Type: {kind}"]
            lines.append(f"Content-Length: {len(body)}")
        if not self._keep_alive:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode()

    async def _read(self, reader: asyncio.StreamReader) -> Page:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.rstrip().split("\r\n")
        headers = {}
        for name, _, value in (line.partition(": ") for line in lines):
            headers[name.lower()] = value
            if name.lower() == "set-cookie":
                self._take_cookie(value)
        text = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
        return Page(int(status_line.split(" ")[1]), headers, text)

    def _take_cookie(self, text: str) -> None:
        for name, morsel in SimpleCookie(text).items():
            if morsel["max-age"] == "0" or "1970" in morsel["expires"] or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.coded_value


async def start_sign_in(browser: Browser) -> str:
    """Go from the home page to the tenant as the app leads there, and return the address at the tenant."""
    page = await browser.get("/")
    if not page.leads_to.startswith("http") or page.leads_to.startswith(browser.url):
        page = await browser.get("/login")
    if "/authorize" not in page.leads_to:
        raise RuntimeError(f"no way to the tenant: {page.status} {page.leads_to}\n{page.text[:2000]}")
    return page.leads_to


async def at_tenant(tenant: Browser, address: str, first_lifetime: int = 0) -> str:
    """Sign in at the tenant's stand-in and return the path of the callback that it sends the browser to."""
    target = urlsplit(address)
    wish = f"&first_lifetime={first_lifetime}" if first_lifetime else ""
    page = await tenant.get(f"{target.path}?{target.query}{wish}")
    back = urlsplit(page.leads_to)
    return f"{back.path}?{back.query}"


async def sign_in(browser: Browser, tenant: Browser, first_lifetime: int = 0) -> Page:
    """Sign a new user in and return the callback's answer; ``first_lifetime`` (seconds) as at the tenant."""
    callback = await at_tenant(tenant, await start_sign_in(browser), first_lifetime)
    page = await browser.get(callback)
    if page.status not in (302, 303):
        raise RuntimeError(f"sign-in refused: {page.status}\n{page.text[:2000]}")
    return page


async def sign_out(browser: Browser, home: Page) -> Page:
    """Send the sign-out form of a home page, with the fields that it has; an app without one has a link."""
    form = LOGOUT_FORM.search(home.text)
    if not form:
        return await browser.get("/logout")
    fields = {name: unescape(value) for name, value in HIDDEN_FIELD.findall(form[0])}
    return await browser.post(urlsplit(urljoin(browser.url, unescape(form[1]))).path, fields)
