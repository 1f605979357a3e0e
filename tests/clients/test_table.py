"""The table of clients in the local tenant's documentation. Each test of a client compares its own row."""

import pytest

from tests.clients.conftest import WRITE_TABLE
from tests.clients.table import CLIENTS, documented


def test_the_table_lists_the_clients_that_the_tests_use(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption(WRITE_TABLE, default=False):
        pytest.skip("this run writes the table, once all tests have passed")
    listed = {(row.client, row.kind) for row in documented()}
    assert listed == {(client.name, kind) for client in CLIENTS for kind in client.kinds}
