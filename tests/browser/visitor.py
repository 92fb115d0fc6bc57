"""A person at a page: what they do, and what is wrong with what they see."""

from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT

# All rules that axe has on by itself, and one more.
RULES = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}

AXE = f"options => {{ if (!window.axe) {{ {AXE_SCRIPT} }} return axe.run(options) }}"
UNFOLD = "document.querySelectorAll('details').forEach(one => one.open = true)"
TOO_WIDE = """() => {
  const {scrollWidth: needed, clientWidth: there} = document.documentElement
  const wide = one => one.scrollWidth > one.clientWidth || one.getBoundingClientRect().right > there
  const parts = [...document.querySelectorAll("main *:not(.wide *)")].filter(wide)
  return needed > there ? [needed, ...parts.map(one => one.outerHTML.slice(0, 80))] : []
}"""
FOCUSED = """() => {
  const one = document.activeElement
  const {outlineStyle, outlineWidth} = getComputedStyle(one)
  const {left, right, top, bottom} = one.getBoundingClientRect()
  const text = one.getAttribute("aria-label") || one.labels?.[0]?.innerText || one.innerText
  return {
    name: one == document.body ? null : text.trim(),
    visible: outlineStyle != "none" && parseFloat(outlineWidth) >= 2
      && left >= 0 && right <= innerWidth && top < innerHeight && bottom > 0,
  }
}"""


class Visitor:
    """Someone with one page of a server's open; `complaints` is all that went wrong with it."""

    def __init__(self, page, server):
        self.page = page
        self.server = server
        self.complaints = []
        page.on("console", lambda message: self.complain(message.type, message.text))
        page.on("pageerror", lambda error: self.complain("error", error))
        page.on("requestfailed", lambda request: self.complain("failed", request.url))
        page.on("request", self._stays_here)

    def complain(self, *what):
        self.complaints.append(" ".join(map(str, what)))

    def _stays_here(self, request):
        if urlsplit(request.url).netloc != self.server.address:
            self.complain("a third party:", request.url)

    def open(self, path, status=200):
        """Go to a path, which is answered with this status."""
        assert self.page.goto(f"http://{self.server.address}{path}").status == status
        if status >= 400:
            # The browser itself says so: once, and then it was no picture nor stylesheet.
            said = [one for one in self.complaints if f"a status of {status} " in one]
            self.complaints.remove(*said)
        return self

    @property
    def where(self):
        """The path and query of the page."""
        return self.page.url.removeprefix(f"http://{self.server.address}")

    @property
    def focused(self):
        """The name of what has the focus, None if nothing has it; and whether one sees it."""
        return self.page.evaluate(FOCUSED)

    def tab_stops(self):
        """Press Tab until the page ends; what has the focus after each."""
        self.page.keyboard.press("Tab")
        while (focused := self.focused)["name"] is not None:
            yield focused
            self.page.keyboard.press("Tab")

    def tab_to(self, name):
        """Press Tab until what has this name has the focus."""
        assert any(focused["name"] == name for focused in self.tab_stops()), name
        return self

    def enter(self):
        """Press Enter, and wait for the page that this leads to."""
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def unfold(self):
        """Open all that can be opened."""
        self.page.evaluate(UNFOLD)
        return self

    def look(self, width, **media):
        """Look whether it all fits into so many pixels."""
        self.page.set_viewport_size({"width": width, "height": 800})
        self.page.emulate_media(**media)
        if parts := self.page.evaluate(TOO_WIDE):
            self.complain(width, media, "too wide:", parts)
        return self

    def examine(self):
        """Have axe look at it."""
        for finding in self.page.evaluate(AXE, RULES)["violations"]:
            where = [node["target"] for node in finding["nodes"]]
            self.complain("axe:", finding["id"], finding["help"], where)
        return self
