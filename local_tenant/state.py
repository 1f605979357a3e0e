"""Everything that one running tenant holds, in memory. Several can live in one process."""

from collections.abc import Callable
from pathlib import Path

from .authorities import KINDS
from .kept import Kept
from .model.accounts import Account, Accounts
from .model.configuration import TenantConfiguration
from .model.database import AccountDatabase
from .model.grants import Sessions, Tickets
from .model.mailbox import EmailProofs, Mailbox
from .model.registrations import AppRegistration
from .model.signing import KeyRing
from .model.steering import Clock, Faults, Options, Record

CODE_LENGTH, REFRESH_TOKEN_LENGTH = 1000, 1400


class TenantState:
    """The state of a tenant. The web apps read and change it.

    `kept` has the secrets and keys that the configuration does not say.
    """

    def __init__(self, configuration: TenantConfiguration, kept: Kept, announce: Callable[[str], None]):
        self.clock, self.options = Clock(), Options()
        self.options.change(configuration.options)
        self.faults, self.record = Faults(), Record()
        self.apps = configuration.apps
        for app in self.apps:
            if not app.is_public:
                app.client_secret = app.client_secret or kept.client_secret(app.client_id)
        self.authority = KINDS[configuration.kind](configuration, self.options, self.clock)
        self.keys = KeyRing(self.clock, kept.signing_key if kept.lasts else None)
        self.accounts = Accounts()
        self._configured_accounts = configuration.accounts
        self._configured_passwords = {account.email: account.password for account in configuration.accounts}
        self._database: AccountDatabase | None = None
        self.mailbox, self.email_proofs = Mailbox(self.clock, announce), EmailProofs()
        self.sessions = Sessions(self.clock, self.accounts)
        self.codes = Tickets(self.clock, CODE_LENGTH)
        self.refresh_tokens = Tickets(self.clock, REFRESH_TOKEN_LENGTH)
        self.last_id_token: str | None = None

    def open_accounts(self, database: Path | str | None) -> None:
        """Load the accounts, from the SQLite file `database` if there is one. Raises DatabaseUnusable."""
        if database:
            self._database = AccountDatabase(database)
            self._database.load_into(self.accounts, self._configured_accounts)
        else:
            for account in self._configured_accounts:
                self.accounts.add(account)

    def save_accounts(self) -> None:
        """Write changed accounts to the database, if there is one."""
        if self._database:
            self._database.save(self.accounts)

    @property
    def example_accounts(self) -> list[Account]:
        """The accounts that were there from the start, as they are now."""
        found = [self.accounts.find(account.email) for account in self._configured_accounts]
        return [account for account in found if account]

    def configured_password(self, account: Account) -> str:
        """The password that the account was set up with. "" if its owner chose another one."""
        password = self._configured_passwords.get(account.email, "")
        return password if password == account.password else ""

    def close(self) -> None:
        """Give up what others can use once the servers have stopped."""
        self.keys.close()
        if self._database:
            self._database.close()
            self._database = None

    @property
    def app(self) -> AppRegistration:
        """The app whose settings are printed."""
        return self.apps.first

    @property
    def cookie_name(self) -> str:
        """The name of the session cookie. Cookies do not know ports, so the name holds the port."""
        return f"local_tenant_sso_{self.authority.origins.port}"
