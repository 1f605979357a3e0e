"""How .env is changed."""

import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values

from signin.registration import env_file

BEFORE = "# Who may sign in\nCLIENT_ID=old # from the portal\n\nSESSION_IDLE_MINUTES=30\nUNKNOWN='a b'\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_for_its_owner_only(path: Path) -> None:
    env_file.change(path, {"CLIENT_SECRET": "made-up"})

    assert mode(path) == 0o600
    assert dotenv_values(path) == {"CLIENT_SECRET": "made-up"}


def test_a_file_that_all_could_read_is_for_its_owner_only(path: Path) -> None:
    path.write_text(BEFORE)
    path.chmod(0o644)
    env_file.change(path, {"CLIENT_SECRET": "made-up"})

    assert mode(path) == 0o600
    assert mode(path.with_name(".env.backup")) == 0o600


def test_other_lines_stay_as_they_are(path: Path) -> None:
    path.write_text(BEFORE)
    env_file.change(path, {"CLIENT_ID": "new", "CLIENT_SECRET": "made-up"})

    assert path.read_text() == (
        "# Who may sign in\nCLIENT_ID='new'\n\nSESSION_IDLE_MINUTES=30\nUNKNOWN='a b'\n"
        "CLIENT_SECRET='made-up'\n"
    )


def test_the_backup_holds_what_was_there(path: Path) -> None:
    path.write_text(BEFORE)
    env_file.change(path, {"CLIENT_ID": "new"})

    assert path.with_name(".env.backup").read_text() == BEFORE


def test_nothing_new_leaves_file_and_backup_alone(path: Path) -> None:
    path.write_text(BEFORE)
    path.with_name(".env.backup").write_text("earlier")

    assert env_file.change(path, {"SESSION_IDLE_MINUTES": "30"}) == ()
    assert path.read_text() == BEFORE
    assert path.with_name(".env.backup").read_text() == "earlier"


@pytest.mark.parametrize("value", ["a~b.c-d_e", "it's", 'a"b', "a\\b", "a #b", "$HOME", "a=b"])
def test_a_value_is_read_back_as_it_was_written(path: Path, value: str) -> None:
    env_file.change(path, {"CLIENT_SECRET": value})

    assert env_file.read(path) == {"CLIENT_SECRET": value}


def test_nothing_else_is_left_in_the_folder(path: Path) -> None:
    path.write_text(BEFORE)
    env_file.change(path, {"CLIENT_ID": "new"})

    assert sorted(file.name for file in path.parent.iterdir()) == [".env", ".env.backup"]


def test_a_link_to_the_file_stays_a_link(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "shared" / "settings"
    elsewhere.parent.mkdir()
    elsewhere.write_text(BEFORE)
    path.symlink_to(elsewhere)
    env_file.change(path, {"CLIENT_ID": "new"})

    assert path.is_symlink()
    assert env_file.read(elsewhere)["CLIENT_ID"] == "new"
