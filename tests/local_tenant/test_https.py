"""https everywhere, the certificate authority that lasts, and other names for this machine."""

import os
import socket
import ssl
import stat
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from local_tenant import LocalTenant, cli, tls
from local_tenant.home import home
from tests.local_tenant.conftest import REDIRECT_URI
from tests.local_tenant.visitor import DOMAIN, SIGN_IN, Visitor, claims

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes and no shell scripts")
METADATA = f"{DOMAIN}/{SIGN_IN}/v2.0/.well-known/openid-configuration"
SERVICE_NAME = "localtenant.b2clogin.com"
ELSEWHERE = "192.0.2.1"  # RFC 5737: an address without a machine


@pytest.fixture(scope="module")
def secure_tenant() -> Iterator[LocalTenant]:
    """A tenant with https pages that all names of this machine reach."""
    with LocalTenant(redirect_uris=[REDIRECT_URI], https=True, listen="0.0.0.0") as tenant:  # noqa: S104
        yield tenant


@pytest.fixture
def visitor(secure_tenant: LocalTenant) -> Iterator[Visitor]:
    visitor = Visitor(secure_tenant)
    yield visitor
    visitor.close()


@pytest.fixture
def _names_lead_here(secure_tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_names_to("127.0.0.1", secure_tenant, monkeypatch)


# --- names


@pytest.mark.usefixtures("_names_lead_here")
@pytest.mark.parametrize(
    "origin",
    [
        "https://127.0.0.1:{port}",
        "https://localhost:{port}",
        "https://host.docker.internal:{port}",
        "https://LOCALHOST:{port}",
        f"https://{SERVICE_NAME}",
    ],
)
def test_metadata_names_the_origin_that_it_was_fetched_from(visitor: Visitor, origin: str) -> None:
    origin = origin.format(port=visitor.tenant.url.rpartition(":")[2])
    metadata = visitor.get(f"{origin}/{METADATA}").json()
    members = [name for name in metadata if name == "issuer" or name.endswith(("_endpoint", "_uri"))]
    assert len(members) == 5
    assert all(metadata[name].startswith(f"{origin.lower()}/") for name in members)


@pytest.mark.parametrize("host", ["attacker.example", "other.b2clogin.com"])
def test_another_host_name_is_refused(visitor: Visitor, host: str) -> None:
    address = f"{visitor.tenant.url}/{METADATA}"
    assert visitor.http.get(address, headers={"Host": host}, timeout=10).status_code == 400


@pytest.mark.usefixtures("_names_lead_here")
def test_a_token_of_the_services_own_name_is_good_for_the_api(visitor: Visitor) -> None:
    page = f"https://{SERVICE_NAME}/{DOMAIN}/{SIGN_IN}/oauth2/v2.0"
    code = visitor.code()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
    credentials = {name.lower(): visitor.tenant.settings[name] for name in ("CLIENT_ID", "CLIENT_SECRET")}
    token = visitor.http.post(f"{page}/token", data=form | credentials, timeout=10).json()["access_token"]
    assert claims(token)["iss"].startswith(f"https://{SERVICE_NAME}/")
    assert visitor.call_api(token).status_code == 200


@pytest.mark.parametrize(
    ("kind", "segment", "host"),
    [("entra-id", "{guid}", "localhost"), ("external-id", DOMAIN, "localtenant.ciamlogin.com")],
)
def test_the_kinds_of_entra_name_https_only(kind: str, segment: str, host: str) -> None:
    with LocalTenant(kind=kind, https=True) as tenant:
        path = f"{segment.format(guid=tenant.tenant_id)}/v2.0/.well-known/openid-configuration"
        answer = requests.get(
            f"{tenant.url}/{path}", headers={"Host": host}, verify=tenant.ca_bundle, timeout=10
        )
    endpoints = [value for name, value in answer.json().items() if name.endswith(("_endpoint", "_uri"))]
    assert endpoints
    assert all(endpoint.startswith(f"https://{host}/") for endpoint in endpoints)


def test_requests_of_other_sites_send_the_session_cookie(visitor: Visitor) -> None:
    cookie = visitor.sign_in().headers["Set-Cookie"]
    assert "Secure" in cookie
    assert "SameSite=None" in cookie


# --- the certificate authority


def test_the_authority_survives_a_restart(tmp_path: Path) -> None:
    with LocalTenant(home=tmp_path) as first:
        bundle = first.ca_bundle
    with LocalTenant(home=tmp_path) as second:
        assert second.ca_bundle == bundle
        assert requests.get(second.tls_url, verify=bundle, timeout=10).status_code == 200


@pytest.mark.parametrize("problem", ["cannot be read", "has expired"])
def test_an_authority_that_is_no_good_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tls, "CA_LIFETIME", timedelta(hours=-1))
        old, said = tls.lasting_authority(tmp_path, announce=print), list[str]()
    if problem == "cannot be read":
        (tmp_path / "private" / "ca.pem").write_text("damaged")
    assert tls.lasting_authority(tmp_path, said.append) != old
    assert problem in said[0]


