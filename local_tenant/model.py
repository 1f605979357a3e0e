"""What the tenant knows: its clock, options, app registration, user flows, sessions and grants."""

import json
import secrets
import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field, fields

from .directory import Account, Directory, Mailbox
from .faults import Faults, Record
from .signing import KeyRing, base64url

NAME = "localtenant"
DOMAIN = f"{NAME}.onmicrosoft.com"
OIDC_SCOPES = {"openid", "profile", "offline_access", "email"}
SESSION_SECONDS = 24 * 3600
KEPT_TICKETS = 20_000


class Clock:
    """Epoch seconds, moved by `offset`."""

    offset = 0.0

    def now(self):
        return time.time() + self.offset


@dataclass
class Options:
    """Behaviour a test can change while the tenant runs; lifetimes in seconds."""

    refresh_token_reuse: bool = True  # False: each refresh token is accepted once
    code_reuse: bool = False
    pkce: bool = True  # False: code_verifier is not looked at
    access_token_lifetime: int = 3600
    id_token_lifetime: int = 3600
    code_lifetime: int = 300
    refresh_token_lifetime: int = 1_209_600
    issuer_form: str = "default"  # "tfp": the issuer names the user flow
    policy_claim: str = "tfp"  # "acr": the claim older user flows have, in lower case
    keys: int = 1  # how many are published at least
    require_id_token_hint: bool = False  # at sign-out
    unregistered_redirect: str = "redirect"  # where AADB2C90006 goes: a registered address, or a "page"
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(30))

    ALLOWED = {  # noqa: RUF012 - a constant, not a field
        "issuer_form": ("default", "tfp"),
        "policy_claim": ("tfp", "acr"),
        "keys": (1, 2),
        "unregistered_redirect": ("redirect", "page"),
    }

    def change(self, wanted):
        """Raises ValueError naming the first option that does not exist or cannot have that value."""
        types = {option.name: type(getattr(self, option.name)) for option in fields(self)}
        for name, value in wanted.items():
            if name not in types:
                raise ValueError(f"no such option: {name}")
            if type(value) is not types[name] or value not in self.ALLOWED.get(name, (value,)):
                raise ValueError(f"option {name} cannot be {value!r}")
        for name, value in wanted.items():
            setattr(self, name, value)


@dataclass(frozen=True)
class UserFlow:
    """A user flow; `kind` says which journey it is."""

    name: str
    kind: str


USER_FLOWS = {
    flow.name.lower(): flow
    for flow in (
        UserFlow("B2C_1_signupsignin1", "signupsignin"),
        UserFlow("B2C_1_profileediting1", "profileediting"),
        UserFlow("B2C_1_passwordreset1", "passwordreset"),
    )
}


@dataclass(frozen=True)
class WebApi:
    """A web API's registration: `granted` are the scopes an administrator consented to for our app."""

    client_id: str
    uri: str
    scopes: frozenset
    granted: frozenset


def _web_api(name, scopes, granted):
    return WebApi(
        str(uuid.uuid4()), f"https://{DOMAIN}/{name}", frozenset(scopes.split()), frozenset(granted.split())
    )


class Registration:
    """The app registration, as Authlib's server asks about it."""

    def __init__(self, options, redirect_uris):
        self.client_id = str(uuid.uuid4())
        self.redirect_uris = list(redirect_uris)
        self._options = options

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret):
        return secrets.compare_digest(self._options.client_secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method, endpoint):
        return method in ("client_secret_post", "client_secret_basic")

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in ("authorization_code", "refresh_token")


@dataclass
class Session:
    """Somebody signed in at the tenant; times in epoch seconds."""

    sub: str
    auth_time: int
    used_at: float


@dataclass
class Grant:
    """What a person allowed the app in one user flow; its code and all its refresh tokens share it."""

    user_flow: UserFlow
    client_id: str
    redirect_uri: str
    scopes: tuple
    nonce: str | None
    sub: str
    auth_time: int
    claims: dict
    code_challenge: str | None
    code_challenge_method: str | None
    issued_at: float


