import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.folding import FAMILIES, OTHER, family, order, release, repository

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
        ("1.0.0~rc1", "1.0.0rc1"),
        ("1.0.0~beta2-1", "1.0.0b2"),
        ("1.0.0-developers", "1.0.0"),
    ],
)
def test_a_version_folds_to_its_release(app, expected):
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
        "0.92.0-dev",
        "0.92.0-SNAPSHOT",
        "0.92.0.dev5",
        "0.92.0+dev",
        "0.92.0~dev1",
        "0.92.0-20260310-nightly",
        "1.0.0rc1.dev5",
        "...",
    ],
)
def test_a_version_that_is_no_release_folds_to_none(app):
    assert release(app) == ""


def test_releases_are_ordered_by_number_and_not_by_letter():
    names = ["0.9.0", "0.10.0", "1.0.0a1", "1.0.0b1", "1.0.0rc1", "1.0.0", "1.0.0.1"]
    assert sorted(names, key=order) == names


@given(printable)
def test_any_version_folds_and_its_release_folds_to_itself(app):
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
def test_an_image_folds_to_its_repository(image, expected):
    assert repository(image) == expected


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        ("x86_64-linux", "64-bit x86"),
        ("x86_64-linux-musl", "64-bit x86"),
        ("amd64", "64-bit x86"),
        ("aarch64-linux", "64-bit ARM"),
        ("arm64-darwin23", "64-bit ARM"),
        ("arm-linux-musleabihf", "32-bit ARM"),
        ("armv7l-linux-eabihf", "32-bit ARM"),
        ("armv8l-linux", "32-bit ARM"),
        ("armhf", "32-bit ARM"),
        ("i686-linux", "32-bit x86"),
        ("i386", "32-bit x86"),
        ("x86-linux", "32-bit x86"),
        ("riscv64-linux", "RISC-V"),
        ("powerpc64le-linux", "POWER"),
        ("ppc64le", "POWER"),
        ("s390x", "s390x"),
        ("charm64", OTHER),
        ("", OTHER),
    ],
)
def test_an_architecture_folds_to_its_family(arch, expected):
    assert family(arch) == expected


@given(printable)
def test_any_image_and_any_architecture_folds(value):
    assert repository(value) == repository(value)
    assert family(value) in {*FAMILIES, OTHER}
