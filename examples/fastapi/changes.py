"""The change feed of clerksync as server-sent events."""

import json

import httpx


def changes(url: str, token: str, after: str):
    """Yield the changes after a cursor, from clerksync's listener for operators.

    Streams end after some minutes, and with an error where the network fails. Store the cursor of each change with your
    work, and begin again after it.
    """
    headers = {"Authorization": "Bearer " + token, "Accept": "text/event-stream"}
    timeout = httpx.Timeout(10, read=30)  # there is a heartbeat each 15 seconds
    request = {"params": {"after": after}, "headers": headers, "timeout": timeout, "trust_env": False}
    with httpx.stream("GET", url + "/api/changes", **request) as stream:
        stream.raise_for_status()  # 410: the feed no longer has the cursor, so read everything again
        kind = ""
        for line in stream.iter_lines():
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "event":
                kind = value
            elif field == "data" and kind == "change":
                yield json.loads(value)
            elif field == "data" and kind == "gone":
                raise LookupError(value)
