"""`python -m local_tenant.graph`: run the stand-in, and say how to use it."""

import argparse
import sys

from ..command import ENDING, Signals
from . import Directory, LocalGraph

TYPES = {"b2c": "AAD B2C", "external-id": "CIAM", "entra-id": "AAD"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local_tenant.graph", description=__doc__)
    parser.add_argument("--port", type=int, default=8410)
    parser.add_argument("--kind", choices=TYPES, default="b2c")
    options = parser.parse_args()
    signals = Signals(ENDING)
    directory = Directory(tenant_type=TYPES[options.kind])
    if options.kind == "external-id":
        directory.add_user_flow("SignUpSignIn")
    with LocalGraph(directory, options.port) as graph:
        print(
            f"Stand-in for Microsoft Graph and its sign-in, FOR DEVELOPMENT ONLY.\n"
            f"Tenant {directory.domain} ({directory.tenant_id})\n\n"
            f"REQUESTS_CA_BUNDLE={graph.ca_bundle} flask register "
            f"--login-url {graph.url} --graph-url {graph.url} ..."
        )
        sys.stdout.flush()
        signals.wait()


if __name__ == "__main__":
    main()
