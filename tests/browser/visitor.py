"""A visitor: one browser page that is open on a server, and what is wrong with it."""

from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT

# All rules that axe applies by default, and one more.
RULES = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
AXE = f"options => {{ if (!window.axe) {{ {AXE_SCRIPT} }} return axe.run(options) }}"
OPEN_DETAILS = "document.querySelectorAll('details').forEach(one => one.open = true)"
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
    """A visitor of one server; `problems` lists everything that went wrong."""

    def __init__(self, page, server):
        self.page = page
        self.origin = f"http://{server.address}"
        self.problems = []
        page.on("console", lambda message: self.note(message.type, message.text))
        page.on("pageerror", lambda error: self.note("error", error))
        page.on("requestfailed", lambda request: self.note("failed", request.url))
        page.on("request", self._note_third_party)

    def note(self, *problem):
        self.problems.append(" ".join(map(str, problem)))

    def _note_third_party(self, request):
        if urlsplit(request.url).netloc != urlsplit(self.origin).netloc:
            self.note("a third party:", request.url)

    def open(self, path, status=200):
        """Open a path, and expect this status."""
        assert self.page.goto(self.origin + path).status == status
        if status >= 400:
            # The browser logs the status of the page: once, or else of a picture or stylesheet too.
            logged = [each for each in self.problems if f"a status of {status} " in each]
            self.problems.remove(*logged)
        return self

    @property
    def location(self):
        """The path and query of the page."""
        return self.page.url.removeprefix(self.origin)

    @property
    def focused(self):
        """The name of the element that has the focus, or None; and whether the focus is visible."""
        return self.page.evaluate(FOCUSED)

    def tab_stops(self):
        """Press Tab until the page ends, and yield what has the focus each time."""
        self.page.keyboard.press("Tab")
        while (focused := self.focused)["name"] is not None:
            yield focused
            self.page.keyboard.press("Tab")

    def tab_to(self, name):
        """Press Tab until the element with this name has the focus."""
        assert any(focused["name"] == name for focused in self.tab_stops()), name
        return self

    def type(self, text):
        """Type a text into the element that has the focus."""
        self.page.keyboard.type(text)

    def press_enter(self):
        """Press Enter, and wait for the next page."""
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def open_details(self):
        """Open everything that is folded."""
        self.page.evaluate(OPEN_DETAILS)
        return self

    def resize(self, width, **media):
        """Give the page a width, and note what does not fit."""
        self.page.set_viewport_size({"width": width, "height": 800})
        self.page.emulate_media(**media)
        if parts := self.page.evaluate(TOO_WIDE):
            self.note(width, media, "too wide:", parts)
        return self

    def run_axe(self):
        """Run the accessibility checks of axe."""
        for finding in self.page.evaluate(AXE, RULES)["violations"]:
            targets = [node["target"] for node in finding["nodes"]]
            self.note("axe:", finding["id"], finding["help"], targets)
        return self
