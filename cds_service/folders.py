"""Where the folders of data are: inside an installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def data_folder(name: str) -> Path:
    """The folder `name` (`cards` or `fixtures`): in the package when it was installed, else beside the package.

    Raises FileNotFoundError that names both places when there is neither.
    """
    places = (_PACKAGE / name, _PACKAGE.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"no folder {name}: looked for {places[0]} and {places[1]}")


def cards_folder() -> Path:
    """The folder of card definitions that came with this installation."""
    return data_folder("cards")


def patients_folder() -> Path:
    """The folder of synthetic patients, one FHIR Bundle per file."""
    return data_folder("fixtures") / "patients"
