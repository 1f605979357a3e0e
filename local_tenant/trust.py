"""`python -m local_tenant trust`: how to trust the certificate authority. Does it where that is simple."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .home import HomeUnusable, home
from .invocation import program
from .tls import (
    CA_NAME,
    PERMITTED_DOMAINS,
    CaFiles,
    java_options,
    lasting_authority,
    write_ca_files,
    write_java_truststore,
)

COMMAND_SECONDS = 120  # macOS and Windows ask the person for consent
WITHOUT_CERTUTIL = """\
The command certutil is missing. Install its package, and run this again. It is libnss3-tools on Debian and
Ubuntu, nss-tools on Fedora, nss on Arch."""

Command = list[str]


def main(arguments: Sequence[str]) -> int:
    """Run `trust` with its options. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog=f"{program()} trust",
        description="Shows how browsers and programs can trust the local tenant's certificates.",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--install", action="store_true", help="let the browsers of this user trust them")
    choice.add_argument("--remove", action="store_true", help="undo --install")
    options = parser.parse_args(arguments)
    try:
        folder = home()
    except HomeUnusable as error:
        print(error)
        return 2
    files = write_ca_files(folder, lasting_authority(folder, announce=print))
    if not options.install and not options.remove:
        print(explanation(files))
        return 0
    if not shutil.which(installation(files.certificate)[0][0]):
        print(WITHOUT_CERTUTIL)
        return 1
    for command in removal():
        run(command)  # fails where there is nothing to remove
    if options.remove:
        print("The certificate authority is no longer in the trust stores of this user.")
        return 0
    return install(files.certificate)


def install(certificate: Path) -> int:
    if sys.platform not in ("darwin", "win32"):
        chromium_database().mkdir(mode=0o700, parents=True, exist_ok=True)
    for command in installation(certificate):
        done = run(command)
        if done.returncode:
            print(f"This command failed: {quoted(command)}\n{done.stdout}{done.stderr}")
            return 1
        print(quoted(command))
    print(f"Restart the browsers that are open. To undo this: {program()} trust --remove")
    return 0


def run(command: Command) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - made of our own words and paths
        command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )


def quoted(command: Command) -> str:
    return subprocess.list2cmdline(command)


# --- the trust stores that need no administrator


def installation(certificate: Path) -> list[Command]:
    """The commands that make this user's browsers trust the CA."""
    if sys.platform == "darwin":
        return [["security", "add-trusted-cert", "-p", "ssl", "-k", login_keychain(), str(certificate)]]
    if sys.platform == "win32":
        return [["certutil", "-user", "-addstore", "Root", str(certificate)]]
    commands = []
    for folder in nss_databases():
        if not (folder / "cert9.db").exists():
            commands.append(["certutil", "-d", f"sql:{folder}", "-N", "--empty-password"])
        commands.append(
            ["certutil", "-d", f"sql:{folder}", "-A", "-t", "C,,", "-n", CA_NAME, "-i", str(certificate)]
        )
    return commands


def removal() -> list[Command]:
    """The commands that remove the CA from the same stores."""
    if sys.platform == "darwin":
        return [["security", "delete-certificate", "-c", CA_NAME, "-t", login_keychain()]]
    if sys.platform == "win32":
        return [["certutil", "-user", "-delstore", "Root", CA_NAME]]
    return [
        ["certutil", "-d", f"sql:{folder}", "-D", "-n", CA_NAME]
        for folder in nss_databases()
        if (folder / "cert9.db").exists()
    ]


def login_keychain() -> str:
    return str(Path.home() / "Library/Keychains/login.keychain-db")


def nss_databases() -> list[Path]:
    """Where Chromium and the Firefox profiles of this user keep their CAs on Linux."""
    firefox = [Path.home() / ".mozilla/firefox", Path.home() / "snap/firefox/common/.mozilla/firefox"]
    profiles = [found.parent for folder in firefox for found in sorted(folder.glob("*/cert9.db"))]
    return [chromium_database(), *profiles]


def chromium_database() -> Path:
    return Path.home() / ".pki/nssdb"


# --- what is printed


def explanation(files: CaFiles) -> str:
    certificate, bundle = files.certificate, files.bundle
    store = write_java_truststore(bundle)
    return f"""\
The local tenant's certificate authority
  alone                 {certificate}
  with the public CAs   {bundle}
It stays the same from start to start. Certificates that it signs are good for the loopback addresses, for
{", ".join(PERMITTED_DOMAINS)}, and for names below these.

A command that the tenant runs ({program()} COMMAND) has these variables already. Others need them:
  Python (requests, MSAL)       REQUESTS_CA_BUNDLE={bundle}
  Python (ssl, httpx, urllib)   SSL_CERT_FILE={bundle}
  Node.js                       NODE_EXTRA_CA_CERTS={certificate}
  curl                          CURL_CA_BUNDLE={bundle}
  OpenSSL, Ruby, PHP            SSL_CERT_FILE={bundle}
  .NET and Go on Linux          SSL_CERT_FILE={bundle}
  .NET and Go elsewhere         none: they use the system's store, see below
  Java                          JAVA_TOOL_OPTIONS='{java_options(store)}'

{for_the_system(certificate)}
{program()} trust --install does this for you, and --remove undoes it:
{indented(installation(certificate))}"""


def for_the_system(certificate: Path) -> str:
    if sys.platform in ("darwin", "win32"):
        return "Browsers, and programs that use the system's store:"
    return f"""\
The system's store, for all users and most programs, but for no browser:
  Debian, Ubuntu   sudo cp {certificate} /usr/local/share/ca-certificates/local-tenant.crt
                   sudo update-ca-certificates
  Fedora, Arch     sudo trust anchor {certificate}

Browsers (Chromium, Chrome, Edge, Firefox), for this user:"""


def indented(commands: Sequence[Command]) -> str:
    return "\n".join(f"  {quoted(command)}" for command in commands)
