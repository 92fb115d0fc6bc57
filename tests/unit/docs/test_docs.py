import json
import re
from html.parser import HTMLParser

import pytest
from django.urls import reverse

from collector.conf import Conf, records_cache
from collector.docs import examples
from collector.docs import rendering as docs
from collector.reports.fields import COUNTED, FIELDS


class Page(HTMLParser):
    """A page's ids, links, headings, and text by the heading that it stands under."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.headings, self.tags = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.tags.append((tag, named))
        if "id" in named:
            self.ids.append(named["id"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), named.get("id")))
        if tag == "a":
            self.links.append(named["href"])


@pytest.fixture
def page(client):
    return client.get("/docs").content.decode()


def test_it_works(page):
    assert "<h1" in page
    assert "What is the id?" in page


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_has_its_paragraph(page, field):
    (paragraph,) = re.findall(rf'<p><strong id="field-{field.name}">.*?</p>', page)
    assert f"is {field.meaning}." in paragraph
    assert ("counted under" in paragraph) == (field.name in COUNTED)
    row = re.search(rf"<code>version\.{field.name}</code>.*?</tr>", page, re.DOTALL)[0]
    assert f"{field.limit} characters" in row
    assert field.purpose in row


@pytest.mark.parametrize(
    "name", [name for name, value in vars(Conf).items() if isinstance(value, property)]
)
def test_every_setting_has_its_row(page, name):
    rows = re.findall(rf"<td><code>{name}</code></td>\s<td>(.+?)</td>\s<td>(.+?)</td>", page)
    assert len(rows) == (name != "cache")


def test_with_a_store_the_docs_say_what_is_in_it(client, settings, page, redis_server):
    assert "What is in the store?" not in page
    settings.CACHES = {
        **settings.CACHES,
        "records": records_cache(redis_url=redis_server.url, redis_unchecked=True),
    }
    shared = client.get("/docs").content.decode()
    for sentence in (
        "whoever can read the store can list digests and versions",
        "To forget everything at once, restart the store.",
        "vouches that it writes nothing to disk",
    ):
        assert sentence in " ".join(shared.split())
    assert "draws at random" in page
    assert "draws at random" not in shared


@pytest.mark.parametrize("key", json.loads(examples.numbers()))
def test_every_key_of_the_numbers_is_explained(page, key):
    assert re.search(rf"<li>.*<code>{key}</code>|and <code>{key}</code>", page)


def test_numbers_and_names_are_the_settings(settings, client):
    settings.HEADCOUNT_PROJECT_NAME = "Some <thing>"
    settings.HEADCOUNT_PUBLIC_URL = "https://count.example/"
    settings.HEADCOUNT_MIN_GROUP = 3
    settings.HEADCOUNT_HIDE = {"image": "secret-name"}
    settings.CACHES = {
        "records": settings.CACHES["records"]
        | {
            "TIMEOUT": 30 * 86400,
            "OPTIONS": {"GRANULARITY": 86400, "MAX_ENTRIES": 4321, "MAX_VALUES": 1234},
        }
    }
    page = client.get("/docs").content.decode()
    assert "installations of Some &lt;thing&gt; whose" in page
    assert "$ curl -s https://count.example/stats" in page
    assert "fewer than 3 installations" in page
    assert "on the 30 days after it" in page
    assert "forgotten on 2026-04-10 at 00:00 UTC" in page
    assert "4321" in page
    assert "1234" in page
    assert "secret-name" not in page
    assert re.search(r"<code>hide</code></td>\s<td>image</td>", page)


def test_every_heading_has_an_anchor_and_the_contents_link_to_it(page):
    read = Page(page)
    assert all(anchor for _, anchor in read.headings)
    assert len(set(read.ids)) == len(read.ids)
    contents = page[page.index('<div class="toc">') : page.index("</div>")]
    for level, anchor in read.headings:
        assert f"#{anchor}" in read.links
        assert (f'href="#{anchor}"' in contents) == (level in (2, 3))


def test_every_link_within_the_page_leads_somewhere(page):
    read = Page(page)
    inner = [link[1:] for link in read.links if link.startswith("#")]
    assert inner
    assert set(inner) <= set(read.ids)


def test_it_needs_no_script_no_inline_style_and_no_one_else(page):
    read = Page(page)
    assert not [tag for tag, named in read.tags if tag in ("script", "style") or "style" in named]
    sources = [named.get("src") or named.get("href") for tag, named in read.tags if tag != "a"]
    assert all(re.match("/[^/]", source) for source in sources if source)


def test_it_is_rendered_once(client):
    docs.page.cache_clear()
    client.get("/docs")
    client.get("/docs")
    assert docs.page.cache_info().misses == 1


def test_the_body_of_the_redirect_is_the_first_section(client):
    body = client.get("/").content.decode()
    assert "<h1" in body
    assert "<h2" not in body
    assert '<a href="/docs">Read the docs</a>' in body


def test_every_answer_has_the_policy(client):
    for path in ("/", "/docs", "/stats", "/nothing", "/static/collector/page.css"):
        response = client.get(path)
        response.close()
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert "script-src" not in response["Content-Security-Policy"]
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["X-Frame-Options"] == "DENY"
        assert response["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("name", docs.TITLES)
def test_its_title_is_its_heading(client, name):
    page = client.get(reverse(f"collector-{name}")).content.decode()
    title = re.search("<title>(.*?) - Manyfold</title>", page)[1]
    assert f">{title}<" in page.split("<h1")[1]


@pytest.fixture
def consent(client):
    """The words that ask for consent, as they are read."""
    page = client.get("/docs/clients").content.decode()
    (quoted,) = re.findall("<blockquote>.*?</blockquote>", page, re.DOTALL)
    return " ".join(re.sub("<.*?>", "", quoted).split())


def test_the_consent_names_what_is_sent_why_how_long_and_the_way_out(consent):
    for field in FIELDS:
        kept = "" if field.name in COUNTED else " The server does not keep it."
        assert f"{field.name} is {field.meaning} ({field.purpose}).{kept}" in consent
    assert "id is a random UUID, made when you agree" in consent
    assert "for 7 days after the day it came" in consent
    assert "The id is deleted here first; then the server is asked to forget" in consent


def test_the_consent_follows_the_settings(settings, client):
    settings.HEADCOUNT_PROJECT_NAME = "Some <thing>"
    settings.HEADCOUNT_PUBLIC_URL = "https://count.example/"
    settings.CACHES = {"records": settings.CACHES["records"] | {"TIMEOUT": 86400}}
    page = client.get("/docs/clients").content.decode()
    assert "Let Some &lt;thing&gt; count" in page
    assert "for 1 day after" in page
    assert "127.0.0.1" not in page
