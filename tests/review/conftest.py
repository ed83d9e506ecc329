"""A cleaned scan, a review of it that runs, and a browser."""

import http.client
import json
import shutil
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from scans import OPTIONS, write_scan

from darkroom.pipeline.clean import clean_file
from darkroom.pipeline.inputs import find_scans
from darkroom.pipeline.naming import name_outputs
from darkroom.pipeline.request import Request
from darkroom.review.serve import serve


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_scan(tmp_path / "a.tif")


@pytest.fixture
def cleaned(scan: Path) -> Path:
    clean_file(scan, scan.with_name("a_clean.tif"), Request(OPTIONS))
    return scan


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


@pytest.fixture
def reviewing():
    """Starts reviews; all end with the test."""
    contexts, threads = [], []

    def start(*paths: Path, request: Request | None = None) -> Client:
        items = find_scans([str(path) for path in paths])
        name_outputs(items, None)
        context = serve(items, request or Request(OPTIONS))
        page = context.__enter__()
        contexts.append((context, page))
        thread = threading.Thread(target=page.server.run, args=([page._socket],), daemon=True)
        thread.start()
        threads.append(thread)
        return Client(page.address)

    yield start
    for context, page in contexts:
        page.server.should_exit = True
        context.__exit__(None, None, None)
    for thread in threads:
        thread.join(10)


@pytest.fixture
def browser(tmp_path: Path):
    """Debian's Chromium without any network but this machine."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}"),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        # A mouse, so that the page is as on a desk.
        "--blink-settings=primaryPointerType=4,availablePointerTypes=4,"
        "primaryHoverType=2,availableHoverTypes=2",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield made
    made.quit()
