"""Where models lie."""

from __future__ import annotations

import platformdirs
import pytest

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.catalogue import (
    FOLDER_VARIABLE,
    find_model,
    user_folder,
)


def test_own_models_do_not_lie_in_a_cache_that_may_be_emptied(monkeypatch, tmp_path):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    cache = platformdirs.user_cache_path("napari-segrefiner", appauthor=False)
    assert user_folder() != cache
    assert user_folder().name == "napari-segrefiner"
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert user_folder() == tmp_path


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 5000, "a\0b"])
def test_names_that_the_system_refuses_are_no_models(name):
    with pytest.raises(ModelError):
        find_model(name)
