"""The mailbox that receives every message of the tenant, and the proof of e-mail addresses by code."""

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from .accounts import FormError
from .steering import Clock

CODE_SECONDS = 600
CODE_TRIES = 5
CODE_SENDS = 10
KEPT_PROOFS = 5_000

SENT = "Verification code has been sent to your inbox. Please copy it to the input box below."
VERIFIED = "E-mail address verified. You can now continue."
SEND_FIRST = "Verification is necessary. Please click Send button."
TOO_MANY_SENDS = (
    "There have been too many requests to verify this email address. Please wait a while, then try again."
)


@dataclass(frozen=True)
class Message:
    """One message of the mailbox. `sent_at` is in epoch seconds."""

    to: str
    subject: str
    code: str
    sent_at: float


@dataclass
class VerificationCode:
    """A code that was sent to an address. `expires_at` is in epoch seconds."""

    code: str
    expires_at: float
    tries: int = 0

    def check(self, typed: str, now: float) -> None:
        """Raise FormError unless this is the code, typed in time and after few mistakes."""
        self.tries += 1
        if self.tries > CODE_TRIES:
            raise FormError("You've made too many incorrect attempts. Please try again later.", "code")
        if not secrets.compare_digest(typed.encode(), self.code.encode()):
            raise FormError("That code is incorrect. Please try again.", "code")
        if now > self.expires_at:
            raise FormError("That code is expired. Please request a new code.", "code")


class Mailbox:
    """Every message that the tenant has sent. `announce` is called with a line for each."""

    def __init__(self, clock: Clock, announce: Callable[[str], None]):
        self._clock, self._announce = clock, announce
        self.messages: list[Message] = []

    def send_code(self, email: str) -> VerificationCode:
        """Send a code. Raises FormError for what is no address, and after too many codes."""
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email) or len(email) > 254:
            raise FormError("Please enter a valid email address.", "email")
        now = self._clock.now()
        recent = [message for message in self.messages if message.sent_at > now - CODE_SECONDS]
        if sum(message.to.lower() == email.lower() for message in recent) >= CODE_SENDS:
            raise FormError(TOO_MANY_SENDS, "email")
        code = f"{secrets.randbelow(1_000_000):06}"
        self.messages.append(Message(email, "Your verification code", code, now))
        self._announce(f"Verification code for {email}: {code}")
        return VerificationCode(code, now + CODE_SECONDS)


@dataclass
class EmailProof:
    """How far somebody has got in proving an e-mail address on a page. `note` is shown on that page."""

    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    email: str = ""
    sent: VerificationCode | None = None
    verified: bool = False
    note: str = ""

    def send_code(self, mailbox: Mailbox, email: str) -> None:
        self.sent = mailbox.send_code(email)
        self.email, self.verified, self.note = email, False, SENT

    def check_code(self, typed: str, now: float) -> None:
        if not self.sent:
            raise FormError(SEND_FIRST, "email")
        self.sent.check(typed, now)
        self.verified, self.note = True, VERIFIED

    def require(self) -> None:
        """Raise FormError until the address is proven."""
        if not self.verified:
            raise FormError(SEND_FIRST, "code" if self.sent else "email")

    def start_over(self) -> None:
        self.email, self.sent, self.verified, self.note = "", None, False, ""


class EmailProofs:
    """The proofs under way, by the key that their forms carry. When there are many, the oldest go."""

    def __init__(self) -> None:
        self._proofs: OrderedDict[str, EmailProof] = OrderedDict()

    def find_or_begin(self, key: str) -> EmailProof:
        proof = self._proofs.get(key) or EmailProof()
        self._proofs[proof.key] = proof
        if len(self._proofs) > KEPT_PROOFS:
            self._proofs.popitem(last=False)
        return proof
