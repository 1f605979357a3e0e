"""What the tenant serves over HTTP: pages, protocol endpoints, control API and a protected web API."""
