import html
import re

import pytest

from collector.cache import records
from collector.conf import Conf, records_cache
from collector.docs import rendering
from collector.reports.fields import COUNTED, FIELDS
from collector.reports.parsing import example

ID = re.compile(r' id="([^"]+)"')
LINK = re.compile(r'<a [^>]*href="([^"]+)"')


def text(html):
    """Return the visible text of some HTML: without tags, and with white space collapsed."""
    return " ".join(re.sub("<.*?>", "", html).split())


@pytest.fixture
def page(client):
    return client.get("/docs").content.decode()


@pytest.fixture
def consent(client):
    """Return the text that asks for consent, as a reader sees it."""
    page = client.get("/docs/clients").content.decode()
    (quotation,) = re.findall("<blockquote>.*?</blockquote>", page, re.DOTALL)
    return text(quotation)


def test_the_docs_begin_with_what_an_admin_needs(client):
    body = client.get("/").content.decode()
    assert "<h1" in body
    assert "<h2" not in body
    assert '<a href="/docs">Read the docs</a>' in body
    items = [text(item) for item in re.findall("<li>.*?</li>", body, re.DOTALL)]
    questions = ["What is sent", "What is stored", "For how long"]
    questions += ["Who sees it", "How to erase it", "How to check"]
    assert [item.split(":")[0] for item in items] == questions
    assert "a random id and the application's version, commit, image and architecture." in items[0]
    assert (
        "a keyed digest of the id, with the version, image and architecture, the day, and whether"
        in items[1]
    )
    assert "7 days after the day on which the report arrives" in items[2]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_field_has_a_row_and_a_paragraph_in_the_docs(page, field):
    (paragraph,) = re.findall(rf'<p><strong id="field-{field.name}">.*?</p>', page)
    assert f"is {field.meaning}." in paragraph
    assert ("counted under" in paragraph) == (field.name in COUNTED)
    row = re.search(rf"<code>version\.{field.name}</code>.*?</tr>", page, re.DOTALL)[0]
    assert f"{field.limit} characters" in row
    assert field.purpose in row


@pytest.mark.parametrize(
    "name", [name for name, value in vars(Conf).items() if isinstance(value, property)]
)
def test_a_setting_has_a_row_in_the_docs(page, name):
    rows = re.findall(rf"<td><code>{name}</code></td>\s<td>(.+?)</td>\s<td>(.+?)</td>", page)
    assert "Raises" not in str(rows)
    assert len(rows) == (name not in ("cache", "config", "questions"))  # there are no questions


def test_each_key_of_the_statistics_is_explained_in_the_docs(page, stats):
    for key in stats():
        assert re.search(rf"<li>.*<code>{key}</code>|and <code>{key}</code>", page)


def test_the_examples_in_the_docs_are_what_the_server_returns(clock, client, post, page, stats):
    def shown(command):
        """Return the response that the docs show for a command that contains this."""
        return html.unescape(re.search(rf"\$ curl .*{command}.*\n((?:[^$<].*\n)+)", page)[1])

    clock.move_to("2026-03-10T08:00:00Z")
    records().clear()
    assert post(b'{"id": "my-server"}').content.decode() in shown("my-server")
    response = post(example()).content.decode()
    assert response in shown(r"0\.91\.0")
    for path, command in {
        "/stats": "/stats",
        "/stats?app=0.9*&arch=sparc": "sparc",
        "/stats/history": "/stats/history",
        "/badge.json": "/badge.json",
        "/healthz": "/healthz",
    }.items():
        pattern = ".*".join(map(re.escape, "".join(shown(command).split()).split("…")))
        assert re.fullmatch(pattern, "".join(client.get(path).content.decode().split()))


def test_the_docs_of_a_shared_server_describe_its_store(client, settings, page, redis_server):
    assert "What is in the store?" not in page
    assert "generates the key at startup" in text(page)
    settings.CACHES = {
        **settings.CACHES,
        "records": records_cache(redis_url=redis_server.url, redis_unchecked=True),
    }
    shared = text(client.get("/docs").content.decode())
    for sentence in (
        "whoever can read the store can list digests and versions",
        "RETENTION_DAYS, HISTORY_DAYS or SECRET_KEY, or runs another version of the code",
        "To forget everything at once, restart the store.",
        "is responsible for a store that writes nothing to disk",
        "unless it was stored under other settings or by other code; then it expires.",
    ):
        assert sentence in shared
    assert "is responsible for a store" in text(client.get("/docs/clients").content.decode())
    assert "generates the key at startup" not in shared


def test_the_docs_follow_the_settings(settings, client):
    settings.HEADCOUNT_PROJECT_NAME = "Some <thing>"
    settings.HEADCOUNT_PUBLIC_URL = "https://count.example/"
    settings.HEADCOUNT_MIN_GROUP = 3
    settings.HEADCOUNT_CONFIG_FILE = {"version": 1, "hide": {"image": ["secret-name"]}}
    options = {"MAX_ENTRIES": 4321, "MAX_VALUES": 1234}
    records = settings.CACHES["records"] | {"TIMEOUT": 30 * 86400, "OPTIONS": options}
    settings.CACHES = {"records": records}
    page = client.get("/docs").content.decode()
    for expected in (
        "counts the instances of Some &lt;thing&gt; whose",
        "$ curl -s https://count.example/stats",
        "fewer than 3 instances",
        "on the 30 days after it",
        "forgotten on 2026-04-10 at 00:00 UTC",
        "already has 4321 instances",
        "already has 1234 different versions",
    ):
        assert expected in page
    assert "secret-name" not in page
    assert re.search(r"<code>hide</code></td>\s<td>image</td>", page)
    consent = client.get("/docs/clients").content.decode()
    assert "Let Some &lt;thing&gt; count" in consent
    assert "For 30 days after" in consent
    assert "127.0.0.1" not in consent


