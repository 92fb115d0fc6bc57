import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.numbers.folding import ARM32, ARM64, OTHER, X86, family, order, release, repository

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=128)


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("0.89.0", "0.89.0"),
        ("v0.89.0", "0.89.0"),
        ("V0.89.0", "0.89.0"),
        ("0.89", "0.89.0"),
        ("0.89.0.0", "0.89.0"),
        ("0.89.0.1", "0.89.0.1"),
        ("00.089.0", "0.89.0"),
        ("v0.89.0+build.5", "0.89.0"),
        ("v0.89.0-alpine", "0.89.0"),
        ("0.89.0-5-g0a1b2c3", "0.89.0"),
        ("v0.89.0 (custom)", "0.89.0"),
        ("v1.0.0-rc.2", "1.0.0rc2"),
        ("1.0.0rc2", "1.0.0rc2"),
        ("1.0.0-beta1-slim", "1.0.0b1"),
        ("1.0.0-alpha", "1.0.0a0"),
    ],
)
def test_a_release(app, expected):
    assert release(app) == expected


@pytest.mark.parametrize(
    "app",
    [
        "",
        "unknown",
        "edge",
        "nightly",
        "main",
        "pr-12",
        "sha-0a1b2c3",
        "0a1b2c3",
        "12",
        "v1",
        "1.2x",
        "1.0.0gamma",
        "-1.0",
        "...",
    ],
)
def test_no_release(app):
    assert release(app) == ""


def test_releases_are_in_the_order_of_versions():
    names = ["0.9.0", "0.10.0", "1.0.0a1", "1.0.0b1", "1.0.0rc1", "1.0.0", "1.0.0.1"]
    assert sorted(names, key=order) == names


@given(printable)
def test_any_version_has_a_release_or_none_and_folds_once(app):
    name = release(app)
    assert release(name) == name
    if name:
        order(name)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("", ""),
        ("ghcr.io/manyfold3d/manyfold", "manyfold3d/manyfold"),
        ("manyfold3d/manyfold", "manyfold3d/manyfold"),
        ("manyfold", "manyfold"),
        ("localhost/manyfold", "manyfold"),
        ("registry:5000/manyfold", "manyfold"),
        ("registry.example.org:5000/a/b/c", "a/b/c"),
        ("a.b", "a.b"),
    ],
)
def test_a_repository(image, expected):
    assert repository(image) == expected


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        ("x86_64-linux", X86),
        ("x86_64-linux-musl", X86),
        ("amd64", X86),
        ("aarch64-linux", ARM64),
        ("arm64-darwin23", ARM64),
        ("arm-linux-musleabihf", ARM32),
        ("armv7l-linux-eabihf", ARM32),
        ("armv8l-linux", ARM32),
        ("armhf", ARM32),
        ("i686-linux", OTHER),
        ("riscv64-linux", OTHER),
        ("powerpc64le-linux", OTHER),
        ("charm64", OTHER),
        ("", OTHER),
    ],
)
def test_a_family(arch, expected):
    assert family(arch) == expected


@given(printable)
def test_any_value_folds(value):
    assert repository(value) == repository(value)
    assert family(value) in (X86, ARM64, ARM32, OTHER)
