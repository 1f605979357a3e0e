"""A stand-in for a tenant and a web API that uses as little CPU as possible."""
