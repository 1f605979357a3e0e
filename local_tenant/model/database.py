"""Accounts in an SQLite file, so that they outlive the tenant."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .accounts import Account, Accounts
from .passwords import hashed

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (sub TEXT PRIMARY KEY, password_hash TEXT, members TEXT);
CREATE TABLE IF NOT EXISTS set_up (email TEXT PRIMARY KEY, password_hash TEXT, members TEXT);
"""
MAGIC = b"SQLite format 3\0"  # how each SQLite file begins
DAMAGED = "It is damaged, or another program wrote it. Delete it, or choose another file."
NEVER_SET_UP_AGAIN = ("sub", "tokens_valid_from", "password_hash")


class DatabaseUnusable(Exception):
    """The tenant cannot use the file at `path`. `reason` is a sentence for people."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"The database {path} cannot be used. {reason}")
        self.path, self.reason = path, reason


@dataclass(frozen=True)
class Row:
    """What the file holds of one account."""

    password_hash: str
    members: str  # JSON


class AccountDatabase:
    """An SQLite file with accounts. One tenant uses it at a time. Raises DatabaseUnusable.

    People may choose a password that they use elsewhere, so the file has only a hash of it. What the tenant
    was set up with is there as it is, to tell a change of the set-up from one that a person made.
    """

    def __init__(self, path: Path | str):
        self._path, self._lock = Path(path), threading.Lock()
        self._saved: dict[str, Row] = {}
        self._hashed: dict[str, tuple[str, str]] = {}  # password and its hash, by `sub`
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            beginning = os.read(file, len(MAGIC))
            os.close(file)
            self._connection = sqlite3.connect(self._path, 0, isolation_level=None, check_same_thread=False)
        except OSError as error:
            raise DatabaseUnusable(self._path, f"{error.strerror}.") from error
        try:
            if beginning not in (b"", MAGIC):
                raise DatabaseUnusable(self._path, "It is not an SQLite file.")
            self._take_for_this_process()
            self._prepare()
        except DatabaseUnusable:
            self.close()
            raise
        except sqlite3.DatabaseError as error:
            self.close()
            raise DatabaseUnusable(self._path, DAMAGED) from error

    def _take_for_this_process(self) -> None:
        folder = self._path.absolute().parent
        if not os.access(folder, os.W_OK):  # SQLite keeps a journal beside the file
            raise DatabaseUnusable(self._path, f"The folder {folder} cannot be written to.")
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:  # SQLite waits for nobody here
            reason = "Another local tenant uses it. Stop that one first."
            raise DatabaseUnusable(self._path, reason) from error

    def _prepare(self) -> None:
        """Make the tables in a new file. A file of another program stays as it is."""
        [check] = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if check != "ok":
            raise DatabaseUnusable(self._path, DAMAGED)
        [version] = self._connection.execute("PRAGMA user_version").fetchone()
        [tables] = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version not in (0, SCHEMA_VERSION):
            raise DatabaseUnusable(self._path, "Another version of the local tenant wrote it.")
        if version == 0 and tables:
            raise DatabaseUnusable(self._path, "Another program wrote it. Choose another file.")
        self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        for statement in SCHEMA.split(";"):
            self._connection.execute(statement)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def load_into(self, accounts: Accounts, set_up: Iterable[Account]) -> None:
        """Put the accounts of the file and those of the set-up into `accounts`.

        The set-up wins where it has changed since it was loaded last, and the file everywhere else. Raises
        DatabaseUnusable.
        """
        try:
            before = self._load(accounts)
        except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError, LookupError) as error:
            raise DatabaseUnusable(self._path, DAMAGED) from error
        loaded = list(set_up)
        for wanted in loaded:
            self._set_up(accounts, wanted, before.get(wanted.email.lower()) or before.get(wanted.sub))
        self.save(accounts)
        with self._lock, self._connection:
            self._connection.execute("BEGIN")
            self._connection.execute("DELETE FROM set_up")
            for wanted in loaded:
                found = accounts.find(wanted.email)
                is_as_set_up = found and found.password == wanted.password
                values = (
                    wanted.email.lower(),
                    self._hash_of(found) if found and is_as_set_up else "",
                    _json(asdict(wanted)),
                )
                self._connection.execute("INSERT INTO set_up VALUES (?, ?, ?)", values)

    def _load(self, accounts: Accounts) -> dict[str, Row]:
        """Load the accounts of the file. Returns what was set up last, by e-mail address and by `sub`."""
        self._saved = self._rows("SELECT sub, password_hash, members FROM accounts")
        for row in self._saved.values():
            members = json.loads(row.members)
            known = {field.name for field in fields(Account)} & members.keys()
            account = Account(**{name: members[name] for name in known}, password="")
            account.password_hash = row.password_hash
            accounts.add(account)
        before = self._rows("SELECT email, password_hash, members FROM set_up")
        return {str(json.loads(row.members)["sub"]): row for row in before.values()} | before

    def _set_up(self, accounts: Accounts, wanted: Account, before: Row | None) -> None:
        account = accounts.find(wanted.email) or accounts.find_by_sub(wanted.sub)
        old = json.loads(before.members) if before else {}
        changed = {
            name: value
            for name, value in asdict(wanted).items()
            if name not in NEVER_SET_UP_AGAIN and (not before or old.get(name) != value)
        }
        if not account:  # somebody has removed it, unless it is new
            if not before or changed:
                accounts.add(wanted)
            return
        if before and account.password_hash == before.password_hash and "password" not in changed:
            account.password = wanted.password
            self._hashed[account.sub] = account.password, account.password_hash
        if account.email.lower() != wanted.email.lower():
            accounts.rename(account, wanted.email)
        for name, value in changed.items():
            setattr(account, name, value)

    def save(self, accounts: Accounts) -> None:
        """Write what has changed."""
        with self._lock:
            rows = {account.sub: self._row(account) for account in accounts}
            changed = [(sub, row) for sub, row in rows.items() if self._saved.get(sub) != row]
            removed = self._saved.keys() - rows.keys()
            if not changed and not removed:
                return
            with self._connection:
                self._connection.execute("BEGIN")
                for sub in removed:
                    self._connection.execute("DELETE FROM accounts WHERE sub = ?", (sub,))
                for sub, row in changed:
                    values = (sub, row.password_hash, row.members)
                    self._connection.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?)", values)
            self._saved = rows

    def _rows(self, query: str) -> dict[str, Row]:
        with self._lock, closing(self._connection.execute(query)) as found:
            return {key: Row(password_hash, members) for key, password_hash, members in found}

    def _row(self, account: Account) -> Row:
        return Row(self._hash_of(account), _json(account.without_password()))

    def _hash_of(self, account: Account) -> str:
        """The hash of the account's password, made once for each password."""
        if not account.password:
            return account.password_hash
        password, password_hash = self._hashed.get(account.sub, ("", ""))
        if password != account.password:
            password_hash = hashed(account.password)
            self._hashed[account.sub] = account.password, password_hash
        return password_hash


def _json(members: dict[str, object]) -> str:
    return json.dumps(members, sort_keys=True)
