"""Sessions at the tenant, and grants with their authorization codes and refresh tokens."""

import json
import secrets
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field

from .accounts import Account, Accounts
from .registrations import UserFlow
from .signing import base64url
from .steering import Clock

SESSION_SECONDS = 24 * 3600
KEPT_TICKETS = 20_000


@dataclass
class Session:
    """Somebody is signed in at the tenant. Times are in epoch seconds. `sid` names it in tokens.

    `client_ids` are those of the apps that the person has signed in to.
    """

    account: Account
    auth_time: int
    used_at: float
    sid: str = field(default_factory=lambda: str(uuid.uuid4()))
    client_ids: set[str] = field(default_factory=set)


class Sessions:
    """The sessions by the value of their cookie. A session ends when it is not used for a day."""

    def __init__(self, clock: Clock, accounts: Accounts):
        self._clock, self._accounts = clock, accounts
        self._sessions: dict[str, Session] = {}

    def start(self, account: Account) -> tuple[str, Session]:
        """Start a session. Returns its ID and the session."""
        session_id, now = secrets.token_urlsafe(32), self._clock.now()
        self._sessions[session_id] = session = Session(account, int(now), now)
        return session_id, session

    def find(self, session_id: str) -> Session | None:
        """The session, if it has not expired and its account is still there and not locked."""
        session, now = self._sessions.get(session_id), self._clock.now()
        if not session:
            return None
        exists = self._accounts.find_by_sub(session.account.sub) is session.account
        if not exists or session.account.locked or now - session.used_at > SESSION_SECONDS:
            self.end(session_id)
            return None
        session.used_at = now
        return session

    def end(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)


@dataclass(frozen=True)
class Grant:
    """What somebody allowed an app in one user flow. Its code and all its refresh tokens share it.

    `claims` are those about the account at that time; `auth_time` and `issued_at` are in epoch seconds.
    `contexts` are the authentication contexts that the sign-in satisfied.
    """

    user_flow: UserFlow
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    nonce: str | None
    sub: str
    auth_time: int
    claims: dict[str, object]
    code_challenge: str | None
    code_challenge_method: str
    issued_at: float
    contexts: frozenset[str] = frozenset()
    wants_auth_time: bool = False


@dataclass
class Ticket:
    """An authorization code or a refresh token. Times are in epoch seconds."""

    value: str
    grant: Grant
    issued_at: float
    expires_at: float
    _first_use: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def redeem(self) -> bool:
        """Whether this is the first use, even when several threads ask at once."""
        return self._first_use.acquire(blocking=False)


class Tickets:
    """Issued codes or refresh tokens by value. When there are many, the oldest go.

    `length` is the number of characters of a value, because B2C's are so long that clients hit limits.
    """

    def __init__(self, clock: Clock, length: int):
        self._clock, self._length = clock, length
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()

    def issue(self, grant: Grant, lifetime: int) -> Ticket:
        now = self._clock.now()
        ticket = Ticket(_opaque_value(self._length), grant, now, now + lifetime)
        self._tickets[ticket.value] = ticket
        if len(self._tickets) > KEPT_TICKETS:
            self._tickets.popitem(last=False)
        return ticket

    def find(self, value: str) -> Ticket | None:
        return self._tickets.get(value)


def _opaque_value(length: int) -> str:
    """A random value of about `length` characters that looks like the JWEs that B2C issues."""
    header = {"kid": "cpimcore_09252015", "ver": "1.0", "zip": "Deflate", "ser": "1.0"}
    first = base64url(json.dumps(header, separators=(",", ":")).encode())
    sizes = (256, 12, max(1, (length - 490) * 3 // 4), 16)
    return ".".join([first, *(secrets.token_urlsafe(size) for size in sizes)])
