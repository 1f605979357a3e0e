"""A browser for the operator: `BROWSER="python browser.py %s &"`.

It accepts what the stand-in's sign-in page asks for, and takes the answer to the command that waits for it.
"""

import html
import re
import sys

import requests


def main(url: str) -> None:
    answer = requests.post(url, timeout=10)
    answer.raise_for_status()
    [action] = re.findall(r'action="([^"]+)"', answer.text)
    fields = re.findall(r'name="([^"]+)" value="([^"]*)"', answer.text)
    data = {name: html.unescape(value) for name, value in fields}
    session = requests.Session()
    session.trust_env = False  # to localhost, never through a proxy
    session.post(html.unescape(action), data=data, timeout=10).raise_for_status()


if __name__ == "__main__":
    main(sys.argv[1])
