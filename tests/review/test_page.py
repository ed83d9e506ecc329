"""The page in a real browser: seen, vetoed, painted, saved, by keys alone, at any width."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scans import write_scan

from darkroom.pipeline.decisions import review_path

keys = pytest.importorskip("selenium.webdriver.common.keys", reason="selenium is missing")
K = keys.Keys
AXE = Path(os.environ.get("DARKROOM_AXE", "/nowhere"))  # axe.min.js of the npm package axe-core


class Page:
    """The page as a person meets it."""

    def __init__(self, browser, client, width=1280, height=800):
        self.browser, self.client = browser, client
        self.size(width, height)
        browser.get(client.address)
        client.ready()
        self.opened()

    def size(self, width, height=800):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def js(self, code):
        return self.browser.execute_script("return " + code)

    def wait(self, so, seconds=30):
        end = time.time() + seconds
        while time.time() < end:
            if so():
                return
            time.sleep(0.05)
        raise AssertionError("it did not come about")

    def opened(self):
        """Wait until the page answers keys: scans, marks and picture are there."""
        self.wait(lambda: self.js("document.getElementById('scan').options.length"))
        self.wait(lambda: self.js("document.querySelectorAll('.row').length"))
        self.settle()

    def settle(self):
        self.wait(lambda: self.js("document.getElementById('viewer').dataset.settled") == "true")

    def type(self, *what):
        self.browser.find_element("id", "viewer").send_keys(*what)

    def text(self, name):
        return self.browser.find_element("id", name).text

    def label(self):
        return self.js("document.getElementById('scan').selectedOptions[0].textContent")

    def expect(self, part):
        try:
            self.wait(lambda: part in self.label())
        except AssertionError:
            raise AssertionError(f"{part!r} is not in {self.label()!r}") from None

    def errors(self):
        return [entry["message"] for entry in self.browser.get_log("browser")]


@pytest.fixture
def page(browser, reviewing, cleaned):
    return Page(browser, reviewing(cleaned))


def test_by_keys_alone(page, cleaned):
    total = page.client.ready()["repairs"]
    page.expect(f"a.tif – {total} repairs")
    page.type("n")
    page.wait(lambda: "1 of" in page.text("status"))
    first = page.js("document.querySelector('[aria-selected=true]').dataset.name")
    page.type("n", "p")
    page.wait(lambda: "1 of" in page.text("status"))
    page.type("v")
    page.expect(f"{total - 1} repairs, 1 vetoed")
    page.type(
        "b", K.ARROW_RIGHT * 30, K.ENTER, "]", K.SHIFT + K.ARROW_DOWN, K.NULL, K.ENTER, K.ESCAPE
    )
    page.expect(f"{total + 1} repairs, 1 vetoed")
    page.type("z")
    page.expect(f"{total} repairs, 1 vetoed")
    page.type(K.CONTROL + "z", K.NULL)
    page.expect(f"{total - 1} repairs, 1 vetoed")
    page.type("y")
    page.expect(f"{total} repairs, 1 vetoed")
    page.type("f", "f", "w", ".", ",", "o", "d", "d", "l", "l", "l", "1", "0", "+", "-")
    page.type("s")
    page.wait(lambda: page.text("status").startswith("saved"))
    assert review_path(cleaned.with_name("a_clean.tif")).exists()
    assert "•" not in page.label()
    page.browser.refresh()
    page.opened()
    page.expect(f"{total} repairs, 1 vetoed")
    vetoed = "[...document.querySelectorAll('.row.vetoed')].map(r => r.dataset.name)"
    page.wait(lambda: page.js(vetoed) == [first])
    assert page.errors() == []
    # Every request went to this page of this machine.
    asked = page.js("performance.getEntriesByType('resource').map(e => e.name)")
    assert asked and all(name.startswith(page.client.address) for name in asked)


def test_by_mouse(page):
    webdriver = pytest.importorskip("selenium.webdriver")
    total = page.client.ready()["repairs"]
    viewer = page.browser.find_element("id", "viewer")
    page.browser.find_element("id", "paint").click()
    drag = webdriver.ActionChains(page.browser).move_to_element_with_offset(viewer, -150, 90)
    drag.click_and_hold().move_by_offset(40, -30).move_by_offset(20, 5).release().perform()
    page.expect(f"{total + 1} repairs")
    page.browser.find_element("id", "undo").click()
    page.expect(f"{total} repairs")
    page.browser.find_element("id", "paint").click()
    page.browser.find_element("css selector", ".row").click()
    page.wait(lambda: "1 of" in page.text("status"))
    page.browser.find_element("id", "veto").click()
    page.expect("1 vetoed")
    assert page.text("veto").startswith("Restore")
    before = page.js("document.getElementById('slide').value")
    handle = page.browser.find_element("css selector", "#divider span")
    drag = webdriver.ActionChains(page.browser).click_and_hold(handle)
    drag.move_by_offset(-120, 0).release().perform()
    assert float(page.js("document.getElementById('slide').value")) < float(before)
    slider = page.browser.find_element("id", "sensitivity")
    slider.send_keys(K.END)
    said = ("Nothing", *map(str, range(10)))
    page.wait(lambda: page.text("sensitivity-says").startswith(said))
    assert page.errors() == []


def pixels(page):
    """Brightness of the picture in the middle of the viewer, as drawn."""
    return page.js(
        "(() => {const c = document.querySelector('#viewer canvas'), x = c.getContext('2d');"
        "return [...x.getImageData(c.width / 2 + 1, c.height / 2, 1, 1).data].slice(0, 3)})()"
    )


def test_a_veto_is_seen_at_once(page):
    page.browser.find_element("css selector", "#sort [value=small]").click()
    page.type("n")
    page.settle()
    page.wait(lambda: max(pixels(page)) < 200)  # repaired, to the right of the divider
    page.type("v")
    page.expect("1 vetoed")
    page.wait(lambda: min(pixels(page)) > 200)  # the speck itself
    page.type("v")
    page.wait(lambda: max(pixels(page)) < 200)
    page.type("f")
    page.type("f")
    page.wait(lambda: min(pixels(page)) > 200)  # before


def test_two_tabs(page):
    total = page.client.ready()["repairs"]
    one = page.browser.current_window_handle
    page.browser.switch_to.new_window("tab")
    page.browser.get(page.client.address)
    page.opened()
    page.expect(f"{total} repairs")
    page.type("n", "v")
    page.expect("1 vetoed")
    page.browser.switch_to.window(one)
    page.type("n", "n", "v")
    page.expect("2 vetoed")


def test_phone(browser, reviewing, cleaned):
    page = Page(browser, reviewing(cleaned), 400, 800)
    assert page.js("document.documentElement.scrollWidth") <= 400
    box = page.browser.find_element("id", "viewer").size
    assert box["width"] >= 390 and box["height"] >= 300
    small = page.js(
        "[...document.querySelectorAll('.toolbar button, .scans button, #save')]"
        ".filter(b => b.getBoundingClientRect().height < 44).map(b => b.id || b.dataset.do)"
    )
    assert small == []
    page.browser.find_element("css selector", "[data-do=next]").click()
    page.browser.find_element("id", "veto").click()
    page.expect("1 vetoed")


def test_hostile_name_is_text(browser, reviewing, tmp_path):
    name = "<img src=x onerror=alert(1)>&amp;'\".tif"
    page = Page(browser, reviewing(write_scan(tmp_path / name)))
    page.expect(name)
    assert page.js("document.querySelectorAll('img[src=x]').length") == 0
    assert page.errors() == []


def test_infrared_and_orientation(browser, reviewing, tmp_path):
    path = write_scan(tmp_path / "v.tif")
    image = tifffile.imread(path)
    infrared = np.full(image.shape[:2], 50000, np.uint16)
    infrared[image.max(axis=2) > 55000] = 9000
    four = np.concatenate([image, infrared[..., None]], axis=2)
    tags = [(274, 3, 1, 6, True), (271, 2, None, "VueScan", True)]
    tifffile.imwrite(path, four, photometric="rgb", extrasamples=[0], extratags=tags)
    page = Page(browser, reviewing(path))
    page.type("i")
    page.wait(lambda: page.js("document.getElementById('layer').value") == "infrared")
    page.settle()
    asked = page.js("performance.getEntriesByType('resource').map(e => e.name)")
    assert any("/infrared/" in name for name in asked)
    assert page.js("document.getElementById('viewer').dataset.failed") is None
    assert page.errors() == []


@pytest.mark.skipif(not AXE.is_file(), reason="set DARKROOM_AXE to axe.min.js of axe-core")
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible(browser, reviewing, cleaned, width, theme):
    page = Page(browser, reviewing(cleaned), width)
    page.js(f"document.documentElement.dataset.theme = '{theme}'")
    page.type("n", "v")
    page.expect("1 vetoed")
    page.browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    page.browser.execute_script(AXE.read_text())
    found = page.browser.execute_async_script(
        "const done = arguments[0]; axe.run(document).then(r => done(r.violations))"
    )
    said = [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in found]
    assert said == []