@dataclass
class Ticket:
    """An authorization code or a refresh token, as Authlib's server asks about it."""

    value: str
    grant: Grant
    issued_at: float
    expires_at: float
    window: str = ""
    _first_use: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def redeem(self):
        """True the first time, however many ask at once."""
        return self._first_use.acquire(blocking=False)

    def get_redirect_uri(self):
        return self.grant.redirect_uri

    def get_scope(self):
        return " ".join(self.grant.scopes)

    def check_client(self, client):
        return client.get_client_id() == self.grant.client_id

    @property
    def code_challenge(self):
        return self.grant.code_challenge

    @property
    def code_challenge_method(self):
        return self.grant.code_challenge_method


class Tickets:
    """Issued codes or refresh tokens by value; the oldest are forgotten when there are many."""

    def __init__(self, clock, size):
        self._clock, self._size = clock, size
        self._tickets = OrderedDict()

    def issue(self, grant, lifetime, window=""):
        now = self._clock.now()
        ticket = Ticket(_looks_encrypted(self._size), grant, now, now + lifetime, window)
        self._tickets[ticket.value] = ticket
        if len(self._tickets) > KEPT_TICKETS:
            self._tickets.popitem(last=False)
        return ticket

    def find(self, value):
        return self._tickets.get(value)


def _looks_encrypted(size):
    """An opaque value of about `size` characters with the shape and beginning of B2C's JWEs."""
    header = {"kid": "cpimcore_09252015", "ver": "1.0", "zip": "Deflate", "ser": "1.0"}
    first = base64url(json.dumps(header, separators=(",", ":")).encode())
    lengths = (256, 12, max(1, (size - 490) * 3 // 4), 16)
    return ".".join([first, *(secrets.token_urlsafe(length) for length in lengths)])


READY = {"email": "ada@example.com", "password": "Try-it-0ut"}


class Tenant:
    """Everything one running tenant holds; several can live in one process."""

    def __init__(self, redirect_uris, announce):
        self.guid = str(uuid.uuid4())
        self.clock = Clock()
        self.options = Options()
        self.registration = Registration(self.options, redirect_uris)
        self.tasks_api = _web_api("tasks-api", "tasks.read tasks.write tasks.admin", "tasks.read tasks.write")
        self.apis = (self.tasks_api, _web_api("notes-api", "notes.read", "notes.read"))
        self.keys = KeyRing(self.clock)
        self.directory = Directory()
        self.mailbox = Mailbox(self.clock, announce)
        self.record, self.faults = Record(), Faults()
        self.codes, self.refresh_tokens = Tickets(self.clock, 1000), Tickets(self.clock, 1400)
        self.sessions, self.journeys = {}, OrderedDict()
        self.last_id_token = None
        self.url = self.tls_url = self.api_url = ""
        self.ready = self.directory.add(
            Account(display_name="Ada Example", given_name="Ada", surname="Example", city="Bristol", **READY)
        )

    def issuer(self, user_flow):
        if self.options.issuer_form == "tfp":
            return f"{self.tls_url}/tfp/{self.guid}/{user_flow.name.lower()}/v2.0/"
        return f"{self.tls_url}/{self.guid}/v2.0/"

    def query_client(self, client_id):
        return self.registration if client_id == self.registration.client_id else None

    def start_session(self, account):
        session_id = secrets.token_urlsafe(32)
        now = self.clock.now()
        self.sessions[session_id] = Session(account.sub, int(now), now)
        return session_id

    def session(self, session_id):
        """The live session of that id and its account, or (None, None)."""
        session, now = self.sessions.get(session_id or ""), self.clock.now()
        account = session and self.directory.by_sub(session.sub)
        if not account or account.locked or now - session.used_at > SESSION_SECONDS:
            self.sessions.pop(session_id, None)
            return None, None
        session.used_at = now
        return session, account
