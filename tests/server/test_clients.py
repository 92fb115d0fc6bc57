"""The code on the page for applications, run as it is printed there."""

import functools
import json
import os
import re
import sys
import time
import uuid

import pytest

from clients import reporter as r
from collector.docs import rendering
from tests.server.misbehaving import REDIRECT, REPORTER, SWITCHED_OFF, printed, program
from tests.servers import free_port, needs

PAGE = functools.cache(lambda: rendering.markdown("clients"))


def block(language, number=0, **paths):
    """Return code of the page in a language, with other paths and addresses."""
    code = re.findall(rf"^```{language}\n(.*?)^```", PAGE(), re.MULTILINE | re.DOTALL)[number]
    for old, new in paths.items():
        assert old in code
        code = code.replace(old, str(new))
    return code


def run(*line, check=True, **environ):
    """Run a program, which must succeed if it is to `check`; return what it prints."""
    return printed(program(*line, **environ), (0,) if check else (0, 1))


@pytest.fixture
def paths(fresh, tmp_path):
    """The addresses and paths on the page, and those to take in their place."""
    (tmp_path / "VERSION").write_text("4.5.6")
    return {
        "http://127.0.0.1:8000": f"http://{fresh.address}",
        "/srv/usage.json": tmp_path / "usage.json",
        "/opt/reporter.py": REPORTER,
        "/opt/app/VERSION": tmp_path / "VERSION",
    }


def used(paths, *names):
    return {name: paths[name] for name in ("http://127.0.0.1:8000", *names)}


def test_the_python_code_of_the_page_reports(paths):
    code = block("python", **used(paths, "/srv/usage.json"))
    code += "usage.opt_in(); print(usage.send(now=True), usage.opted_in, usage.opt_out())\n"
    assert run(sys.executable, "-Bc", code) == f"{r.SENT} True {r.ERASED}\n"
    code = block("python", 1, **used(paths))
    assert run(sys.executable, "-Bc", code) == f"True {r.SENT} {r.ERASED}\n"


def test_the_cron_lines_of_the_page_report_the_version_and_print_nothing(paths, fresh):
    url, state, line = block("crontab", **paths).splitlines()
    older = {"usage_id": str(uuid.uuid4()), "usage_slot": "0", "usage_days": "1"}
    paths["/srv/usage.json"].write_text(json.dumps(older))
    minute, *rest, command = line.split(" ", 5)
    assert (minute, rest) == ("17", ["*"] * 4)
    environ = dict(each.split("=", 1) for each in (url, state))
    assert [run("sh", "-c", command, **environ) for _ in range(2)] == ["", ""]
    assert fresh.stats()["versions"] == {"4.5.6": 1}
    command = command.replace("send --quiet", "opt-out")
    assert run("sh", "-c", command, **environ) == f"{r.ERASED}\n"


def test_the_commands_of_the_page_report_and_opt_out(paths):
    used_here = used(paths, "/srv/usage.json", "/opt/reporter.py")
    output = run("sh", "-ec", block("sh", **used_here))
    assert output.startswith(f"{r.OPTED_IN}\n{r.SENT}\n{{")
    assert '"outcome": "accepted"' in output
    assert output.endswith(f"}}\n{r.ERASED}\n")


@pytest.fixture(params=["sh", "busybox"])
def shell(request, paths, tmp_path):
    """Run the page's script with an argument."""
    needs("curl", "curl")
    needs(request.param, request.param)
    script = tmp_path / "usage.sh"
    script.write_text(block("sh", 1, **used(paths)))
    line = [*["busybox"][: request.param == "busybox"], "sh", str(script)]
    return lambda argument, **options: run(*line, argument, HOME=str(tmp_path), **options)


