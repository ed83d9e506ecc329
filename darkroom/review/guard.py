"""Who may talk to the page: this machine's browser, at the address that was printed, and no other.

Other pages in the same browser can send requests to this machine, and a name of theirs can be made
to point to it (DNS rebinding), so the address carries a secret and every request must say that it
is for this address and from this page.
"""

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST = 2 << 20  # bytes of a request
VIEWER_STYLE = "'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='"  # OpenSeadragon adds it
POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {VIEWER_STYLE}; "
    "img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """Lets only requests through that are for this server and from its own page.

    Args:
        app: what answers them; it sees paths without the secret.
        token: the secret in the address.
        port: that the server listens on.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app, self._token = app, token
        names = ("127.0.0.1", "localhost", "[::1]")
        self._hosts = {f"{name}:{port}" for name in names}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sender = _with_headers(send)
        refused = self._refusal(scope)
        if refused:
            await _plain(sender, *refused)
            return
        _, _, rest = str(scope["path"])[1:].partition("/")
        inner = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode(), "root_path": ""}
        await self._app(inner, _limited(receive), sender)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is refused, as status and text; None if it is not."""
        headers: dict[str, str] = {}
        for key, value in scope["headers"]:
            name = key.decode("latin-1").lower()
            if name in headers and name in ("host", "origin"):
                return 403, "more than one host or origin"
            headers[name] = value.decode("latin-1")
        if headers.get("host", "").lower() not in self._hosts:
            return 403, "this server answers to its own address only"
        if "origin" in headers and headers["origin"] not in self._origins:
            return 403, "another page may not ask this server"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "another page may not ask this server"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "no such method"
        if scope["method"] == "POST" and not headers.get("content-type", "").startswith(
            "application/json"
        ):
            return 415, "JSON is expected"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MOST:
            return 413, "too much"
        path = str(scope["path"])
        token = path[1:].partition("/")[0]
        # Compared in constant time, so that guessing learns nothing from how long it takes.
        if "/" not in path[1:] or not secrets.compare_digest(token.encode(), self._token.encode()):
            return 404, "nothing here"
        return None


def _limited(receive: Receive) -> Receive:
    """The same, with bodies that grow too long cut off as if the client had gone."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > MOST else message

    return limited


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {key.lower() for key, _ in message["headers"]}
            more = HEADERS | {"cache-control": "no-store"}
            message["headers"] = [
                *message["headers"],
                *((k.encode(), v.encode()) for k, v in more.items() if k.encode() not in given),
            ]
        await send(message)

    return sender


async def _plain(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
