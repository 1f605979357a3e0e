"""The certificate authority of this machine's tenants, and certificates for their servers."""

import os
import re
import ssl
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from ipaddress import ip_network
from pathlib import Path

import certifi
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .home import READABLE, create_file, private_folder, write_file
from .invocation import program
from .model.origins import CONTAINER_HOST, IPV6_LOOPBACK, LOOPBACK

CA_NAME = "Local tenant CA, for development only"
CA_LIFETIME = timedelta(days=3650)
# Apple's systems refuse server certificates that are valid for longer than 825 days.
CERTIFICATE_LIFETIME = timedelta(days=397)
# A CA in a trust store must not be able to sign for other sites. Names below these are permitted as well.
PERMITTED_DOMAINS = ("localhost", CONTAINER_HOST, "b2clogin.com", "ciamlogin.com")
PERMITTED_NETWORKS = ("127.0.0.0/8", "::1/128")
CERTIFICATE_IN_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
JAVA_PASSWORD = "changeit"  # that of Java's own store, which holds no secrets either
LOCAL_NAMES = (LOOPBACK, IPV6_LOOPBACK, "localhost", CONTAINER_HOST)


@dataclass(frozen=True)
class CertificateAuthority:
    """A CA: certificate and private key, both PEM."""

    certificate: bytes
    key: bytes

    def server_context(self, names: Iterable[str] = ()) -> ssl.SSLContext:
        """A context for a server at 127.0.0.1, ::1, localhost, host.docker.internal and `names`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        now = datetime.now(timezone.utc)
        authority = trustme.CA.from_pem(self.certificate, self.key)
        certificate = authority.issue_cert(
            *dict.fromkeys((*LOCAL_NAMES, *names)),
            organization_name=CA_NAME,
            not_before=now - timedelta(days=1),
            not_after=now + CERTIFICATE_LIFETIME,
        )
        certificate.configure_cert(context)
        return context


@dataclass(frozen=True)
class CaFiles:
    """What clients read. `certificate` is the CA alone, `bundle` holds the public CAs as well.

    Most programs that are given a CA file read no other, so they need the bundle. `for_node` is for Node.js,
    which adds a file to the public CAs. It is `certificate`, or holds the CAs of NODE_EXTRA_CA_CERTS as well.
    """

    certificate: Path
    bundle: Path
    for_node: Path


@cache
def temporary_authority() -> CertificateAuthority:
    """One CA for all tenants of this process that are gone when it ends."""
    return _make_authority()


def lasting_authority(folder: Path, announce: Callable[[str], None]) -> CertificateAuthority:
    """The CA of the state folder `folder`. Makes one if there is none. Raises OSError.

    `announce` gets a line when an expired or unreadable one is replaced, because it has to be trusted anew.
    """
    path = private_folder(folder) / "ca.pem"
    if not path.exists():
        made = _make_authority()
        return _read(create_file(path, made.key + made.certificate))
    try:
        authority = _read(path.read_bytes())
        expired = _expires(authority) < datetime.now(timezone.utc)
        problem = "has expired" if expired else ""
    except ValueError:
        problem = "cannot be read"
    if problem:
        authority = _make_authority()
        write_file(path, authority.key + authority.certificate)
        announce(
            f"The certificate authority in {path} {problem}, so there is a new one now. "
            f"If you trusted the old one, trust the new one: {program()} trust"
        )
    return authority


def write_ca_files(folder: Path, authority: CertificateAuthority) -> CaFiles:
    """Write the CA files into `folder`, which all users of the machine may read."""
    certificate, extra = folder / "ca.pem", _cas_added_to_node(authority)
    for_node = folder / "node-extra-ca-certs.pem" if extra else certificate
    files = CaFiles(certificate, folder / "ca-bundle.pem", for_node)
    contents = {
        files.for_node: extra + authority.certificate,
        files.certificate: authority.certificate,
        files.bundle: _trusted_cas(files.bundle) + b"\n" + authority.certificate,
    }
    for path, content in contents.items():
        if not path.exists() or path.read_bytes() != content:
            write_file(path, content, READABLE)
    return files


def write_java_truststore(bundle: Path) -> Path:
    """Write a trust store for Java with the CAs of `bundle` beside it, unless there is one of this bundle."""
    store = bundle.with_name("java-truststore.p12")
    if not store.exists() or store.stat().st_mtime < bundle.stat().st_mtime:
        certificates = [
            pkcs12.PKCS12Certificate(certificate, str(number).encode())
            for number, certificate in enumerate(_readable_certificates(bundle.read_bytes()))
        ]
        encryption = serialization.BestAvailableEncryption(JAVA_PASSWORD.encode())
        write_file(store, pkcs12.serialize_java_truststore(certificates, encryption), READABLE)
    return store


def java_options(store: Path) -> str:
    """The options that make Java use this trust store."""
    return f'"-Djavax.net.ssl.trustStore={store}" -Djavax.net.ssl.trustStorePassword={JAVA_PASSWORD}'


def _readable_certificates(bundle: bytes) -> Iterator[x509.Certificate]:
    """The certificates of a bundle, without those that break RFC 5280. Some public CAs do."""
    for pem in CERTIFICATE_IN_PEM.findall(bundle):
        with warnings.catch_warnings(), suppress(ValueError):
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            yield x509.load_pem_x509_certificate(pem)


def _trusted_cas(own_bundle: Path) -> bytes:
    """The CAs that were trusted before. A bundle of ours in the environment is not among them."""
    configured = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    bundle = Path(configured) if configured else own_bundle
    usable = bundle.is_file() and bundle.absolute() != own_bundle
    return (bundle if usable else Path(certifi.where())).read_bytes()


def _cas_added_to_node(authority: CertificateAuthority) -> bytes:
    """The CAs of NODE_EXTRA_CA_CERTS, without this one. Like Node.js, ignores a file that cannot be read."""
    configured = os.environ.get("NODE_EXTRA_CA_CERTS")
    try:
        content = Path(configured).read_bytes() if configured else b""
    except OSError:
        return b""
    others = content.replace(authority.certificate, b"").strip()
    return others + b"\n" if others else b""


def _make_authority() -> CertificateAuthority:
    """A new CA that can sign for local names only (RFC 5280, section 4.2.1.10)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CA_NAME)])
    now = datetime.now(timezone.utc)
    networks = [x509.IPAddress(ip_network(text)) for text in PERMITTED_NETWORKS]
    domains = [x509.DNSName(domain) for domain in PERMITTED_DOMAINS]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints([*domains, *networks], None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return CertificateAuthority(certificate.public_bytes(serialization.Encoding.PEM), private)


def _read(pem: bytes) -> CertificateAuthority:
    """The CA from a file with key and certificate. Raises ValueError."""
    key, mark, certificate = pem.partition(b"-----BEGIN CERTIFICATE-----")
    authority = CertificateAuthority(mark + certificate, key)
    public_key = serialization.load_pem_private_key(key, password=None).public_key()
    if x509.load_pem_x509_certificate(authority.certificate).public_key() != public_key:
        raise ValueError("key and certificate do not belong together")
    return authority


def _expires(authority: CertificateAuthority) -> datetime:
    return x509.load_pem_x509_certificate(authority.certificate).not_valid_after_utc
