"""Steps of a person at the page, for the browser driver."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 30.0
"""Seconds until something must be seen."""
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --force-device-scale-factor=1 --lang=en-US"
).split()


def started(profile: Path) -> Any:
    """Start Chromium with an empty profile, and return its driver."""
    from selenium.webdriver import Chrome
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    for option in OPTIONS:
        options.add_argument(option)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return Chrome(options, Service("/usr/bin/chromedriver"))


class Browser:
    """A browser at one page."""

    def __init__(self, driver: Any, screenshots: Path) -> None:
        self.driver = driver
        self.screenshots = screenshots
        self.size(1000, 800)
        self.cdp("Emulation.setEmulatedMedia", features=[])

    def cdp(self, command: str, **values: Any) -> Any:
        """Send a command of Chromium's own protocol."""
        return self.driver.execute_cdp_cmd(command, values)

    def size(self, width: int, height: int) -> None:
        """Set the size of the window's content, in pixels."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def dark(self) -> None:
        """Let the system be dark."""
        scheme = {"name": "prefers-color-scheme", "value": "dark"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme])

    def speaks(self, language: str) -> None:
        """Set the language that a browser of that country has."""
        agent = self.driver.execute_script("return navigator.userAgent")
        self.cdp("Network.setUserAgentOverride", userAgent=agent, acceptLanguage=language)

    def forget(self) -> None:
        """Leave the page, and forget what it kept."""
        self.speaks("en-US")
        origin = self.driver.execute_script("return location.origin")
        self.driver.get("about:blank")
        if origin.startswith("http"):
            self.cdp("Storage.clearDataForOrigin", origin=origin, storageTypes="all")
        self.driver.get_log("browser")

    def open(self, address: str) -> None:
        """Open an address, from the start."""
        self.driver.get("about:blank")
        self.driver.get(address)

    def by_id(self, name: str) -> Any:
        """The element of an id."""
        return self.driver.find_element("id", name)

    def all(self, selector: str) -> list[Any]:
        """The elements of a CSS selector."""
        return list(self.driver.find_elements("css selector", selector))

    def text(self, name: str) -> str:
        """What the element of an id shows."""
        return str(self.by_id(name).text)

    def type(self, name: str, text: str) -> None:
        """Write into a field, in place of what is there."""
        field = self.by_id(name)
        field.clear()
        field.send_keys(text)

    def click(self, name: str) -> None:
        """Click on the element of an id."""
        self.by_id(name).click()

    def choose(self, name: str, value: str) -> None:
        """Choose an option by its value."""
        from selenium.webdriver.support.ui import Select

        Select(self.by_id(name)).select_by_value(value)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def focus(self) -> str:
        """The id of the element that has the focus, or its classes."""
        script = "const e = document.activeElement; return e.id || e.className || e.tagName"
        return str(self.driver.execute_script(script))

    def wait(self, condition: Callable[[], Any]) -> None:
        """Wait until a condition holds. Fails where it does not within PATIENCE."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, PATIENCE).until(lambda _: condition())

    def view(self, name: str) -> None:
        """Go to a view, and wait until the versions to choose from are there."""
        self.driver.find_element("css selector", f'a[href="#{name}"]').click()
        self.wait(lambda: self.by_id(f"{name}-view").is_displayed())
        self.wait(lambda: self.all(f"#{name}-a option"))

    def ask(self, question: str) -> None:
        """Ask, and wait until the answer is there."""
        self.type("question", question)
        self.click("ask-now")
        self.wait(lambda: self.by_id("details").is_displayed())

    def shot(self, name: str) -> None:
        """Take a picture of what is seen."""
        self.driver.save_screenshot(str(self.screenshots / f"{name}.png"))

    def complaints(self) -> list[str]:
        """What the browser wrote to its console since the last time: errors, and what the policy refused."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def width(self) -> int:
        """The width of the whole page in pixels, also of what is out of sight on the right."""
        return int(self.driver.execute_script("return document.documentElement.scrollWidth"))
