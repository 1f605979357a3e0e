"""The kinds of authority that the tenant can stand in for, a module for each: URLs, claims, errors."""
