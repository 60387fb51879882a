"""What a person does on the page of ``landslide-map view``, in a headless browser, with screenshots.

Run by ``.ci/check_view`` with RESULT PATCHES BUNDLE PICTURES CHROMIUM. Not part of pytest: it starts a
browser and takes half a minute.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

COMMAND = (sys.executable, "-c", "from landslide_map_cli.start import main; main()", "view")
DEVICES = {
    "laptop": {"viewport": {"width": 1366, "height": 768}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
}
DRAWN = "document.getElementById('map').toDataURL().length"


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """Start the command; yield the address that it prints."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[1]
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(timeout=20)
    check(status == 0, "Ctrl-C stops the page")


def check(right: bool, what: str) -> None:
    print(f"{'ok' if right else 'FAILED'}: {what}", flush=True)
    if not right:
        raise SystemExit(1)


def opened(context: Any, address: str, troubles: list[str]) -> Page:
    page: Page = context.new_page()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: outside(request.url, address, troubles))
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.wait_for_load_state("networkidle")
    return page


def outside(url: str, address: str, troubles: list[str]) -> None:
    if not url.startswith((address, "data:", "blob:")):
        troubles.append(f"requests another host: {url}")


def until(page: Page, expression: str, most_s: int = 60) -> None:
    """Wait until an expression holds; Playwright's own way is stopped by the page's security policy."""
    for _ in range(most_s * 10):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    shown = page.locator("#message").inner_text()
    check(False, f"in time: {expression}; the page says {shown!r}")


def verdicts(result: Path) -> dict[str, int]:
    with closing(sqlite3.connect(result / "landslides.gpkg")) as database:
        return dict(database.execute("SELECT review, count(*) FROM landslides GROUP BY review").fetchall())


def review_result(page: Page, result: Path, pictures: Path) -> None:
    """Zoom, swipe, slide the threshold, review, reload, save other outlines, export."""
    box = page.locator("#map").bounding_box()
    assert box is not None
    before = page.evaluate(DRAWN)
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    for _ in range(4):
        page.mouse.wheel(0, -300)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(400)
    check(page.evaluate(DRAWN) != before, "the wheel zooms")
    page.locator("#all").click()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60, steps=5)
    page.mouse.up()
    check(abs(int(page.locator("#swipe").input_value()) - 80) <= 2, "the line is dragged to swipe")
    page.select_option("#overlay", "outline_probability")
    page.wait_for_timeout(1500)
    page.screenshot(path=pictures / "probability.png")
    page.select_option("#overlay", "")

    stored = page.locator("#shown").inner_text()
    page.locator("#threshold").fill("0.8")
    fewer = page.locator("#shown").inner_text()
    page.locator("#threshold").fill("0.3")
    more = page.locator("#shown").inner_text()
    counts = [int(text.split()[0]) for text in (fewer, stored, more)]
    check(counts[0] < counts[1] < counts[2], f"the threshold redraws: {counts} outlines")
    page.locator("#as-stored").click()

    page.locator("#unseen").click()
    page.wait_for_timeout(300)
    page.locator("#comment").fill("fresh scar <b>&")
    page.locator("[data-verdict=confirmed]").click()
    page.wait_for_selector("#message.good")
    page.locator("#swipe").evaluate("(line) => { line.value = 50; line.oninput(); }")  # no scrolling
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(400)
    page.screenshot(path=pictures / "review.png")
    page.locator("#unseen").click()
    page.keyboard.press("Escape")
    page.locator("#which").click()
    page.keyboard.press("2")
    until(page, "document.getElementById('tally').textContent.includes('not a landslide')")
    found = verdicts(result)
    check(
        found.get("confirmed") == 1 and found.get("rejected") == 1, f"verdicts are in the GeoPackage: {found}"
    )
    page.reload()
    page.wait_for_selector("body[data-ready]")
    check("1 landslide" in page.locator("#tally").inner_text(), "verdicts are there after a reload")

    page.locator("#threshold").fill("0.3")
    page.locator("#redraw").click()
    until(page, f"document.getElementById('shown').textContent.endsWith(' holds {counts[2]}')")
    kept = verdicts(result)
    check(
        sum(kept.values()) == counts[2] and kept["confirmed"] == 1,
        f"other outlines are saved, reviews kept: {kept}",
    )
    with page.expect_download() as coming:
        page.locator("#geojson").click()
    exported = json.loads(Path(coming.value.path()).read_text())
    check(len(exported["features"]) == 1, "the confirmed outline is exported as GeoJSON")
    check(exported["features"][0]["properties"]["comment"] == "fresh scar <b>&", "with its comment")


