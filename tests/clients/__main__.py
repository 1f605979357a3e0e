"""Run the tests of this folder, and write the table of clients into the local tenant's README."""

import sys

import pytest

from tests.clients.table import CLIENTS, COLLECTED, FOLDER, Proof, write


class Collector:
    """A plugin of pytest. While it is there, tests add their proofs to `proofs`."""

    def __init__(self) -> None:
        self.proofs: list[Proof] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[COLLECTED] = self.proofs


def main() -> int:
    collector = Collector()
    status = pytest.main(["-n", "0", str(FOLDER)], plugins=[collector])
    expected = {(client, kind) for client in CLIENTS for kind in client.kinds}
    if status != pytest.ExitCode.OK or {(proof.client, proof.kind) for proof in collector.proofs} != expected:
        print("The README stays as it is, because not every client did everything.", file=sys.stderr)
        return 1
    write(collector.proofs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
