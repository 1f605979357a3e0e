"""The table of clients in the local tenant's documentation. Each test of a client compares its own row."""

from tests.clients.table import CLIENTS, documented


def test_the_table_lists_the_clients_that_the_tests_use() -> None:
    listed = {(row.client, row.kind) for row in documented()}
    assert listed == {(client.name, kind) for client in CLIENTS for kind in client.kinds}
