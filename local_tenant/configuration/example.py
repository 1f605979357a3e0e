"""Writes an example."""


def example(kind: str = "b2c") -> str:
    return ""
