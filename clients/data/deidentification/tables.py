"""Cut look-up tables and palettes to the length that their descriptors give.

A table with more bytes than its descriptor promises (PS3.3 C.11.1.1.1, C.7.6.3.1.5)
may carry anything behind the last entry.
"""

import struct

from clients.data.dicom.elements import Element

DESCRIPTOR_OF = {
    0x00283006: 0x00283002,
    0x00281201: 0x00281101,
    0x00281202: 0x00281102,
    0x00281203: 0x00281103,
    0x00281204: 0x00281101,  # alpha: as many entries as red
}
"""Data element and its descriptor: entries, first value, bits of an entry."""
TABLES = frozenset(DESCRIPTOR_OF)


def cut_tables(elements: list[Element], order: str) -> None:
    """Shorten in place the tables among `elements`, one dataset or item.

    A table of which no descriptor says how long it is goes.
    """
    by_tag = {element.tag: element for element in elements}
    for tag, descriptor_tag in DESCRIPTOR_OF.items():
        table, descriptor = by_tag.get(tag), by_tag.get(descriptor_tag)
        if table is None:
            continue
        if descriptor is None or len(descriptor.value) != 6:
            elements[:] = [element for element in elements if element.tag != tag]
            continue
        entries, _, bits = struct.unpack(order + "3H", descriptor.value)
        entries = entries or 1 << 16
        length = entries if bits <= 8 and len(table.value) < 2 * entries else 2 * entries
        table.value = table.value[: length + length % 2]
