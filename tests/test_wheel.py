"""The wheel: what a user gets is what stands in the repository."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "napari_segrefiner"

pytestmark = pytest.mark.slow


def pip(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", *arguments],
        check=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the working tree, without the network."""
    folder = tmp_path_factory.mktemp("dist")
    pip(
        "wheel", "--no-build-isolation", "--no-deps", "-w", str(folder), str(ROOT)
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_manifest_in_the_wheel_is_the_top_level_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.read(f"{PACKAGE}/napari.yaml")
    assert packed == (ROOT / "napari.yaml").read_bytes()


def test_every_file_of_the_package_is_in_the_wheel(names: set[str]) -> None:
    kinds = {".py", ".safetensors", ".json", ".typed"}
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.suffix in kinds or path.name == "py.typed"
    }
    assert f"{PACKAGE}/py.typed" in expected
    assert expected <= names


def test_licence_is_in_the_wheel_and_tests_are_not(names: set[str]) -> None:
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith("tests/")]


def test_napari_finds_the_manifest_of_an_installed_wheel(
    wheel: Path, tmp_path: Path
) -> None:
    pip("install", "--no-deps", "--target", str(tmp_path), str(wheel))
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from npe2 import PluginManifest\n"
        f"import {PACKAGE}; print({PACKAGE}.__file__)\n"
        "found = PluginManifest.from_distribution('napari-segrefiner')\n"
        f"top = PluginManifest.from_file({str(ROOT / 'napari.yaml')!r})\n"
        "assert found.contributions == top.contributions\n"
        "assert found.package_metadata.version\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert found.stdout.startswith(str(tmp_path))
