"""Makes the pictures of docs/review.md: `darkroom demo`, then `python docs/screenshots.py FOLDER`.

Needs Chromium with its driver. FOLDER holds the demonstration's astronaut.tif; nothing is saved.
"""

import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from selenium import webdriver

from darkroom.options import CleanOptions
from darkroom.pipeline.inputs import find_scans
from darkroom.pipeline.naming import name_outputs
from darkroom.pipeline.request import Request
from darkroom.review.serve import serve

IMAGES = Path(__file__).parent / "images"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    "--blink-settings=primaryPointerType=4,availablePointerTypes=4,"
    "primaryHoverType=2,availableHoverTypes=2",
)


def browser() -> Any:
    """Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


def settle(driver: Any) -> None:
    """Wait until all that is in sight has been drawn."""
    for _ in range(600):
        time.sleep(0.1)
        settled = "return document.getElementById('viewer').dataset.settled"
        if driver.execute_script(settled) == "true":
            time.sleep(0.4)
            return


def picture(driver: Any, name: str, theme: str, width: int, height: int, keys: str) -> None:
    """One screenshot, of 64 colours so that it stays small."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_script(f"document.documentElement.dataset.theme = '{theme}'")
    time.sleep(0.5)
    for key in keys:
        driver.find_element("id", "viewer").send_keys(key)
        settle(driver)
    data = np.frombuffer(driver.get_screenshot_as_png(), np.uint8)
    from PIL import Image

    image = Image.fromarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
    image.quantize(96, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)


def main(folder: Path) -> None:
    """All pictures."""
    items = find_scans([folder / "astronaut.tif"])
    name_outputs(items, None)
    with serve(items, Request(CleanOptions(backend="classical"))) as page:
        threading.Thread(target=page.run, daemon=True).start()
        driver = browser()
        try:
            driver.get(page.address)
            # Without a result there are no marks before the scan has been searched.
            for _ in range(1200):
                time.sleep(0.1)
                if driver.execute_script("return !document.getElementById('sensitivity').disabled"):
                    break
            driver.find_element("css selector", "#sort [value=size]").click()
            settle(driver)
            picture(driver, "review-light.png", "light", 1280, 800, "nnn")
            picture(driver, "review-dark.png", "dark", 1280, 800, "pv0")
            picture(driver, "review-phone.png", "dark", 400, 820, "n")
        finally:
            driver.quit()
            page.server.should_exit = True


if __name__ == "__main__":
    main(Path(sys.argv[1]))
