"""Where the data are: in the package when it was installed, else beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service import folders
from cds_service.folders import cards_folder, data_folder, patients_folder


def test_cards_and_patients_are_found() -> None:
    assert (cards_folder() / "shared.yaml").is_file()
    assert list(patients_folder().glob("*.json"))


def test_the_package_goes_before_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "cds_service"
    (tmp_path / "cards").mkdir()
    package.mkdir()
    monkeypatch.setattr(folders, "_PACKAGE", package)
    assert data_folder("cards") == tmp_path / "cards"
    (package / "cards").mkdir()
    assert data_folder("cards") == package / "cards"


def test_a_folder_that_is_nowhere_is_named_with_both_places() -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder nowhere: looked for .*cds_service/nowhere and .*/nowhere"):
        data_folder("nowhere")
