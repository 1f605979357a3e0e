"""What the tests share: servers, browsers, and a tenant that misbehaves on demand."""
