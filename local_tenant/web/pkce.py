"""Proof Key for Code Exchange (RFC 7636)."""

import hashlib
import re
import secrets

from ..authorities.refusals import Reason, Refused
from ..model.grants import Grant
from ..model.signing import base64url

# Sections 4.1 and 4.2
_VALUE = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def check_challenge(challenge: str | None, method: str | None) -> None:
    """Raise Refused for a malformed challenge. None is a parameter that was not sent."""
    if (challenge or method) and not _VALUE.fullmatch(challenge or ""):
        raise Refused(Reason.CHALLENGE_MALFORMED)
    if method not in (None, "plain", "S256"):
        raise Refused(Reason.CHALLENGE_MALFORMED)


def check_verifier(verifier: str, grant: Grant) -> None:
    """Raise Refused unless the verifier fits the grant's challenge."""
    if not grant.code_challenge and not verifier:
        return
    # RFC 9700, section 4.8.2: a verifier without a challenge is an attempt at a PKCE downgrade.
    if not grant.code_challenge or not _VALUE.fullmatch(verifier):
        raise Refused(Reason.VERIFIER_MALFORMED)
    if grant.code_challenge_method == "S256":
        verifier = base64url(hashlib.sha256(verifier.encode()).digest())
    if not secrets.compare_digest(verifier, grant.code_challenge):
        raise Refused(Reason.VERIFIER_WRONG)
