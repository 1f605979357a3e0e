"""RSA keys, of which one takes a tenth of a second to make."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """The key with this name, the same in all tests of this process."""
    return rsa.generate_private_key(65537, 2048)