def test_the_authority_cannot_sign_for_other_sites() -> None:
    authority = tls.temporary_authority()
    assert handshake(authority, "localhost") == ""
    assert "permitted subtree violation" in handshake(authority, "login.example")


@POSIX
def test_other_users_can_read_the_bundle_but_not_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_TENANT_HOME", str(tmp_path / "home"))
    previous = os.umask(0o077)
    try:
        files = tls.write_ca_files(home(), tls.lasting_authority(home(), announce=print))
    finally:
        os.umask(previous)
    paths = (home(), files.bundle, files.certificate, home() / "private", home() / "private" / "ca.pem")
    assert [oct(stat.S_IMODE(path.stat().st_mode)) for path in paths] == [
        *("0o755", "0o644", "0o644", "0o700", "0o600")
    ]


@POSIX
def test_other_users_can_read_the_ca_files_of_a_temporary_tenant() -> None:
    with LocalTenant() as tenant:
        paths = [Path(path) for path in (tenant.ca_bundle, tenant.ca_certificate)]
        modes = [oct(stat.S_IMODE(path.stat().st_mode)) for path in (paths[0].parent, *paths)]
    assert modes == ["0o755", "0o644", "0o644"]


def test_what_node_trusts_already_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = tls.lasting_authority(tmp_path, announce=print), tls.temporary_authority()
    own_file = tmp_path / "own.pem"
    own_file.write_bytes(theirs.certificate)
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(own_file))
    file = tls.write_ca_files(tmp_path, ours).for_node
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(file))
    again = tls.write_ca_files(tmp_path, ours).for_node
    assert again == file
    assert sorted(tls.CERTIFICATE_IN_PEM.findall(again.read_bytes())) == sorted(
        authority.certificate.strip() for authority in (theirs, ours)
    )


# --- other machines


def test_the_control_api_and_the_values_are_closed_to_other_machines(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_names_to(own_address(), visitor.tenant, monkeypatch)
    paths = (METADATA, "control/mail", "")
    assert [visitor.get(f"https://localhost/{path}").status_code for path in paths] == [200, 403, 403]


def test_listening_to_others_needs_https() -> None:
    with pytest.raises(ValueError, match="https"):
        LocalTenant(listen="0.0.0.0")  # noqa: S104


# --- trust


def test_trust_shows_what_each_program_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--https", "trust"]) == 0
    shown = capsys.readouterr().out
    assert f"NODE_EXTRA_CA_CERTS={home() / 'ca.pem'}" in shown
    assert f"REQUESTS_CA_BUNDLE={home() / 'ca-bundle.pem'}" in shown


@pytest.mark.skipif(sys.platform != "linux", reason="the trust stores of other systems are the user's own")
def test_trust_adds_the_authority_to_the_browsers_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, program = tmp_path / "log", tmp_path / "certutil"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    program.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert cli.main(["trust", "--install"]) == 0
    made, added = log.read_text().splitlines()
    assert made == f"-d sql:{tmp_path}/.pki/nssdb -N --empty-password"
    assert added.endswith(f"-i {home() / 'ca.pem'}")


def lead_names_to(address: str, tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve all names as a hosts file does, and lead port 443 to the tenant's port."""
    resolve, tenant_port = socket.getaddrinfo, int(tenant.url.rpartition(":")[2])

    def resolve_here(host: str, port: int, *more: Any) -> Any:
        return resolve(address, tenant_port if port == 443 else port, *more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_here)


def handshake(authority: tls.CertificateAuthority, name: str) -> str:
    """Connect a client that trusts `authority` to a server called `name`. Returns what it complains of."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.create_default_context(cadata=authority.certificate.decode())
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    server = authority.server_context([name]).wrap_bio(to_server, to_client, server_side=True)
    for _ in range(2):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    return ""


def own_address() -> str:
    """An address of this machine that is not a loopback address. No packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((ELSEWHERE, 9))
        except OSError:
            pytest.skip("this machine has no network")
        return str(probe.getsockname()[0])
