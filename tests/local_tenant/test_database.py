"""Accounts in an SQLite file."""

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from local_tenant import LocalTenant
from local_tenant.cli import banner
from local_tenant.control import Control
from local_tenant.model.accounts import Account, Accounts
from local_tenant.model.database import AccountDatabase, DatabaseUnusable
from tests.local_tenant.visitor import EDIT, Visitor, claims

PASSWORD = "Own-pass-1"


def test_accounts_and_what_people_change_outlive_the_tenant(tmp_path: Path) -> None:
    file = tmp_path / "accounts.db"
    with LocalTenant(database=file) as tenant:
        visitor = Visitor(tenant)
        visitor.control("POST", "accounts", {"email": "grace@example.com", "password": PASSWORD})
        page = visitor.sign_in(EDIT, email="grace@example.com", password=PASSWORD)
        visitor.submit(page, displayName="Grace", city="Oslo")
        visitor.close()
    assert PASSWORD.encode() not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with LocalTenant(database=file) as tenant:
        visitor = Visitor(tenant)
        code = visitor.code(email="grace@example.com", password=PASSWORD)
        token = claims(visitor.redeem(code).json()["id_token"])
        visitor.close()
    assert (token["name"], token["city"]) == ("Grace", "Oslo")


def test_a_tenant_starts_after_its_first_account_was_removed(tmp_path: Path) -> None:
    with LocalTenant(database=tmp_path / "accounts.db") as tenant:
        Control(tenant.url).remove_account(tenant.account["email"])
    with LocalTenant(database=tmp_path / "accounts.db") as tenant:
        assert "sign up first" in banner(tenant, None)
        with pytest.raises(LookupError, match="have been removed"):
            tenant.account  # noqa: B018 - a property


def test_two_tenants_cannot_use_one_database(tmp_path: Path) -> None:
    file = tmp_path / "accounts.db"
    with LocalTenant(database=file), pytest.raises(DatabaseUnusable, match="Another local tenant uses it"):
        LocalTenant(database=file).__enter__()


def test_another_file_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "tenant.toml"
    file.write_text("kind = 'b2c'\n" * 100)
    with pytest.raises(DatabaseUnusable, match="not an SQLite file"):
        AccountDatabase(file)


def test_a_database_of_another_version_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "accounts.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DatabaseUnusable, match="Another version"):
        AccountDatabase(file)


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "accounts.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE accounts (id INTEGER)")
    before = file.read_bytes()
    with pytest.raises(DatabaseUnusable, match="Another program wrote it"):
        AccountDatabase(file)
    assert file.read_bytes() == before


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "accounts.db"
    Restarts(file).restart(ada())
    file.write_bytes(file.read_bytes()[:4096] + b"x" * 8192)
    with pytest.raises(DatabaseUnusable, match="It is damaged"):
        AccountDatabase(file)


class Restarts:
    """A tenant's accounts, saved and loaded again with each `restart`."""

    def __init__(self, file: Path):
        self._file = file

    def restart(self, *set_up: Account) -> Accounts:
        accounts, database = Accounts(), AccountDatabase(self._file)
        database.load_into(accounts, set_up)
        database.close()
        return accounts

    def change(self, *set_up: Account, password: str = "", remove: bool = False) -> None:
        """Start, let a person change the first account, and stop."""
        accounts, database = Accounts(), AccountDatabase(self._file)
        database.load_into(accounts, set_up)
        account = accounts.find(set_up[0].email)
        assert account
        account.password = password or account.password
        if remove:
            accounts.remove(account.email)
        database.save(accounts)
        database.close()


def ada(password: str = PASSWORD, city: str = "") -> Account:
    return Account("ada@example.com", password, "Ada", city=city)


@pytest.fixture
def restarts(tmp_path: Path) -> Restarts:
    return Restarts(tmp_path / "accounts.db")


def test_a_password_that_a_person_has_changed_stays_changed(restarts: Restarts) -> None:
    restarts.change(ada(), password="New-pass-1")
    restarts.restart(ada())
    assert restarts.restart(ada()).authenticate("ada@example.com", "New-pass-1")


def test_what_changes_in_the_set_up_wins_and_the_rest_stays(restarts: Restarts) -> None:
    restarts.change(ada(), password="New-pass-1")
    account = restarts.restart(ada(city="Oslo")).authenticate("ada@example.com", "New-pass-1")
    assert account.city == "Oslo"


def test_a_password_that_changes_in_the_set_up_wins(restarts: Restarts) -> None:
    restarts.change(ada(), password="New-pass-1")
    assert restarts.restart(ada("Set-up-1")).authenticate("ada@example.com", "Set-up-1")


def test_a_removed_account_stays_removed(restarts: Restarts) -> None:
    restarts.change(ada(), remove=True)
    assert not restarts.restart(ada()).find("ada@example.com")


def test_a_user_whose_address_changes_under_the_same_sub_stays_one_account(restarts: Restarts) -> None:
    first = ada()
    renamed = replace(first, email="lovelace@example.com")
    restarts.change(first, password="New-pass-1")
    accounts = restarts.restart(renamed)
    assert [account.sub for account in accounts] == [first.sub]
    assert accounts.authenticate("lovelace@example.com", "New-pass-1")
    assert not restarts.restart(renamed).find("ada@example.com")


def test_the_password_of_an_unchanged_account_is_known_for_the_pages(restarts: Restarts) -> None:
    restarts.restart(ada())
    account = restarts.restart(ada()).find("ada@example.com")
    assert account
    assert account.password == PASSWORD
