"""Everything that one running tenant holds, in memory. Several can live in one process."""

import uuid
from collections.abc import Callable, Iterable

from .authorities import KINDS
from .model.accounts import Account, Accounts
from .model.grants import Sessions, Tickets
from .model.mailbox import EmailProofs, Mailbox
from .model.registrations import AppRegistration, default_apps
from .model.signing import KeyRing
from .model.steering import Clock, Faults, Options, Record

FIRST_EMAIL, FIRST_PASSWORD = "ada@example.com", "Try-it-0ut"
CODE_LENGTH, REFRESH_TOKEN_LENGTH = 1000, 1400


class TenantState:
    """The state of a tenant. The web apps read and change it. `kind` is one of KINDS."""

    def __init__(self, kind: str, redirect_uris: Iterable[str], announce: Callable[[str], None]):
        self.clock, self.options = Clock(), Options()
        self.faults, self.record = Faults(), Record()
        self.apps = default_apps(redirect_uris)
        self.authority = KINDS[kind](str(uuid.uuid4()), self.apps, self.options, self.clock)
        self.keys = KeyRing(self.clock)
        self.accounts = Accounts()
        self.first_account = self.accounts.add(
            Account(FIRST_EMAIL, FIRST_PASSWORD, "Ada Example", "Ada", "Example", "Bristol")
        )
        self.example_accounts = [self.first_account]
        self.example_accounts += [self.accounts.add(account) for account in self.authority.more_accounts()]
        self.mailbox, self.email_proofs = Mailbox(self.clock, announce), EmailProofs()
        self.sessions = Sessions(self.clock, self.accounts)
        self.codes = Tickets(self.clock, CODE_LENGTH)
        self.refresh_tokens = Tickets(self.clock, REFRESH_TOKEN_LENGTH)
        self.last_id_token: str | None = None

    @property
    def app(self) -> AppRegistration:
        """The app whose settings are printed."""
        return self.apps.first

    @property
    def cookie_name(self) -> str:
        """The name of the session cookie. Cookies do not know ports, so the name holds the port."""
        return f"local_tenant_sso_{self.authority.origins.port}"
