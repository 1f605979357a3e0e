"""A person with a browser, and an app, both reduced to plain HTTP, for the tests of the local tenant."""

import html
import json
import re
from base64 import urlsafe_b64decode
from urllib.parse import parse_qs, urlsplit

import requests

SIGN_IN, EDIT, RESET = "B2C_1_signupsignin1", "B2C_1_profileediting1", "B2C_1_passwordreset1"


class Visitor:
    """Keeps cookies; follows redirects inside the tenant, never those back to the app."""

    def __init__(self, tenant):
        self.tenant = tenant
        self.http = requests.Session()
        # REQUESTS_CA_BUNDLE of the machine would win over this tenant's own.
        self.http.trust_env = False
        self.http.verify = tenant.ca_bundle

    def endpoint(self, path, user_flow=SIGN_IN, origin=None):
        return f"{origin or self.tenant.url}/localtenant.onmicrosoft.com/{user_flow}/{path}"

    def authorize(self, user_flow=SIGN_IN, **changes):
        params = {
            "client_id": self.tenant.settings["CLIENT_ID"],
            "response_type": "code",
            "redirect_uri": self.tenant.settings["REDIRECT_URI"],
            "scope": "openid offline_access " + self.tenant.settings["SCOPE"],
            "state": "some-state",
            "nonce": "some-nonce",
            **changes,
        }
        params = {name: value for name, value in params.items() if value is not None}
        return self.get(self.endpoint("oauth2/v2.0/authorize", user_flow), params=params)

    def get(self, url, **kwargs):
        return self._stay(self.http.get(url, allow_redirects=False, **kwargs))

    def submit(self, page, **fields):
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="(.*?)">', page.text)
        return self._stay(self.http.post(page.url, data=dict(hidden) | fields, allow_redirects=False))

    def click(self, page, element_id):
        href = re.search(rf'id="{element_id}" href="(.*?)"', page.text)[1]
        return self.get(self.tenant.url + html.unescape(href))

    def _stay(self, response):
        while response.is_redirect and response.headers["Location"].startswith(("/", self.tenant.url)):
            response = self.http.get(
                requests.compat.urljoin(response.url, response.headers["Location"]), allow_redirects=False
            )
        return response

    def sign_in(self, user_flow=SIGN_IN, email=None, password=None, **changes):
        account = self.tenant.account
        page = self.authorize(user_flow, **changes)
        return self.submit(
            page, email=email or account["email"], password=password or account["password"], next="1"
        )

    def code(self, user_flow=SIGN_IN, **changes):
        response = self.authorize(user_flow, **changes)
        if not response.is_redirect:
            response = self.sign_in(user_flow, **changes)
        return answer(response)["code"]

    def token(self, user_flow=SIGN_IN, **changes):
        form = {
            "client_id": self.tenant.settings["CLIENT_ID"],
            "client_secret": self.tenant.settings["CLIENT_SECRET"],
            "client_info": "1",
            **changes,
        }
        form = {name: value for name, value in form.items() if value is not None}
        return self.http.post(self.endpoint("oauth2/v2.0/token", user_flow, self.tenant.tls_url), data=form)

    def redeem(self, code, user_flow=SIGN_IN, **changes):
        redirect_uri = self.tenant.settings["REDIRECT_URI"]
        wanted = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, **changes}
        return self.token(user_flow, **wanted)

    def refresh(self, refresh_token, user_flow=SIGN_IN, **changes):
        return self.token(user_flow, grant_type="refresh_token", refresh_token=refresh_token, **changes)

    def tokens(self, user_flow=SIGN_IN, **changes):
        return self.redeem(self.code(user_flow, **changes), user_flow).json()

    def control(self, method, path, body=None):
        response = self.http.request(method, f"{self.tenant.url}/control/{path}", json=body)
        assert response.ok, response.text
        return response.json()

    def mailed_code(self, email):
        return [mail["code"] for mail in self.control("GET", "mail") if mail["to"] == email][-1]


def answer(response):
    """The parameters on the redirect back to the app."""
    parts = urlsplit(response.headers["Location"])
    return {name: values[0] for name, values in parse_qs(parts.query or parts.fragment).items()}


def error_code(response):
    """`error` and the AADB2C code, from a redirect or from the token endpoint's JSON."""
    members = answer(response) if response.is_redirect else response.json()
    return members["error"], members["error_description"].partition(":")[0]


def claims(token):
    """The payload of a JWT, unchecked."""
    return segment(token.split(".")[1])


def segment(text):
    """A base64url JSON object."""
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def alert(page):
    """The text of the page's error message."""
    return html.unescape(re.search(r'role="alert">(.*?)</p>', page.text)[1])
