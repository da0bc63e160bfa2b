"""The register's entries in the formats that others read, and one that it reads itself.

`card.py` has the value that all are written from, `card_of(record)` makes it;
`formats.py` lists the formats. Every writer is a pure function: the same card,
the same bytes, and nothing that the card does not say.
"""
