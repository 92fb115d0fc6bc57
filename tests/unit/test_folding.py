import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.folding import FAMILIES, OTHER, family, order, release, repository

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=128)


RELEASES = {
    "0.89.0": "0.89.0, v0.89.0, V0.89.0, 0.89, 0.89.0.0, 00.089.0, v0.89.0+build.5, v0.89.0-alpine,"
    " 0.89.0-5-g0a1b2c3, v0.89.0 (custom)",
    "0.89.0.1": "0.89.0.1",
    "1.0.0": "1.0.0-developers",
    "1.0.0a0": "1.0.0-alpha",
    "1.0.0b1": "1.0.0-beta1-slim",
    "1.0.0b2": "1.0.0~beta2-1",
    "1.0.0rc1": "1.0.0~rc1",
    "1.0.0rc2": "v1.0.0-rc.2, 1.0.0rc2",
    "": ", unknown, edge, nightly, main, pr-12, sha-0a1b2c3, 0a1b2c3, 12, v1, 1.2x, 1.0.0gamma,"
    " -1.0, 0.92.0-dev, 0.92.0-SNAPSHOT, 0.92.0.dev5, 0.92.0+dev, 0.92.0~dev1,"
    " 0.92.0-20260310-nightly, 1.0.0rc1.dev5, ..., 1." + "2" * 126,
}
REPOSITORIES = {
    "": "",
    "manyfold3d/manyfold": "manyfold3d/manyfold, ghcr.io/manyfold3d/manyfold",
    "manyfold": "manyfold, localhost/manyfold, registry:5000/manyfold",
    "a/b/c": "registry.example.org:5000/a/b/c",
    "a.b": "a.b",
}
ARCHITECTURES = {
    "64-bit x86": "x86_64-linux, x86_64-linux-musl, amd64",
    "64-bit ARM": "aarch64-linux, arm64-darwin23",
    "32-bit ARM": "arm-linux-musleabihf, armv7l-linux-eabihf, armv8l-linux, armhf",
    "32-bit x86": "i686-linux, i386, x86-linux",
    "RISC-V": "riscv64-linux",
    "POWER": "powerpc64le-linux, ppc64le",
    "s390x": "s390x",
    OTHER: "charm64, ",
}


@pytest.mark.parametrize(
    ("fold", "names"), [(release, RELEASES), (repository, REPOSITORIES), (family, ARCHITECTURES)]
)
def test_a_name_folds_to_its_release_repository_or_family(fold, names):
    for expected, sent in names.items():
        for name in sent.split(", "):
            assert (name, fold(name)) == (name, expected)


def test_releases_are_ordered_by_number_and_not_by_letter():
    names = ["0.9.0", "0.10.0", "1.0.0a1", "1.0.0b1", "1.0.0rc1", "1.0.0", "1.0.0.1"]
    assert sorted(names, key=order) == names


@given(printable)
def test_any_version_folds_and_its_release_folds_to_itself(app):
    name = release(app)
    assert release(name) == name
    if name:
        order(name)


@given(printable)
def test_any_image_and_any_architecture_folds(value):
    assert value.endswith(repository(value))
    assert family(value) in {*FAMILIES, OTHER}
