"""The page in a real browser: drawn, clicked, dragged, driven by keys."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from darkroom.compare.report.page import write_report
from darkroom.compare.run.evaluate import Settings, evaluate
from darkroom.compare.statistics.summary import summarise
from darkroom.pairs.find import find_pairs

pytestmark = pytest.mark.external
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture
def browser(tmp_path: Path):
    if BROWSER is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def test_page_works(browser, tmp_path, rng):
    for side in ("scan", "gt"):
        (tmp_path / side).mkdir()
        for i in range(2):
            picture = np.full((64, 64), 90 + 20 * i, np.uint8)
            if side == "scan":
                picture[20:26, 30:36] = 250
            Image.fromarray(picture).save(tmp_path / side / f"p{i}.png")
    comparison = evaluate(find_pairs(tmp_path).complete(), [], Settings(tmp_path / "cache", 1))
    page = write_report(comparison, summarise(comparison, replicates=9), tmp_path / "report")

    def js(code):
        return browser.execute_script("return " + code)

    browser.get(page.as_uri())
    assert browser.get_log("browser") == []
    stage, divider = browser.find_element("id", "stage"), "document.getElementById('slide').value"
    assert js("document.querySelector('.picture .scan').naturalWidth") == 64
    stage.send_keys("\ue014")  # right arrow
    assert float(js(divider)) == 52
    actions = webdriver.ActionChains(browser)
    picture = browser.find_element("id", "picture")
    actions.move_to_element(picture).click_and_hold().move_by_offset(-60, 0).release().perform()
    assert float(js(divider)) < 50
    stage.send_keys("m1")
    assert not js("document.querySelector('.picture .mask').hidden")
    assert picture.size["width"] == 64
    for theme in ("Light", "Dark"):
        browser.find_element("id", "theme").click()
        assert browser.find_element("id", "theme").text == theme
    browser.set_window_size(500, 800)
    assert js("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert len(browser.get_screenshot_as_png()) > 10_000
