"""The accounts of the tenant, and the rules for what people type into its forms."""

import re
import secrets
import string
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

from .attributes import Attribute
from .passwords import matches
from .suggestions import did_you_mean

# Texts of the service. They are quoted as they are, because people and tests look for them.
REQUIRED = "A required field is missing. Please fill out all required fields and try again."
LOCKED = "Your account has been locked. Contact your support person to unlock it, then try again."
TAKEN = "A user with the specified ID already exists. Please choose a different one."
DIFFERENT = (
    "The password entry fields do not match. Please enter the same password in both fields and try again."
)
WEAK = (
    "The password must be between 8 and 64 characters and contain 3 out of 4 of the following: "
    "lowercase characters, uppercase characters, digits (0-9), and symbols."
)

PASSWORDS = ("password", "password_hash")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
FIXED = ("sub", "tokens_valid_from", "password_hash")  # what nobody can set
KINDS_OF_VALUES = {str: "a text", bool: "true or false", dict: "an object", list: "a list of texts"}


class FormError(Exception):
    """What was typed into a form is not acceptable.

    `str(error)` is the service's own text for people. `field` is the name of the form field to correct.
    """

    def __init__(self, text: str, field: str):
        super().__init__(text)
        self.field = field


@dataclass
class Account:
    """One account. `sub` is its object ID; `tokens_valid_from` is in epoch seconds.

    From `tenant` on, attributes are for the kinds with Microsoft Graph. `tenant` is the ID of the home
    tenant, "" for the tenant's own. `assigned`: to the app. `federated`: from a social identity provider.
    `consents` holds the scopes that the person has consented to. When only the `password_hash` is known, as
    after a restart, `password` is "".
    """

    email: str
    password: str
    display_name: str = ""
    given_name: str = ""
    surname: str = ""
    city: str = ""
    locked: bool = False
    claims: dict[str, object] = field(default_factory=dict)  # more of them, such as a custom attribute
    tenant: str = ""
    roles: list[str] = field(default_factory=list)
    assigned: bool = True
    federated: bool = False
    country: str = ""
    job_title: str = ""
    postal_code: str = ""
    preferred_language: str = ""
    state: str = ""
    street_address: str = ""
    consents: list[str] = field(default_factory=list)
    sub: str = field(default_factory=lambda: str(uuid.uuid4()))
    tokens_valid_from: float = 0.0
    password_hash: str = field(default="", repr=False)

    def has_password(self, typed: str) -> bool:
        if self.password_hash and not self.password:
            return matches(typed, self.password_hash)
        return secrets.compare_digest(self.password.encode(), typed.encode())

    def value_of(self, attribute: Attribute) -> str:
        if attribute.member:
            return str(getattr(self, attribute.member))
        return str(self.claims.get(attribute.name, ""))

    def change(self, attribute: Attribute, value: str) -> None:
        """Set an attribute. A custom attribute without a value is removed."""
        if attribute.member:
            setattr(self, attribute.member, value)
        else:
            claims = {name: claim for name, claim in self.claims.items() if name != attribute.name}
            self.claims = {**claims, attribute.name: value} if value else claims

    def without_password(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if name not in PASSWORDS}


class Accounts:
    """All accounts, found by e-mail address in any case."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Account]:
        return iter(list(self._accounts.values()))

    def find(self, email: str) -> Account | None:
        return self._accounts.get(email.strip().lower())

    def find_by_sub(self, sub: str) -> Account | None:
        return next((account for account in self if account.sub == sub), None)

    def add(self, account: Account) -> Account:
        """Add an account. Raises FormError when the address is taken."""
        with self._lock:
            if self.find(account.email):
                raise FormError(TAKEN, "email")
            self._accounts[account.email.strip().lower()] = account
        return account

    def rename(self, account: Account, email: str) -> None:
        """Give an account another address, which no other account has."""
        with self._lock:
            del self._accounts[account.email.strip().lower()]
            account.email = email
            self._accounts[email.strip().lower()] = account

    def remove(self, email: str) -> None:
        self._accounts.pop(email.strip().lower(), None)

    def authenticate(self, email: str, password: str) -> Account:
        """The account with this password. Raises FormError.

        As in B2C, the texts for an unknown address and a wrong password differ.
        """
        if not email:
            raise FormError("Please enter your email", "email")
        if not password:
            raise FormError("Please enter your password", "password")
        account = self.find(email)
        if not account:
            raise FormError("We can't seem to find your account.", "email")
        if not account.has_password(password):
            raise FormError("Your password is incorrect.", "password")
        if account.locked:
            raise FormError(LOCKED, "email")
        return account


def check_attributes(wanted: Mapping[str, object]) -> None:
    """Raise ValueError for an attribute that cannot be set, and for a wrong value."""
    defaults = asdict(Account("", ""))
    settable = [name for name in defaults if name not in FIXED]
    for name, value in wanted.items():
        if name not in settable:
            suggestion = did_you_mean(name, settable)
            raise ValueError(f"An account has no `{name}`.{suggestion} It has {', '.join(sorted(settable))}.")
        kind = type(defaults[name])
        items = value if isinstance(value, list) else []
        if type(value) is not kind or not all(isinstance(item, str) for item in items):
            raise ValueError(f"`{name}` of an account cannot be {value!r}. It is {KINDS_OF_VALUES[kind]}.")
    if "email" in wanted and not EMAIL.fullmatch(str(wanted["email"])):
        raise ValueError(f"`email` cannot be {wanted['email']!r}. It is an e-mail address.")
    if "password" in wanted and not wanted["password"]:
        raise ValueError("`password` cannot be empty.")


def check_new_password(password: str, repeated: str) -> None:
    """Raise FormError unless the password follows B2C's default rule, "Strong"."""
    if not password:
        raise FormError(REQUIRED, "newPassword")
    if not repeated:
        raise FormError(REQUIRED, "reenterPassword")
    if password != repeated:
        raise FormError(DIFFERENT, "reenterPassword")
    kinds = [string.ascii_lowercase, string.ascii_uppercase, string.digits]
    found = sum(any(character in kind for character in password) for kind in kinds)
    found += any(not character.isalnum() for character in password)
    if not 8 <= len(password) <= 64 or found < 3:
        raise FormError(WEAK, "newPassword")
