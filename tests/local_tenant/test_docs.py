"""The pages about the local tenant name what there is."""

import dataclasses
import re
from pathlib import Path

import pytest
from flask import Flask

from local_tenant.authorities import KINDS
from local_tenant.cli import parse
from local_tenant.configuration import file
from local_tenant.model.accounts import Account
from local_tenant.model.registrations import AppRegistration, UserFlow
from local_tenant.model.steering import LEGS, Options
from local_tenant.web import control

# Of the file that sets up a tenant. The page writes them in brackets.
TABLES = {"tenant", "apps", "user_flows", "apis", "users", "options"}
FOLDER = Path(__file__).resolve().parent.parent.parent / "local_tenant"


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_the_page_about_the_control_api_names_each_address() -> None:
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(control.blueprint)
    names = {"<email>": "EMAIL", "<client_id>": "CLIENT_ID", "<name>": "NAME"}
    addresses = {rule.rule for rule in app.url_map.iter_rules()}
    for variable, name in names.items():
        addresses = {address.replace(variable, name) for address in addresses}

    assert {address for address in addresses if f"{address}`" not in text("docs/control.md")} == set()


@pytest.mark.parametrize("names", [[option.name for option in dataclasses.fields(Options)], LEGS])
def test_the_page_about_the_control_api_names_each_option_and_leg(names: list[str]) -> None:
    assert {name for name in names if f"`{name}`" not in text("docs/control.md")} == set()


def test_the_readme_names_each_option_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    options = {
        word.strip("[],") for word in capsys.readouterr().out.split() if word.strip("[],").startswith("--")
    }

    assert {name for name in options - {"--help"} if f"`{name}" not in text("README.md")} == set()


def test_the_page_about_kinds_names_each() -> None:
    assert {kind for kind in KINDS if f"`{kind}`" not in text("docs/kinds.md")} == set()


def test_each_link_between_the_pages_leads_somewhere() -> None:
    pages = [FOLDER / "README.md", *sorted((FOLDER / "docs").glob("*.md"))]
    broken = []
    for page in pages:
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if "://" not in link and not (target.is_file() and anchor in {"", *anchors(target)}):
                broken.append(f"{page.name}: {link}")

    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "table", [file.Document, file.TenantTable, file.ApiTable, AppRegistration, UserFlow, Account]
)
def test_the_page_about_the_set_up_names_each_member(table: type) -> None:
    members = {member.name for member in dataclasses.fields(table)} - set(file.NOT_IN_FILE.get(table, ()))
    assert {name for name in members if f"`{name}`" not in text("docs/configuration.md")} <= TABLES


@pytest.mark.parametrize("page", ["README.md", "docs/configuration.md"])
def test_the_examples_of_the_file_that_sets_it_up_are_right(page: str, tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", text(page), re.DOTALL)
    (tmp_path / "tenant.toml").write_text(*examples)
    assert file.load(tmp_path / "tenant.toml").name == "contoso"
