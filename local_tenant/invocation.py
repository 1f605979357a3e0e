"""How the command line was called, for hints that name a command."""

import sys
from pathlib import Path


def program() -> str:
    """`local-tenant` if that was called, or else `python -m local_tenant`."""
    name = "local-tenant"
    return name if sys.argv and Path(sys.argv[0]).stem == name else "python -m local_tenant"
