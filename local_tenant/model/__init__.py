"""What a tenant holds: accounts, registrations, grants, keys. Knows nothing of HTTP."""
