"""The plugin's manifest: valid, found when installed, pointing at real code."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from npe2 import PluginManager, PluginManifest

NAME = "napari-segrefiner"
TOP_LEVEL = Path(__file__).parents[1] / "napari.yaml"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    """The manifest as napari finds it, through the installed entry point."""
    return PluginManifest.from_distribution(NAME)


def test_installed_manifest_is_the_top_level_one(manifest: PluginManifest) -> None:
    top_level = PluginManifest.from_file(TOP_LEVEL)
    assert manifest.name == NAME
    assert manifest.contributions == top_level.contributions


def test_manifest_is_discovered() -> None:
    manager = PluginManager()
    manager.discover()
    assert NAME in {manifest.name for manifest in manager.iter_manifests()}
    assert "SegRefiner" in [
        widget.display_name
        for widget in manager.iter_widgets()
        if widget.plugin_name == NAME
    ]


def test_both_actions_stand_in_the_segment_menu(manifest: PluginManifest) -> None:
    menus = manifest.contributions.menus or {}
    commands = [item.command for item in menus["napari/layers/segment"]]
    assert commands == [f"{NAME}.refine", f"{NAME}.refine_selected"]


def test_every_contribution_names_a_command(manifest: PluginManifest) -> None:
    known = {command.id for command in manifest.contributions.commands or ()}
    named = {widget.command for widget in manifest.contributions.widgets or ()}
    named |= {sample.command for sample in manifest.contributions.sample_data or ()}
    assert named
    assert named <= known


@pytest.mark.gui
def test_every_command_points_at_a_callable(manifest: PluginManifest) -> None:
    for command in manifest.contributions.commands or ():
        module, _, name = str(command.python_name).partition(":")
        assert callable(getattr(importlib.import_module(module), name))
