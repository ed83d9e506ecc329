"""Asks a running review as its page does."""

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Client:
    """Asks a running review as its page does."""

    address: str

    def ask(
        self, path: str, body: Any = None, *, method: str | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Status and body of an answer; a path that begins with / is not put below the token."""
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        whole = path if path.startswith("/") else parts.path + path
        data = None if body is None else json.dumps(body)
        connection.putrequest(method or ("GET" if data is None else "POST"), whole, skip_host=True)
        sent.setdefault("Host", parts.netloc)
        for name, value in sent.items():
            connection.putheader(name, value)
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(None if data is None else data.encode())
        answer = connection.getresponse()
        return answer.status, answer.read()

    def get(self, path: str, body: Any = None) -> Any:
        """The JSON of an answer that went well."""
        status, data = self.ask(path, body)
        assert status == 200, data
        return json.loads(data)

    def act(self, **deed: Any) -> Any:
        """A decision on the first scan."""
        return self.get("api/scans/0/act", deed)

    def ready(self, number: int = 0, what: str = "searched") -> Any:
        """Wait until a scan is open and, by default, searched."""
        for _ in range(600):
            news = self.get(f"api/scans/{number}/news")
            if news["error"] or (news[what] and news["progress"] is None):
                return news
            time.sleep(0.05)
        raise AssertionError("the scan never got ready")
