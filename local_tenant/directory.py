"""The people of the tenant, their password rules and their mailbox; all in memory."""

import re
import secrets
import string
import threading
import uuid
from dataclasses import asdict, dataclass, field

CODE_SECONDS = 600
CODE_TRIES = 5
CODE_SENDS = 10


LOCKED = "Your account has been locked. Contact your support person to unlock it, then try again."


class Refused(Exception):
    """What the person typed is not acceptable; the text is B2C's own and is shown on the page."""


@dataclass
class Account:
    """One local account; `sub` is its object id."""

    email: str
    password: str
    display_name: str = ""
    given_name: str = ""
    surname: str = ""
    city: str = ""
    locked: bool = False
    sub: str = field(default_factory=lambda: str(uuid.uuid4()))
    tokens_valid_from: float = 0.0

    def claims(self):
        """The claims about the person, as a user flow sends them."""
        optional = {"given_name": self.given_name, "family_name": self.surname, "city": self.city}
        return {
            "oid": self.sub,
            **{name: value for name, value in optional.items() if value},
            "name": self.display_name or "unknown",
            "emails": [self.email],
        }

    def public(self):
        return {name: value for name, value in asdict(self).items() if name != "password"}


class Directory:
    """Accounts by e-mail address, whatever its case."""

    def __init__(self):
        self._accounts = {}
        self._lock = threading.Lock()

    def __iter__(self):
        return iter(list(self._accounts.values()))

    def find(self, email):
        return self._accounts.get(email.strip().lower())

    def by_sub(self, sub):
        return next((account for account in self if account.sub == sub), None)

    def add(self, account):
        """Raises Refused if the address is taken."""
        with self._lock:
            if self.find(account.email):
                raise Refused("A user with the specified ID already exists. Please choose a different one.")
            self._accounts[account.email.strip().lower()] = account
        return account

    def remove(self, email):
        return self._accounts.pop(email.strip().lower(), None)

    def authenticate(self, email, password):
        """Raises Refused with the two different messages B2C has for a wrong password and an unknown user."""
        if not email:
            raise Refused("Please enter your email")
        if not password:
            raise Refused("Please enter your password")
        account = self.find(email)
        if not account:
            raise Refused("We can't seem to find your account.")
        if not secrets.compare_digest(account.password.encode(), password.encode()):
            raise Refused("Your password is incorrect.")
        if account.locked:
            raise Refused(LOCKED)
        return account


WEAK = (
    "The password must be between 8 and 64 characters and contain 3 out of 4 of the following: "
    "lowercase characters, uppercase characters, digits (0-9), and symbols."
)


def check_new_password(password, again):
    """Raises Refused; the rule is B2C's default, "Strong"."""
    if not password or not again:
        raise Refused("A required field is missing. Please fill out all required fields and try again.")
    if password != again:
        raise Refused(
            "The password entry fields do not match. "
            "Please enter the same password in both fields and try again."
        )
    classes = [string.ascii_lowercase, string.ascii_uppercase, string.digits]
    kinds = sum(any(char in chars for char in password) for chars in classes)
    kinds += any(not char.isalnum() for char in password)
    if not 8 <= len(password) <= 64 or kinds < 3:
        raise Refused(WEAK)


def check_email(email):
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email) or len(email) > 254:
        raise Refused("Please enter a valid email address.")


@dataclass
class Mail:
    """One message of the mailbox page."""

    to: str
    subject: str
    code: str
    sent_at: float


class Mailbox:
    """Sends verification codes and checks them; `announce` is told of each."""

    def __init__(self, clock, announce):
        self._clock, self._announce = clock, announce
        self.messages = []

    def send_code(self, email):
        """Raises Refused for no address or too many sends."""
        check_email(email)
        lately = [mail for mail in self.messages if mail.sent_at > self._clock.now() - CODE_SECONDS]
        if sum(mail.to.lower() == email.lower() for mail in lately) >= CODE_SENDS:
            raise Refused(
                "There have been too many requests to verify this email address. "
                "Please wait a while, then try again."
            )
        code = f"{secrets.randbelow(1_000_000):06}"
        self.messages.append(Mail(email, "Your verification code", code, self._clock.now()))
        self._announce(f"Verification code for {email}: {code}")
        return Verification(email, code, self._clock.now() + CODE_SECONDS)


@dataclass
class Verification:
    """An e-mail address on its way to being proven."""

    email: str
    code: str
    expires_at: float
    tries: int = 0
    done: bool = False

    def check(self, code, now):
        """Raises Refused until the right code was given in time."""
        self.tries += 1
        if self.tries > CODE_TRIES:
            raise Refused("You've made too many incorrect attempts. Please try again later.")
        if not secrets.compare_digest(code.strip().encode(), self.code.encode()):
            raise Refused("That code is incorrect. Please try again.")
        if now > self.expires_at:
            raise Refused("That code is expired. Please request a new code.")
        self.done = True
