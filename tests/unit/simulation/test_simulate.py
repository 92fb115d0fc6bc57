import socket
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command

from simulation.management.commands.simulate import require_this_machine


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "127.9.9.9"])
def test_simulate_allows_every_address_of_this_machine(host):
    require_this_machine(urlsplit(f"http://{host}:8000"))


@pytest.mark.parametrize(
    ("addresses", "allowed"),
    [
        (["127.0.0.1", "::1"], True),
        (["127.0.0.1", "192.0.2.1"], False),
        (["::1", "2001:db8::1"], False),
    ],
)
def test_simulate_refuses_a_host_with_any_address_elsewhere(monkeypatch, addresses, allowed):
    found = [(None, None, 0, "", (address, 8000)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    if allowed:
        require_this_machine(urlsplit("http://both.example:8000"))
    else:
        with pytest.raises(CommandError, match=r"both\.example is another machine"):
            require_this_machine(urlsplit("http://both.example:8000"))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://192.0.2.1", "another machine"),
        ("127.0.0.1:8000", "is not a valid URL"),
        ("ftp://127.0.0.1", "is not a valid URL"),
        ("http://[::1", "is not a valid URL"),
        ("http://127.0.0.1:port", "is not a valid URL"),
        ("http://nowhere.invalid", "cannot be resolved"),
    ],
)
def test_simulate_refuses_a_url_that_is_not_of_this_machine(url, message):
    with pytest.raises(CommandError, match=message):
        call_command("simulate", url)


def test_simulate_refuses_to_open_no_connection():
    with pytest.raises(CommandError, match="--at-once must be 1 or more"):
        call_command("simulate", at_once=0)
