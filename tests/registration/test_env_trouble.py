"""A .env that cannot be read or written is found out before anything is changed in the cloud."""

from pathlib import Path

import pytest

from signin.registration import EnvFileUnusable, env_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_a_folder_is_refused(path: Path) -> None:
    path.mkdir()

    with pytest.raises(EnvFileUnusable, match="folder"):
        env_file.require_writable(path)


def test_a_folder_in_place_of_the_backup_is_refused(path: Path) -> None:
    path.with_name(".env.backup").mkdir()

    with pytest.raises(EnvFileUnusable, match=r"\.env\.backup .*folder"):
        env_file.require_writable(path)


@pytest.mark.parametrize("target", ["nowhere/settings", ".env"], ids=["dangling", "loop"])
def test_a_link_to_nothing_is_refused(path: Path, target: str) -> None:
    path.symlink_to(target)

    with pytest.raises(EnvFileUnusable, match="link"):
        env_file.require_writable(path)


def test_a_folder_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(EnvFileUnusable, match="cannot be written"):
        env_file.require_writable(path.parent / "missing" / ".env")


def test_trying_leaves_nothing_behind(path: Path) -> None:
    env_file.require_writable(path)

    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"CLIENT_ID=\xff\n", b"CLIENT_ID=a\0b\n"], ids=["not UTF-8", "NUL"])
def test_a_file_that_is_no_text_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(EnvFileUnusable, match=str(path)):
        env_file.read(path)


def test_empty_and_expanded_lines_are_known(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "here")
    path.write_text("SCOPE=\nSESSION_DIR=${PLACE}/x\n")

    assert env_file.read_raw(path) == {"SCOPE": ("", ""), "SESSION_DIR": ("${PLACE}/x", "here/x")}