def edited_elsewhere(page: Page, result: Path) -> None:
    """Review while another program edits, and after another person did."""
    with closing(sqlite3.connect(result / "landslides.gpkg", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("BEGIN IMMEDIATE")
        page.locator("#unseen").click()
        page.locator("[data-verdict=unsure]").click()
        page.wait_for_selector("#message.bad")
        check("E403" in page.locator("#message").inner_text(), "an edit session is not disturbed")
        database.execute("ROLLBACK")
    page.wait_for_timeout(500)
    with closing(sqlite3.connect(result / "landslides.gpkg", isolation_level=None)) as database:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            database.create_function(name, 1, lambda *_: None)
        database.execute(
            "UPDATE landslides SET review = 'rejected', comment = 'by another' WHERE review = 'unseen'"
        )
    page.locator("[data-verdict=unsure]").click()
    until(page, "document.getElementById('message').textContent.includes('E453')")
    check(verdicts(result).get("unsure", 0) == 0, "a verdict of another person is not overwritten")


def try_patches(page: Page, files: list[Path], pictures: Path) -> None:
    """Upload several files, one of them none, score, slide, download."""
    page.locator("#files").set_input_files([str(path) for path in files])
    until(page, f"document.querySelectorAll('.patch').length === {len(files)}")
    until(page, "document.querySelectorAll('figure[data-ready]').length >= 2")
    caption = page.locator("figure[data-ready] figcaption").first
    half = caption.inner_text()
    page.locator("#threshold").fill("0.2")
    check(caption.inner_text() != half, "the threshold changes the overlay")
    page.locator("#threshold").fill("0.5")
    for box in page.locator("#models input").all()[1:]:
        box.check()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)
    page.screenshot(path=pictures / "patches.png", full_page=True)
    with page.expect_download() as coming:
        page.locator("a", has_text="COG").first.click()
    check(Path(coming.value.path()).read_bytes()[:2] == b"II", "a GeoTIFF is downloaded")
    page.locator("a", has_text="GeoJSON").first.click()
    page.wait_for_selector("#message.bad")
    check("E103" in page.locator("#message").inner_text(), "polygons without a place are refused")
    form = page.locator(".place").first
    for name, value in {"epsg": "32645", "left": "500000", "top": "3100000", "pixel": "10"}.items():
        form.locator(f"[aria-label={name}]").fill(value)
    form.locator("button").click()
    until(page, "document.querySelector('.place').textContent.includes('EPSG:32645')")
    with page.expect_download() as coming:
        page.locator("a", has_text="GeoJSON").first.click()
    check("features" in json.loads(Path(coming.value.path()).read_text()), "with a place they are downloaded")
    bad = pictures / "no.h5"
    bad.write_bytes(b"no hdf5")
    page.locator("#files").set_input_files([str(bad)])
    until(page, "document.getElementById('message').textContent.includes('E180')")
    check(page.locator(".patch").count() == len(files), "a file that is no patch is refused")


def main() -> None:
    """Check both pages at two widths."""
    result, patches, bundle, pictures = map(Path, sys.argv[1:5])
    pictures.mkdir(parents=True, exist_ok=True)
    troubles: list[str] = []
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path=sys.argv[5], args=["--no-sandbox", "--disable-gpu"]
        )
        with served(str(result)) as address:
            for name, device in DEVICES.items():
                page = opened(browser.new_context(**device), address, troubles)
                page.screenshot(path=pictures / f"result_{name}.png")
                wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                check(wide, f"nothing is cut off at the width of a {name}")
            page = opened(browser.new_context(**DEVICES["laptop"], accept_downloads=True), address, troubles)
            review_result(page, result, pictures)
            check(not troubles, f"the console is quiet and no other host is requested {troubles}")
            edited_elsewhere(page, result)
            for context in browser.contexts:  # a request that Ctrl-C breaks off is no trouble
                context.close()
        troubles.clear()
        files = sorted(path for path in patches.iterdir() if path.suffix in (".h5", ".npy", ".tif"))
        with served("--bundle", str(bundle)) as address:
            page = opened(browser.new_context(**DEVICES["laptop"], accept_downloads=True), address, troubles)
            check(not troubles, f"the console is quiet and no other host is requested {troubles}")
            try_patches(page, files, pictures)
            page = opened(browser.new_context(**DEVICES["phone"]), address, troubles)
            until(page, "document.querySelectorAll('figure[data-ready]').length >= 1")
            page.screenshot(path=pictures / "patches_phone.png")
            check(page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nor of the patches")
        browser.close()


if __name__ == "__main__":
    main()
