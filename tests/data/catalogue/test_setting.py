from pathlib import Path

import pytest

from clients.data.catalogue import database
from clients.data.catalogue.store import Catalogue
from federation.errors.cohorts import CatalogueDatabaseError


def test_the_home_says_where_its_catalogue_lies(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere.db"
    assert database.place_of(data) == database.sqlite_url(data)
    (tmp_path / "catalogue.toml").write_text(f'url = "sqlite:///{elsewhere}"\n')
    with Catalogue(data) as catalogue:
        assert catalogue.counts()["patients"] == 0
    assert elsewhere.exists()
    assert not (data / database.FILE).exists()


@pytest.mark.parametrize(
    "text", ['url = "', "url = 1\n", 'path = "x"\n', 'url = "mysql://x"\n', 'url = "x"\n']
)
def test_a_setting_that_is_not_understood_opens_no_catalogue(tmp_path: Path, text: str) -> None:
    (tmp_path / "catalogue.toml").write_text(text)
    with pytest.raises(CatalogueDatabaseError):
        Catalogue(tmp_path / "data")
