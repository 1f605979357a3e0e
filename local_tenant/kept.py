"""Secrets and signing keys that a tenant keeps from one start to the next."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path

from joserfc.errors import JoseError

from .home import HINT, HomeUnusable, create_file, private_folder
from .model.signing import SigningKey


class Kept:
    """What a tenant keeps in the state folder, in files that only their owner can read.

    Without a state folder, everything is new. Raises HomeUnusable.
    """

    def __init__(self, home: Path | None, tenant_id: str):
        self.lasts = home is not None
        self._folder: Path | None = None
        if home:
            try:
                self._folder = private_folder(home) / "tenants" / tenant_id
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                reason = error.strerror or str(error)
                raise HomeUnusable(f"The state folder {home} cannot be used: {reason}. {HINT}") from error

    def client_secret(self, client_id: str) -> str:
        return self._kept(f"client-secret-{client_id}", _new_secret)

    def secret_key(self) -> str:
        """The key with which the app seals its sessions."""
        return self._kept("app-secret-key", _new_secret)

    def signing_key(self, name: str, now: float) -> SigningKey:
        """The signing key of this name. `now`, in epoch seconds, is the time of one that is made."""

        def make() -> str:
            return json.dumps(SigningKey.new(now).private_jwk())

        file = f"signing-key-{name}.json"
        try:
            return SigningKey.from_jwk(json.loads(self._kept(file, make)))
        except (JoseError, LookupError, TypeError, ValueError) as error:
            raise HomeUnusable(f"{file} in {self._folder} is damaged. Delete it to get a new key.") from error

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        if not self._folder:
            return make()
        path = self._folder / name
        try:
            kept = path.read_bytes() if path.exists() else create_file(path, make().encode())
        except OSError as error:
            raise HomeUnusable(f"{path} cannot be used: {error.strerror}. {HINT}") from error
        return kept.decode().strip()


def _new_secret() -> str:
    return secrets.token_urlsafe(48)
