"""A cleaned scan, a review of it that runs, and a browser."""

import shutil
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from asking import Client
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
