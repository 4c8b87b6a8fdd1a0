"""The desk in a real browser: no word in the console, nothing that fails, all of it by keyboard, readable in any light.

The house is a process of its own, with studies that were pushed to it; one is held, one exchange failed.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, Response, async_playwright, expect

from tests.support.desk import Scene, desk_scene, resting
from tests.support.judges import require_program

pytestmark = [pytest.mark.judge_program, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
ENOUGH = 4.5  # WCAG 2.2, 1.4.3

CONTRASTS = """() => {
  // Every text that can be seen, with the contrast of its colour to what is painted behind it (WCAG 2.2).
  const parse = (text) => {
    const found = text.match(/rgba?\\(([^)]+)\\)/);
    const [r, g, b, a = 1] = found[1].split(/[,/ ]+/).filter(Boolean).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) => {
    const mix = (x, y) => x * top.a + y * (1 - top.a);
    return { r: mix(top.r, below.r), g: mix(top.g, below.g), b: mix(top.b, below.b), a: 1 };
  };
  const luminance = ({ r, g, b }) => {
    const part = (value) => { const c = value / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.a > 0) layers.push(colour);
      if (colour.a === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const ratio = (element, colour) => {
    const back = behind(element);
    const [light, dark] = [luminance(over(parse(colour), back)), luminance(back)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const told = [];
  const note = (element, text, colour) => told.push({ text: text.trim().slice(0, 60), ratio: ratio(element, colour) });
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
    if (["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName)) continue;
    note(element, walker.currentNode.data, getComputedStyle(element).color);
  }
  for (const field of document.querySelectorAll("input, select")) {
    if (!field.checkVisibility() || field.type === "hidden" || field.type === "range") continue;
    note(field, field.value || field.name || field.className, getComputedStyle(field).color);
    if (field.placeholder) note(field, field.placeholder, getComputedStyle(field, "::placeholder").color);
  }
  return told;
}"""

PIXELS = """(image) => {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  return Array.from(pen.getImageData(0, 0, canvas.width, canvas.height).data).filter((_, place) => place % 4 === 0);
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    require_program("chromium")
    async with desk_scene(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=require_program("chromium"), args=ARGUMENTS)
        yield running
        await running.close()


class Seen:
    """A page, and everything that went wrong on it."""

    def __init__(self, page: Page, scene: Scene) -> None:
        self.page = page
        self.scene = scene
        self.wrong: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        self.wrong.append(f"console {message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        self.wrong.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.status}: {response.url}")
        if not response.url.startswith(self.scene.url):
            self.wrong.append(f"not ours: {response.url}")

    async def go(self, path: str) -> None:
        """Open a page and wait until nothing more comes."""
        await self.page.goto(self.scene.url + path, wait_until="networkidle")

    async def overflow(self) -> int:
        """By how much the page is wider than the window."""
        wider: int = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wider

    async def pixels(self) -> list[int]:
        """What the viewer shows when it has what was asked for, a number a pixel."""
        await self.page.locator(".frame[aria-busy=false]").wait_for()
        await self.page.locator(".frame").evaluate("(image) => image.decode()")
        shown: list[int] = await self.page.locator(".frame").evaluate(PIXELS)
        return shown

    async def focused(self) -> str:
        """The text, label or name of what has the focus."""
        text: str = await self.page.evaluate(
            "(({ activeElement: e }) => e.ariaLabel || e.innerText || e.labels?.[0]?.innerText || e.className)(document)"
        )
        return text.strip()


@asynccontextmanager
async def seat(browser: Browser, scene: Scene, *, scheme: str = "light", width: int = 1280) -> AsyncIterator[Seen]:
    """Somebody who is logged in, by keyboard."""
    context = await browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 900}
    )
    try:
        seen = Seen(await context.new_page(), scene)
        await seen.go("/")
        await seen.page.keyboard.type("admin")  # the field has the focus
        await seen.page.keyboard.press("Tab")
        await seen.page.keyboard.type(scene.password)
        await seen.page.keyboard.press("Enter")
        await seen.page.wait_for_url("**/inbox")
        await seen.page.wait_for_load_state("networkidle")
        yield seen
        assert seen.wrong == []
    finally:
        await context.close()


async def paths(scene: Scene) -> dict[str, str]:
    """Every page that there is, by name."""
    jobs = await scene.house.ask("GET", "/exchanges")
    of = {state: next(job["id"] for job in jobs if job["state"] == state) for state in ("failed", "held", "done")}
    asked = await scene.house.ask("GET", "/exchanges?kind=ask&limit=200")
    return {
        "inbox": "/inbox",
        "exchanges": "/exchanges",
        "everything": "/exchanges?kind=all",
        "no exchange": "/exchanges?peer=Lakeside",
        "failed": f"/exchanges/{of['failed']}",
        "held": f"/exchanges/{of['held']}?find=brandt",
        "done": f"/exchanges/{of['done']}",
        "raw": f"/exchanges/{asked[-1]['id']}/raw",
        "studies": "/studies",
        "no study": "/studies?q=nobody",
        "study": f"/studies/{scene.shown.study_instance_uid}",
        "documents": "/documents",
        "no document": "/documents?q=nobody",
        "on-ramp": "/on-ramp",
        "peers": "/peers",
        "audit": f"/audit?study={scene.shown.study_instance_uid}",
    }


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 420), ("dark", 420)])
async def test_every_page_is_whole_readable_and_fits(browser: Browser, scene: Scene, scheme: str, width: int) -> None:
    pictures = os.environ.get("RADGATE_SCREENSHOTS")
    async with seat(browser, scene, scheme=scheme, width=width) as seen:
        for name, path in (await paths(scene)).items():
            await seen.go(path)
            for summary in await seen.page.locator("main summary").all():
                await summary.click()
            told = await seen.page.evaluate(CONTRASTS)
            assert len(told) > 10, name
            assert [each for each in told if each["ratio"] < ENOUGH] == [], name
            assert await seen.overflow() <= 0, name
            assert await seen.page.locator("h1").count() == 1, name
            broken = "[...document.images].filter((image) => image.complete && !image.naturalWidth).length"
            assert await seen.page.evaluate(broken) == 0, name
            if pictures:
                await seen.page.screenshot(path=Path(pictures, f"{name}-{scheme}-{width}.png"), full_page=True)
        assert await seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(15, 21, 20)" if scheme == "dark" else "rgb(244, 246, 246)"
        )


