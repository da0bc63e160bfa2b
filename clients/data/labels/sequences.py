"""Find elements inside DICOM sequences, for reports and segmentations."""

from collections.abc import Iterator, Sequence

from clients.data.dicom.elements import Element, Part10
from clients.data.labels.mapping import Code

Item = Sequence[Element]

CODE_VALUE, SCHEME, LONG_CODE, URN_CODE = 0x00080100, 0x00080102, 0x00080119, 0x00080120
PATIENT_ID = 0x00100020


def element_of(item: Item, tag: int) -> Element | None:
    """Return an element of an item, None when it is absent."""
    return next((element for element in item if element.tag == tag), None)


def items_of(item: Item, tag: int) -> list[list[Element]]:
    """Return the items of a sequence, none when it is absent."""
    element = element_of(item, tag)
    return (element.items or []) if element is not None else []


def text_of(item: Item, tag: int) -> str:
    """Return an ASCII text, empty when it is absent."""
    element = element_of(item, tag)
    return "" if element is None or element.items is not None else element.text()


def number_of(item: Item, tag: int, order: str) -> int | None:
    """Return an unsigned short, None when it is absent."""
    element = element_of(item, tag)
    return None if element is None else element.number(order)


def whole_of(item: Item, tag: int) -> int | None:
    """Return the first number of an integer string (IS), None when it is none."""
    text = text_of(item, tag).split("\\")[0].strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def code_in(item: Item, tag: int) -> Code | None:
    """Return the code of a code sequence (PS3.3 8.8), None when there is none."""
    for coded in items_of(item, tag)[:1]:
        value = next(
            (
                text
                for text in (text_of(coded, t) for t in (CODE_VALUE, LONG_CODE, URN_CODE))
                if text
            ),
            "",
        )
        if value:
            return Code.of(text_of(coded, SCHEME), value)
    return None


def every_item(item: Item) -> Iterator[Item]:
    """Yield an item and every item nested in it."""
    yield item
    for element in item:
        for inner in element.items or ():
            yield from every_item(inner)


def patient_id(file: Part10) -> str:
    """Return the Patient ID as the file spells it, empty when it is absent."""
    element = file.index.get(PATIENT_ID)
    if element is None:
        return ""
    try:
        return element.value.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return element.value.decode("latin-1").strip(" \0")
