"""What is registered at the tenant: user flows, web APIs and apps."""

import secrets
import uuid
from dataclasses import dataclass, field
from typing import Literal

from .steering import Options


@dataclass(frozen=True)
class UserFlow:
    """A user flow. `kind` says which pages it leads through."""

    name: str
    kind: Literal["sign_up_or_sign_in", "sign_in", "edit_profile", "reset_password"]


@dataclass(frozen=True)
class WebApi:
    """A web API. An administrator has granted the app the scopes in `granted`.

    People can consent to the others, where the authority has consent, except to those in `admin_only`.
    """

    uri: str
    scopes: frozenset[str]
    granted: frozenset[str]
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    admin_only: frozenset[str] = frozenset()

    def has_scope(self, scope: str) -> bool:
        return scope in {f"{self.uri}/{name}" for name in self.scopes}

    def grants_scope(self, scope: str) -> bool:
        return scope in {f"{self.uri}/{name}" for name in self.granted}


class AppRegistration:
    """The registration of the app that signs users in.

    `type` is the platform as the portal names it. An app of type "web" is a confidential client.
    """

    type: Literal["web"] = "web"

    def __init__(self, options: Options, redirect_uris: list[str]):
        self.client_id = str(uuid.uuid4())
        self.redirect_uris = redirect_uris
        self.logout_url = ""  # for front-channel sign-out
        self._options = options

    @property
    def client_secret(self) -> str:
        return self._options.client_secret

    def has_secret(self, secret: str) -> bool:
        return secrets.compare_digest(self.client_secret.encode(), secret.encode())