async def test_what_is_told_of_contrast_is_true(browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.set_content(
        "<body style='background:#fff'><p style='color:#777'>grey</p><p style='color:#000'>black</p>"
    )
    told = {each["text"]: round(each["ratio"], 2) for each in await page.evaluate(CONTRASTS)}
    assert told == {"grey": 4.48, "black": 21.0}
    await context.close()


async def test_the_login_page_is_readable_and_refuses_aloud(browser: Browser, scene: Scene) -> None:
    for scheme in ("light", "dark"):
        context = await browser.new_context(color_scheme=scheme)
        page = await context.new_page()
        await page.goto(scene.url + "/studies")
        await page.fill("[name=user]", "admin")
        await page.fill("[name=password]", "guess")
        await page.press("[name=password]", "Enter")
        assert await page.get_by_role("alert").inner_text() == "User or password is wrong."
        assert [each for each in await page.evaluate(CONTRASTS) if each["ratio"] < ENOUGH] == []
        await page.fill("[name=password]", scene.password)
        await page.press("[name=password]", "Enter")
        await page.wait_for_url("**/studies")  # where one wanted to go
        await context.close()


async def test_the_keyboard_walks_over_a_page_in_its_order(browser: Browser, scene: Scene) -> None:
    async with seat(browser, scene) as seen:
        await seen.go("/studies")
        walked = []
        for _ in range(11):
            await seen.page.keyboard.press("Tab")
            walked.append(await seen.focused())
            style = await seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style == "solid", walked[-1]  # where one is can be seen
        assert walked[:5] == ["Skip to content", "Valley", "Inbox", "Exchanges", "Studies"]
        assert walked[5:10] == ["Documents", "On-ramp", "Peers", "Audit", "Log out"]
        assert walked[10].startswith("Patient id or name")
        await seen.go("/studies")
        await seen.page.keyboard.press("Tab")
        await seen.page.keyboard.press("Enter")
        await seen.page.keyboard.press("Tab")
        assert (await seen.focused()).startswith("Patient id or name")  # the navigation was skipped


async def test_a_series_is_scrolled_by_keys_wheel_and_slider(browser: Browser, scene: Scene) -> None:
    async with seat(browser, scene) as seen:
        await seen.go(f"/studies/{scene.shown.study_instance_uid}")
        position = seen.page.locator(".position")
        assert await position.inner_text() == "6 / 12"
        before = await seen.pixels()
        await seen.page.locator(".frame").focus()
        for key, shown in (("ArrowDown", "7"), ("ArrowUp", "6"), ("PageDown", "12"), ("Home", "1"), ("End", "12")):
            await seen.page.keyboard.press(key)
            assert await position.inner_text() == f"{shown} / 12", key
        assert await seen.pixels() != before
        await seen.page.locator(".frame").hover()
        await seen.page.mouse.wheel(0, -100)
        await expect(position).to_have_text("11 / 12")
        await seen.page.locator(".slice").focus()
        await seen.page.keyboard.press("ArrowLeft")
        assert await position.inner_text() == "10 / 12"
        await seen.page.get_by_role("button", name="Lung").press("Enter")
        assert await seen.page.get_by_role("button", name="Lung").get_attribute("aria-pressed") == "true"
        assert await position.inner_text() == "6 / 12"
        assert await seen.pixels() != before


async def test_window_and_level_change_the_picture(browser: Browser, scene: Scene) -> None:
    async with seat(browser, scene) as seen:
        await seen.go(f"/studies/{scene.shown.study_instance_uid}")
        stored = await seen.pixels()
        await seen.page.get_by_label("Preset").select_option(label="lung")
        lung = await seen.pixels()
        assert lung != stored
        assert await seen.page.locator(".windowed").inner_text() == "W 1500 L -600"
        box = await seen.page.locator(".frame").bounding_box()
        assert box is not None
        await seen.page.mouse.move(box["x"] + 200, box["y"] + 200)
        await seen.page.mouse.down()
        await seen.page.mouse.move(box["x"] + 300, box["y"] + 150, steps=5)
        await seen.page.mouse.up()
        assert await seen.page.get_by_label("Window").input_value() == "2250"
        assert await seen.page.get_by_label("Level").input_value() == "-975"
        assert await seen.page.get_by_label("Preset").input_value() == ""
        assert await seen.pixels() != lung
        await seen.page.get_by_role("button", name="Reset").click()
        assert await seen.pixels() == stored


async def test_dragging_starts_from_how_the_image_was_stored(browser: Browser, scene: Scene) -> None:
    async with seat(browser, scene) as seen:
        await seen.go(f"/studies/{scene.shown.study_instance_uid}")
        await seen.page.get_by_role("button", name="Lung").click()
        box = await seen.page.locator(".frame").bounding_box()
        assert box is not None
        await seen.page.mouse.move(box["x"] + 200, box["y"] + 200)
        await seen.page.mouse.down()
        await seen.page.mouse.move(box["x"] + 200, box["y"] + 201)
        await seen.page.mouse.up()
        button = seen.page.get_by_role("button", name="Lung")
        assert await seen.page.get_by_label("Window").input_value() == await button.get_attribute("data-width")
        await seen.pixels()


async def test_thumbnails_are_pictures(browser: Browser, scene: Scene) -> None:
    async with seat(browser, scene) as seen:
        await seen.go("/studies")
        images = seen.page.locator(".studies img")
        assert await images.count() == 4
        for image in await images.all():
            assert len(set(await image.evaluate(PIXELS))) > 10  # of grey or red


async def test_a_held_study_is_found_decided_and_released_by_keyboard(browser: Browser, scene: Scene) -> None:
    async with seat(browser, scene) as seen:
        assert "Fofana, Amadou" in await seen.page.locator("article", has_text="held").inner_text()

        async def to(name: str) -> None:
            for _ in range(60):
                await seen.page.keyboard.press("Tab")
                if (await seen.focused()).startswith(name):
                    return
            raise AssertionError(f"the keyboard does not come to {name}")

        await to("Choose the patient")
        await seen.page.keyboard.press("Enter")
        await seen.page.wait_for_url("**/exchanges/*")
        await to("Find a patient of ours")
        await seen.page.keyboard.type("brandt")
        await seen.page.keyboard.press("Enter")
        await seen.page.wait_for_url("**find=brandt")
        await to("Release to Brandt, Jürgen, P1001")
        await seen.page.keyboard.press("Enter")
        await seen.page.wait_for_url(lambda url: "find" not in url)
        await seen.page.wait_for_load_state("networkidle")
        exchange = seen.page.url.rpartition("/")[2]
        assert await resting(scene.house, exchange) == "done"
        await seen.page.reload(wait_until="networkidle")
        assert "Released by admin" in await seen.page.locator(".timeline").inner_text()
        await seen.go("/inbox")
        assert await seen.page.locator("article", has_text="held").count() == 0
        await seen.go(f"/audit?study={scene.held.study_instance_uid}&user=admin")
        assert "Released" in await seen.page.locator(".audit").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_way_to_a_peer_is_tested_by_a_button(browser: Browser, scene: Scene, scheme: str) -> None:
    async with seat(browser, scene, scheme=scheme, width=420) as seen:
        await seen.go("/peers")
        await seen.page.get_by_role("button", name="Test the way to Region").click()
        hops = seen.page.get_by_role("region", name="Hops of ITI-18")
        assert "nothing listens at 127.0.0.1 port 9" in await hops.inner_text()
        assert [each for each in await seen.page.evaluate(CONTRASTS) if each["ratio"] < ENOUGH] == []
        assert await seen.overflow() <= 0


async def test_a_back_fill_is_started_without_a_script_and_shows_how_far_it_is(browser: Browser, scene: Scene) -> None:
    async with seat(browser, scene, width=420) as seen:
        await seen.go("/on-ramp")
        await seen.page.get_by_label("Where").select_option(label="in our own registry")
        await seen.page.get_by_label("Modality").fill("MR")
        await seen.page.get_by_role("button", name="Publish").press("Enter")
        await seen.page.wait_for_url("**/exchanges/*")
        await seen.page.wait_for_load_state("networkidle")
        assert await resting(scene.house, seen.page.url.rpartition("/")[2]) == "done"
        await seen.go("/on-ramp")
        card = seen.page.locator("article", has_text="Modality MR")
        assert "1 of 1" in await card.inner_text()
        assert await seen.page.locator("script").count() == 0
        assert await seen.overflow() <= 0


async def test_a_session_that_ended_leads_to_the_login_and_back(browser: Browser, scene: Scene) -> None:
    async with seat(browser, scene) as seen:
        await seen.page.get_by_role("button", name="Log out").click()
        await seen.page.wait_for_url("**/login")
        await seen.page.wait_for_load_state("networkidle")
        await seen.go("/peers")
        assert "/login?next=" in seen.page.url
