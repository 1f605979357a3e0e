"""A throw-away certificate authority, a certificate for 127.0.0.1, and the bundle that makes it trusted."""

import datetime
import ipaddress
import os
import ssl
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 30
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def make_tls(folder: Path):
    """Write what TLS needs into `folder`; returns the server's SSLContext and the path of the CA bundle."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key)
    leaf = _leaf(key, ca, ca_key)
    bundle = folder / "ca-bundle.pem"
    bundle.write_bytes(_trusted_already() + b"\n" + _pem(ca))
    return _context(folder, key, leaf), str(bundle)


def _trusted_already():
    own = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    return Path(own if own and Path(own).is_file() else certifi.where()).read_bytes()


def _context(folder, key, leaf):
    key_file, leaf_file = folder / "key.pem", folder / "certificate.pem"
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    leaf_file.write_bytes(_pem(leaf))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf_file, key_file)
    key_file.unlink()
    return context


def _authority(key):
    name = _name("Local tenant, development only")
    return (
        _builder(name, name, key, key)
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _leaf(key, ca, ca_key):
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        _builder(_name("127.0.0.1"), ca.subject, key, ca_key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(subject, issuer, key, issuer_key):
    now = datetime.datetime.now(datetime.timezone.utc)
    # Python 3.13 checks certificates strictly and wants both key identifiers.
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority_id, critical=False)
    )


def _usage(**wanted):
    return x509.KeyUsage(**dict.fromkeys(USAGES, False) | wanted)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)
