import pytest
from pydicom.dataset import Dataset

from clients.data.deidentification.charsets import decode, encodings_of, spellings
from clients.data.dicom.elements import write_part10
from tests.data.conftest import Build
from tests.data.deidentification.cleaning import cleaned, deidentified
from tests.data.deidentification.planting import left_in, text

JAPANESE = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
KOREAN = (
    b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
)
CHINESE = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
HALF_WIDTH = "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis") + b"=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        ("\\ISO 2022 IR 87", JAPANESE, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", HALF_WIDTH, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
        ("\\ISO 2022 IR 149", KOREAN, "Hong^Gildong=洪^吉洞=홍^길동"),
        ("\\ISO 2022 IR 58", CHINESE, "Zhang^XiaoDong=张^小东="),
        ("ISO 2022 IR 6\\ISO 2022 IR 159", b"\x1b$(D0!\x1b(B", "丂"),
        ("ISO_IR 192", "王^小明".encode(), "王^小明"),
        ("GB18030", "王^小东".encode("gb18030"), "王^小东"),
        ("GBK", "王^小东".encode("gbk"), "王^小东"),
        ("ISO_IR 100", "Müller".encode("latin-1"), "Müller"),
        ("ISO_IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
        ("ISO_IR 100", "王小明".encode(), "王小明"),  # UTF-8 that is declared as Latin-1
        ("", "王小明".encode(), "王小明"),  # UTF-8 that is not declared at all
        ("NO SUCH SET", "Müller".encode(), "Müller"),
    ],
)
def test_text_is_read_in_its_character_set(declared: str, value: bytes, expected: str) -> None:
    assert decode(value, encodings_of(declared)) == expected


def test_the_first_set_applies_again_behind_a_delimiter() -> None:
    value = b"\x1b$)C\xb1\xe6\xb5\xbf^\xfcber"  # Korean, then Latin-1 without an escape
    assert decode(value, encodings_of("ISO 2022 IR 100\\ISO 2022 IR 149")) == "길동^über"


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("ISO_IR 100", "王小明".encode("big5")),
        ("", "Müller".encode("latin-1")),
        ("ISO_IR 192", "王小明".encode("big5")),
        ("ISO_IR 192", b"\x1b$X\xff"),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", b"\x1b$B\xff\xff\x1b(B"),
        ("ISO_IR 192", b"a\nb"),
    ],
)
def test_text_that_is_not_what_it_declares_is_not_kept(declared: str, value: bytes) -> None:
    assert decode(value, encodings_of(declared)) is None


@pytest.mark.parametrize("spelled", ["big5", "gb18030", "shift_jis", "euc_jp", "utf-16-le"])
def test_a_word_is_spelled_in_every_encoding(spelled: str) -> None:
    assert "山本".encode(spelled).lower() in spellings("山本")
    assert len(spellings("山本")) > 5


NAMED = [
    ("\\ISO 2022 IR 87", JAPANESE, "山田 太郎"),
    ("\\ISO 2022 IR 149", KOREAN, "홍길동"),
    ("\\ISO 2022 IR 58", CHINESE, "张小东"),
    ("GB18030", "王^小东".encode("gb18030"), "王小东"),
    ("ISO_IR 100", "王^小明".encode("big5"), "王小明"),
    ("ISO_IR 192", "王^小明".encode("big5"), "王小明"),
    ("", "王^小明".encode("big5"), "王小明"),
    ("", "王^小明".encode(), "王小明"),
    ("ISO_IR 100", "김^민수".encode("euc_kr"), "김민수"),
    ("ISO_IR 100", "山田^太郎".encode("shift_jis"), "山田太郎"),
]


def writable(said: str, encoding: str) -> bool:
    try:
        said.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("declared", "name", "said", "written"),
    [
        (*named, written)
        for named in NAMED
        for written in ("utf-8", "big5", "gb18030", "shift_jis", "euc_kr")
        if writable(named[2], written)
    ],
)
def test_a_name_is_found_in_what_stays_whatever_either_is_written_in(
    build: Build, declared: str, name: bytes, said: str, written: str
) -> None:
    elsewhere = said.encode(written)
    dataset: Dataset = build()
    if declared:
        dataset.SpecificCharacterSet = declared.split("\\")
    extra = (
        text(0x00100010, "PN", name),
        text(0x00080070, "LO", elsewhere),
        text(0x00181020, "LO", b"v1 " + elsewhere),
        text(0x00281201, "OW", elsewhere + b" " * (len(elsewhere) % 2)),
    )
    del dataset.PatientName
    after = write_part10(deidentified(dataset, extra=extra).file)
    assert left_in(after, {said, *said.split()}) == []
    assert elsewhere not in after
    assert name not in after


def test_an_item_may_have_a_character_set_of_its_own(build: Build) -> None:
    from clients.data.dicom.elements import Element

    item = [
        text(0x00080005, "CS", "ISO_IR 144"),
        text(0x00080070, "LO", "Мозг".encode("iso8859_5")),
    ]
    after = cleaned(
        build(SpecificCharacterSet="ISO_IR 100"),
        extra=(Element(0x00082218, "SQ", items=[item]),),
    )
    assert after.AnatomicRegionSequence[0].Manufacturer == "Мозг"
