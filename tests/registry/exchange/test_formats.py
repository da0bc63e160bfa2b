"""What every format keeps: same card, same bytes; checked; text stays text; nothing invented."""

import json
import subprocess
import sys

import pytest

from federation.errors.exchange import ExchangeUnequippedError, SiteUnclearError
from federation.wording import Language
from registry.exchange.card import Card
from registry.exchange.formats import write
from registry.exchange.kinds import Format, Table
from registry.exchange.rendering import needed
from tests.registry.exchange.builders import SITES, answers, bare, full, words

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&\"'{{7*7}}]]>"
each_format = pytest.mark.parametrize("format_", list(Format))


def written(card: Card, format_: Format, **more: object) -> bytes:
    return write(card, format_, language=Language.EN, site=SITES[0], **more)  # type: ignore[arg-type]


@each_format
@pytest.mark.parametrize("make", [bare, full])
def test_every_card_satisfies_every_format(make: type[Card], format_: Format) -> None:
    assert written(make(), format_).endswith(b"\n")


@each_format
def test_the_same_card_gives_the_same_bytes_in_another_process(format_: Format) -> None:
    code = (
        "import sys; from tests.registry.exchange.test_formats import *;"
        f"sys.stdout.buffer.write(written(full(), {format_}))"
    )
    if format_ not in (Format.MLBOM, Format.CHAI):  # two processes are enough to see a hash order
        assert written(full(), format_) == written(full(), format_)
        return
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == written(full(), format_)


@each_format
def test_hostile_text_stays_text(format_: Format) -> None:
    texts = answers(**{"3b": {"text": words(HOSTILE, HOSTILE)}})
    card = full(attributes=texts, name=words(HOSTILE, HOSTILE))

    content = written(card, format_).decode()

    if format_ in (Format.CHAI, Format.HTI1):
        assert "<script" not in content and "<img" not in content
    else:
        assert HOSTILE in json.dumps(json.loads(content), ensure_ascii=False).replace('\\"', '"')


def test_the_table_comes_as_html_csv_and_json() -> None:
    assert written(full(), Format.HTI1).startswith(b"<!DOCTYPE html>")
    assert written(full(), Format.HTI1, table=Table.CSV).startswith(b"\xef\xbb\xbfid,")
    assert json.loads(written(full(), Format.HTI1, table=Table.JSON))["schema"] == "trifed.hti1/1"


def test_the_json_of_a_card_says_null_for_what_is_not_known() -> None:
    value = json.loads(written(bare(), Format.JSON))

    assert value["schema"] == "trifed.card/1"
    assert value["licence"] is None and value["attributes"] == {}
    assert [part["patients"] for part in value["datasets"]] == [120, 120, None]


@each_format
def test_no_suppressed_count_can_be_read_from_a_file(format_: Format) -> None:
    content = write(full(), format_, language=Language.EN, site=SITES[2]).decode()

    assert SITES[2] in content or format_ is Format.HTI1
    assert '"patients": 0' not in content


def test_croissant_asks_whose_data_are_meant() -> None:
    for asked in (None, "nobody-9"):
        with pytest.raises(SiteUnclearError, match=r"tainan-1, taipei-2, hualien-3"):
            write(bare(), Format.CROISSANT, language=Language.EN, site=asked)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ExchangeUnequippedError, match="the package nothing"):
        needed("no_such_module_at_all", package="nothing", format_="X")
