"""Which browser a request comes from, in words that its user recognizes."""

# What a User-Agent header contains, and what that stands for. The first that fits: most browsers also name
# those that they descend from. Source: MDN, "Browser detection using the user agent string".
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "Mac",
    "Linux": "Linux",
}


def browser_name(user_agent: str) -> str:
    """Such as "Firefox on Windows". What the header says is the browser's own claim, so only show it."""
    browser = _first_that_fits(BROWSERS, user_agent) or "Unknown browser"
    system = _first_that_fits(SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def _first_that_fits(names: dict[str, str], user_agent: str) -> str:
    return next((name for part, name in names.items() if part in user_agent), "")