def test_the_contents_link_each_section_and_the_page_has_the_title_of_its_first_heading(page):
    title = re.search("<title>(.*?) - This application</title>", page)[1]
    assert f">{title}<" in page.split("<h1")[1]
    contents = page[page.index('<div class="toc">') : page.index("</div>")]
    assert LINK.findall(contents) == [f"#{each}" for each in re.findall('<h[23] id="(.*?)"', page)]


@pytest.mark.parametrize("path", ["/", "/docs", "/dashboard"])
def test_every_link_to_an_anchor_has_a_target(client, page, path):
    ids = ID.findall(page)
    assert len(set(ids)) == len(ids)
    html = client.get(path).content.decode()
    anchors = [link.removeprefix("/docs") for link in LINK.findall(html) if "#" in link]
    assert set(anchors) <= {f"#{id}" for id in (*ids, *ID.findall(html))}
    assert "#how-is-this-server-configured" in anchors


def test_the_consent_names_every_field_the_retention_and_the_way_out(consent):
    for field in FIELDS:
        stored = "" if field.name in COUNTED else " The server does not store it."
        assert f"{field.name} is {field.meaning} ({field.purpose}).{stored}" in consent
    assert "id is a random UUID, created when you agree" in consent
    assert "For 7 days after the day on which your report arrives, the server keeps" in consent
    assert "a keyed digest of the id, the day, the version, image and architecture, and" in consent
    assert "whether this instance reported on an earlier day." in consent
    assert (
        "how many run each version, image and architecture, by name. For each of these" in consent
    )
    assert "keeps the counts of each day, with the names, for 90 days. Anyone may copy" in consent
    assert "then sends no more reports, and asks the server to erase the last one" in consent
    assert "answer" not in consent


def test_the_consent_says_what_happens_to_the_answer_to_each_question(settings):
    mail = {"what": "whether it sends <mail>", "why": "to know", "kind": "flag"}
    settings.HEADCOUNT_CONFIG_FILE = {"version": 1, "questions": {"mail": mail}}
    settings.HEADCOUNT_MIN_GROUP = 7
    consent = text(rendering.page("clients").split("blockquote>")[1])
    assert (
        "mail tells whether it sends &lt;mail&gt; (to know). The server counts true or" in consent
    )
    assert "It keeps no record of your answers" in consent
    assert "rounded down to a multiple of 7." in consent
    assert "by name if at least 7 instances do." in consent
    assert "not answered until you agree to it" in consent


SHARED = records_cache(redis_url="redis://127.0.0.1:6379/0")


@pytest.mark.parametrize("entry", [records_cache(), SHARED], ids=["memory", "store"])
def test_the_docs_have_the_points_of_a_data_protection_officer(client, settings, entry):
    settings.CACHES = {**settings.CACHES, "records": entry}
    section = client.get("/docs").content.decode().split('id="data-protection"')[1].split("<h2")[0]
    points = ["Controller and contact", "Purpose", "Legal basis", "Data", "Storage period"]
    points += ["Access and rectification", "Erasure", "Recipients and third parties"]
    points += ["Public totals", "Change of hands"]
    assert re.findall("<strong>(.*?):</strong>", section) == points
    assert "The operator has not named a contact." in section
    assert ('<a href="#what-is-in-the-store">store</a>' in section) == (entry is SHARED)


def test_the_docs_name_the_contact(client, settings):
    contact = settings.HEADCOUNT_CONTACT = "A <B> & *C*, dpo@count.example, [x](javascript:1)"
    page = client.get("/docs").content.decode()
    assert "The operator has not named a contact." not in page
    assert f"Contact: {contact}" in html.unescape(page)
    assert "<B>" not in page


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/clients", "/dashboard", "/nowhere"])
def test_every_page_links_the_source_code_if_its_url_is_set(client, settings, path):
    settings.HEADCOUNT_SOURCE_URL = "https://code.example/headcount?a&b"
    html = client.get(path, headers={"Accept": "text/html"}).content.decode()
    link = '<a href="https://code.example/headcount?a&amp;b">its source code</a>'
    assert link in html.split("<footer>")[1]
    settings.HEADCOUNT_SOURCE_URL = ""
    assert "source code</a>" not in client.get("/docs").content.decode()


@pytest.mark.parametrize("path", ["/docs", "/docs/clients", "/dashboard"])
def test_a_page_says_that_totals_are_public_for_years(settings, client, report, tmp_path, path):
    assert "public for years" not in text(client.get(path).content.decode())
    settings.HEADCOUNT_HISTORY_FOLDER = str(tmp_path)
    report()  # makes another dashboard
    assert "public for years" in text(client.get(path).content.decode())


@pytest.mark.parametrize(
    ("days", "kept"), [(90, "for 90 days"), (1, "for 1 day"), (0, "until the next one is over")]
)
def test_docs_and_consent_say_how_long_the_counts_of_a_day_stay(
    settings, set_cache_options, tmp_path, days, kept
):
    set_cache_options(HISTORY=days)
    settings.HEADCOUNT_HISTORY_FOLDER = str(tmp_path)
    docs, consent = (text(rendering.page(name)) for name in ("docs", "clients"))
    assert f"by name of the version, image and architecture, stay in memory {kept}." in docs
    assert f", by name, stay {kept}. The totals of each day, and the number of" in docs
    assert f", with the names, {kept}. The totals of each day, and the number of" in consent
