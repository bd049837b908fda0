"""Headless Chromium over a pipe, as much of its protocol as tests of a page need."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium() -> str | None:
    """Path of a Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


class Browser:
    """One page of a headless Chromium, with its own profile; close it.

    Args:
        width, height: of the window in CSS pixels.
        scripts: whether pages may run scripts.
    """

    def __init__(self, width: int, height: int, scripts: bool = True) -> None:
        path = chromium()
        assert path is not None
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        told, self._write = os.pipe()
        self._read, says = os.pipe()
        # The protocol is spoken over descriptors 3 and 4.
        words = [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
                 "--disable-dev-shm-usage", f"--user-data-dir={self.profile}", "about:blank"]  # fmt: skip
        shell = f'exec "$@" 3<&{told} 4>&{says}'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "chromium", *words], pass_fds=(told, says), stderr=subprocess.DEVNULL
        )
        os.close(told)
        os.close(says)
        self._number, self._rest, self.events = 0, b"", []  # type: ignore[var-annotated]
        targets = self.call("Target.getTargets", session=None)["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = self.call("Target.attachToTarget", session=None, targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method: str, session: str | None = "", **parameters: Any) -> dict[str, Any]:
        """The answer of a method; events meanwhile go to `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session or self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._read, 1 << 16)
            assert part, "Chromium ended"
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(text))

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            screenWidth=width,
            screenHeight=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )

    def open(self, file: Path, address: str = "") -> None:
        """Open a page and wait until it has loaded."""
        self.events.clear()
        self.call("Page.navigate", url=f"{file.as_uri()}{address}")
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """The value of an expression, or of a promise, in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, shift: bool = False) -> None:
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                modifiers=8 * shift,
                **(text if kind == "keyDown" else {}),
            )

    def point(self, x: float, y: float, press: bool = False) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        if press:
            for kind in ("mousePressed", "mouseReleased"):
                self.call(
                    "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
                )
        if press:  # what the press changed is drawn by then
            self.run("new Promise(done => setTimeout(done, 300))")

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """x, y, width, height of an element in the window, scrolled into view."""
        return tuple(  # type: ignore[return-value]
            self.run(
                f"(async () => {{ const e = document.querySelector({json.dumps(selector)});"
                " e.scrollIntoView({block: 'center'});"
                # A press before the next frame would still go to what was there before.
                " for (let n = 0; n < 2; n += 1) await new Promise(done => requestAnimationFrame(done));"
                " const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
            )
        )

    def requests(self) -> Sequence[str]:
        """Addresses that were asked for, but for the page itself."""
        sent = [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith(("file:", "data:", "about:"))]

    def complaints(self) -> list[str]:
        """Errors that the page threw or logged, without advice on speed, which tests that read canvases get."""
        thrown = [
            e["params"]
            for e in self.events
            if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")
            and e["params"].get("entry", {}).get("source") != "rendering"
        ]
        return [json.dumps(one) for one in thrown]

    def picture(self, file: Path, whole: bool = False) -> None:
        """Write what is seen as PNG; the whole page if asked."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(answer["data"]))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self.profile, ignore_errors=True)
