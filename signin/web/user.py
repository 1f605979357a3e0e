"""`current_user`: who is signed in, in views and templates."""

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from flask import g, session
from werkzeug.local import LocalProxy

from signin.oidc import DescribedClaim, described, display_name, email, identity_provider

from .engine import engine


@dataclass(frozen=True)
class User:
    """The user of this request. It is false when nobody is signed in.

    `id` is the account's stable id. Store it with the user's data, and never an e-mail address: addresses
    change hands. `claims` are the checked claims of the ID token. `signed_in_at` is in epoch seconds.
    """

    id: str
    claims: dict[str, Any]
    signed_in_at: int

    def __bool__(self) -> bool:
        return bool(self.id)

    @cached_property
    def name(self) -> str:
        """What to call the user. Never empty while somebody is signed in."""
        return display_name(self.claims) if self else ""

    @cached_property
    def email(self) -> str:
        """The user's e-mail address, to show and not to identify the user by. Empty if there is none."""
        return email(self.claims)

    @property
    def roles(self) -> frozenset[str]:
        """The user's roles, as of the sign-in or the latest refreshed token: the claim ROLES_CLAIM.

        The claim is a list, or text separated by commas, as in a custom attribute of Azure AD B2C.
        """
        value = self.claims.get(engine().settings.roles_claim)
        names = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
        return frozenset(name.strip() for name in names if isinstance(name, str) and name.strip())

    @property
    def signed_in_since(self) -> datetime:
        return datetime.fromtimestamp(self.signed_in_at, timezone.utc)

    @property
    def identity_provider(self) -> str:
        """Where the account is kept, in plain words. Empty when it is kept at the sign-in service itself."""
        return identity_provider(self.claims)

    @property
    def granted_scopes(self) -> list[str]:
        """The web API's scopes that were granted at the sign-in."""
        scopes: list[str] = session.get("scopes", [])
        return scopes

    @property
    def described_claims(self) -> list[DescribedClaim]:
        """Each claim with its meaning."""
        return described(self.claims)


NOBODY = User("", {}, 0)


def find_user() -> User:
    """The user of this request, without the proxy that `current_user` is."""
    user: User | None = g.get("user")
    if user is None:
        user_id = session.get("user_id")
        user = g.user = User(user_id, session["claims"], session["started"]) if user_id else NOBODY
    return user


def forget_user() -> None:
    """Let `current_user` be read from the session again, because the session has changed."""
    g.pop("user", None)


current_user: User = LocalProxy(find_user)  # type: ignore[assignment]