def test_the_shell_script_of_the_page_reports_from_opting_in_to_opting_out(shell, fresh, tmp_path):
    assert json.loads(shell("preview"))["id"] is None
    for environ in SWITCHED_OFF:
        assert shell("opt-in", check=False, **environ).startswith("Not opted in: ")
    shell("send")
    assert shell("opt-out") == f"{r.OFF}\n"
    assert fresh.stats()["instances"] == 0
    shell("opt-in")
    shell("opt-in")
    environ = {"APP_VERSION": "1.2", "DOCKER_TAG": "host:5000/a/b:1.2@sha256:0123"}
    preview = json.loads(shell("preview", **environ))
    assert preview["id"] == (tmp_path / ".usage-id").read_text().strip()
    shell("send", DO_NOT_TRACK="1", **environ)
    assert fresh.stats()["instances"] == 0
    assert shell("send", DO_NOT_TRACK="fAlse", CI="0", **environ) == ""
    assert fresh.stats()["versions"] == {"1.2": 1}
    assert fresh.stats()["images"] == {"host:5000/a/b": 1}
    assert shell("opt-out") == f"{r.ERASED}\n"
    assert not list(tmp_path.glob(".usage-id*"))


def test_the_shell_script_of_the_page_says_what_became_of_an_erasure(shell, misbehaving, tmp_path):
    redirecting, aside = misbehaving(REDIRECT, REDIRECT), tmp_path / ".usage-id.aside"
    down, there = f"http://127.0.0.1:{free_port()}/", f"http://{redirecting.address}/"
    for variable, url in (("USAGE_REPORTING_URL", down), ("USAGE_TRACKING_URL", there)):
        shell("opt-in")
        shell("send", **{variable: url})
        output = shell("opt-out", check=False, **{variable: url})
        when = re.search(r"[0-9]{4}-[0-9-]{5}", output)[0]
        assert " ".join(output.split()) == r.NOT_CONFIRMED.format(when)
    assert redirecting.paths == ["/", "/forget", "/forget"]  # for each id that is kept aside
    assert len(aside.read_text().split()) == 2
    assert shell("opt-out") == f"{r.ERASED}\n"
    shell("opt-in")
    shell("opt-out", check=False, USAGE_REPORTING_URL=down)
    os.utime(aside, (0, time.time() - 8 * r.DAY))
    shell("preview")
    assert not aside.exists()
    shell("opt-in")
    assert shell("opt-out", CI="1").startswith(r.NOT_ASKED.partition("{")[0])
    assert not aside.exists()


@pytest.fixture
def ruby(paths):
    """Run the page's Ruby code, then more code."""
    needs("ruby", "ruby")
    code = block("ruby", **used(paths))
    return lambda calls, **environ: run("ruby", "-e", f"{code}\n{calls}", **environ)


def test_the_ruby_code_of_the_page_reports_and_forgets(ruby, fresh):
    known = str(uuid.uuid4())
    environ = {"APP_VERSION": "1.2", "DOCKER_TAG": "host:5000/a/b:1.2@sha256:0123"}
    report = f"report_usage('{known}')"
    ruby("report_usage(nil)")
    for switch in SWITCHED_OFF:
        calls = f"{report}; p new_usage_id, forget_usage('{known}')"
        assert ruby(calls, **switch, **environ) == "nil\nnil\n"
    assert fresh.stats()["instances"] == 0
    environ |= {"DO_NOT_TRACK": "fAlse", "CI": "0"}
    assert len(uuid.UUID(ruby(f"{report}; print new_usage_id", **environ)).bytes) == 16
    stats = fresh.stats()
    assert (stats["versions"], stats["images"]) == ({"1.2": 1}, {"host:5000/a/b": 1})
    assert ruby(f"p forget_usage('{known}')") == "true\n"


def test_the_ruby_code_of_the_page_raises_nothing_and_bypasses_no_proxy(ruby, misbehaving):
    redirecting, calls = misbehaving(REDIRECT, REDIRECT), "p forget_usage('x')"
    for variable, url in (
        ("USAGE_REPORTING_URL", f"http://127.0.0.1:{free_port()}"),
        ("USAGE_TRACKING_URL", f"http://{redirecting.address}"),
    ):
        assert ruby(f"report_usage('x'); {calls}", **{variable: url}) == "false\n"
    assert redirecting.paths == ["/", "/forget"]
    proxy, elsewhere = misbehaving(), {"USAGE_REPORTING_URL": "http://count.invalid"}
    assert ruby(calls, all_proxy=f"http://{proxy.address}", **elsewhere) == "true\n"
    assert ruby(calls, all_proxy=f"socks5://{proxy.address}", **elsewhere) == "false\n"
    assert proxy.paths == ["http://count.invalid/forget"]
