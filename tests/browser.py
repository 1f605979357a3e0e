"""A browser without a screen: cookies, redirects, links and forms over real HTTP."""

from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import requests


class Forms(HTMLParser):
    """A page's forms (action, fields, buttons), links, main heading and text."""

    def __init__(self, html: str):
        super().__init__()
        self.forms: list[dict] = []
        self.links: dict[str, str] = {}
        self.text = ""
        self.heading = ""
        self._link = ""
        self._in_heading = False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        given = dict(attributes)
        if tag == "form":
            self.forms.append({"action": given.get("action", ""), "fields": {}, "buttons": {}})
        elif tag in ("input", "button") and self.forms and given.get("name"):
            kind = "buttons" if tag == "button" or given.get("type") == "submit" else "fields"
            self.forms[-1][kind][given["name"]] = given.get("value") or ""
        elif tag == "h1":
            self._in_heading = True
        elif tag == "a":
            self._link = given.get("href") or ""
            if given.get("id"):
                self.links[given["id"]] = self._link

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._link = ""
        elif tag == "h1":
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        self.text += data
        self.heading += data if self._in_heading else ""
        if self._link and data.strip():
            self.links[data.strip()] = self._link


def with_query(url: str, **changes: str | list[str] | None) -> str:
    """`url` with parameters set, given several times (a list) or left out (None)."""
    parts = urlsplit(url)
    query = parse_qs(parts.query, keep_blank_values=True) | changes
    kept = {name: values for name, values in query.items() if values is not None}
    return parts._replace(query=urlencode(kept, doseq=True)).geturl()


def parameters(url: str) -> dict[str, str]:
    """The query parameters of `url`, the first value of each."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class Browser:
    """What a person does with a browser. `page` is the answer shown last."""

    def __init__(self, app_url: str, tenant: object):
        self.app_url, self.tenant = app_url, tenant
        self.http = requests.Session()
        self.http.trust_env = False
        self.page: requests.Response | None = None

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    @property
    def text(self) -> str:
        return " ".join(Forms(self.page.text).text.split())

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value for cookie in self.http.cookies if cookie.name.startswith("b2c_")}

    def cookie(self, name: str) -> str | None:
        return self.cookies.get(name)

    def get(self, path: str, *, follow: bool = True, **headers: str) -> requests.Response:
        """Go to a path of the app, or to a whole URL."""
        return self._go("GET", urljoin(self.app_url, path), follow, headers)

    def post(self, path: str, *, follow: bool = True, **headers: str) -> requests.Response:
        """Submit a form of the app's own page."""
        given = {"Origin": self.app_url, "Sec_Fetch_Site": "same-origin"} | headers
        return self._go("POST", urljoin(self.app_url, path), follow, given)

    def _go(self, method: str, url: str, follow: bool, headers: dict, **body: object) -> requests.Response:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers = {"Accept": "text/html,application/xhtml+xml"} | headers
        self.page = self.http.request(
            method, url, headers=headers, allow_redirects=follow, timeout=40, **body
        )
        return self.page

    def follow(self) -> requests.Response:
        """Follow one redirect."""
        return self.get(urljoin(self.page.url, self.page.headers["Location"]), follow=False)

    def click(self, link: str) -> requests.Response:
        """Follow the link with this id or text."""
        return self.get(urljoin(self.page.url, Forms(self.page.text).links[link]))

    def submit(self, button: str, *, follow: bool = True, **fields: str) -> requests.Response:
        """Fill in the page's form that has this button, and press it."""
        form = next(form for form in Forms(self.page.text).forms if button in form["buttons"])
        data = form["fields"] | fields | {button: form["buttons"][button]}
        return self._go("POST", urljoin(self.page.url, form["action"]), follow, {}, data=data)

    def sign_in(self, *, email: str = "", password: str = "", start: str = "/login") -> "Browser":
        """Sign in from `start`, as the ready account unless told otherwise."""
        account = self.tenant.account
        self.get(start)
        if urlsplit(self.page.url).netloc != urlsplit(self.app_url).netloc:  # no single sign-on yet
            self.submit("next", email=email or account["email"], password=password or account["password"])
        return self

    def callback_url(self, start: str = "/login") -> str:
        """Go through the tenant's pages, and stop before the app's redirect URI; its address."""
        account = self.tenant.account
        self.get(start, follow=False)
        self.follow()
        if self.page.status_code == 200:
            self.submit("next", follow=False, email=account["email"], password=account["password"])
        return urljoin(self.page.url, self.page.headers["Location"])

    def signed_in_as(self) -> str | None:
        """Who the app says is signed in: what its home page greets them as."""
        home = Forms(self.get("/").text)
        return home.heading.strip().removeprefix("Welcome, ") if "Sign out" in home.text else None
