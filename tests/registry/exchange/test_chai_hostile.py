"""A hostile file is refused before it can do anything, and its text stays text."""

import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors.exchange import ImportInvalidError, ImportRefusedError
from federation.wording import Language
from registry.exchange.chai import write_chai
from registry.exchange.chai_mapping import chai_of
from registry.exchange.chai_reading import MAX_BYTES, read_chai
from registry.exchange.chai_schema import SIGNATURE, Version
from tests.registry.exchange.builders import full

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"


def good() -> str:
    return write_chai(chai_of(full(), Language.EN)).decode()


def with_head(head: str, text: str = "") -> bytes:
    body = good().split("\n", 1)[1]
    return f"{head}\n{body.replace('Chest X', text or 'Chest X')}".encode()


def refused(content: bytes, why: str) -> None:
    with pytest.raises(ImportRefusedError, match=why):
        read_chai(content)


def test_an_outside_entity_is_refused_and_its_file_never_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a patient")
    content = with_head(f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>', "&e;")

    with pytest.raises(ImportRefusedError, match="document type") as error:
        read_chai(content)
    assert "a patient" not in str(error.value)


def test_multiplying_entities_are_refused_at_once() -> None:
    lines = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    started = time.monotonic()

    refused(with_head(f"<!DOCTYPE x [{lines}]>", "&e11;"), "document type")
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("head", ['<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">', "<!DOCTYPE x>"])
def test_a_document_type_is_refused(head: str) -> None:
    refused(with_head(head), "document type")


def test_an_undeclared_entity_is_refused() -> None:
    refused(with_head("", "&e;"), "not well-formed XML at line")


def test_a_large_file_is_refused_unparsed() -> None:
    started = time.monotonic()

    refused(b"<" * 10 * 2**20, f"larger than {MAX_BYTES} bytes")
    assert time.monotonic() - started < 1


def test_deep_nesting_is_refused() -> None:
    deep = "<a>" * 200 + "</a>" * 200

    refused(f'<AppliedModelCard xmlns="{NAMESPACE}">{deep}</AppliedModelCard>'.encode(), "8 deep")
    refused(("<a>" * 5000 + "</a>" * 5000).encode(), "not well-formed|8 deep")


def test_many_elements_are_refused() -> None:
    content = good().replace("<Keyword>CHEST</Keyword>", "<Keyword>x</Keyword>" * 20_000)

    refused(content.encode(), "more than 5000 elements")


def test_a_long_text_is_refused() -> None:
    refused(good().replace("Chest X", "x" * 60_000).encode(), "ModelName has more than 50000")


@pytest.mark.parametrize(
    "root",
    [
        "<AppliedModelCard/>",
        '<AppliedModelCard xmlns="https://mc.chai.org/v9.9/schema.xsd"/>',
        f'<Other xmlns="{NAMESPACE}"/>',
        "<html/>",
    ],
)
def test_another_namespace_or_root_is_refused(root: str) -> None:
    refused(root.encode(), "its root is not")


@pytest.mark.parametrize("content", [b"", b"no xml", b"PK\x03\x04", b"%PDF-1.7", b"{}"])
def test_what_is_no_xml_is_refused(content: bytes) -> None:
    refused(content, "not well-formed")


def test_other_encodings_are_refused_also_when_the_file_says_they_are_ours() -> None:
    refused(good().encode("utf-16"), "not UTF-8")
    refused("<a>\u4e2d</a>".encode("big5"), "not UTF-8")
    seven = '<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE x+AD4-<a/>'
    refused(seven.encode(), "not well-formed")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_leads_to_anything_but_a_card_or_a_coded_refusal(data: st.DataObject) -> None:
    content = bytearray(good().encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.sampled_from(b"<>&;/![]\"'\x00\x80 =x?-"))

    with suppress(ImportRefusedError, ImportInvalidError):
        assert read_chai(bytes(content)).card.version is Version.V0_2


def test_script_in_text_stays_text() -> None:
    script = "&lt;script&gt;alert(1)&lt;/script&gt;"
    imported = read_chai(good().replace("Chest X", script).encode())

    assert imported.card.texts["BasicInfo/ModelName"] == "<script>alert(1)</script>"


def test_an_element_inside_text_is_refused_with_its_line() -> None:
    with pytest.raises(ImportInvalidError, match=r"line 4: Element 'ModelName'"):
        read_chai(good().replace("Chest X", "Chest <script>x()</script>").encode())


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("<ModelName>Chest X</ModelName>", "", "ModelName"),
        ("<BasicInfo>", "<BasicInfo><Extra>1</Extra>", "Extra"),
        ("<BasicInfo>", '<BasicInfo onload="x()">', "onload"),
        ("<ReleaseDate>", "<ReleaseDate/><ReleaseDate>", "ReleaseDate"),
    ],
)
def test_what_breaks_the_schema_is_named(old: str, new: str, named: str) -> None:
    with pytest.raises(ImportInvalidError, match=named):
        read_chai(good().replace(old, new, 1).encode())


def test_comments_and_instructions_are_dropped() -> None:
    content = good().replace("Chest X", "Chest<!-- <!-x --><?php evil() ?> X")

    assert read_chai(content.encode()).card.texts["BasicInfo/ModelName"] == "Chest X"


def test_no_schema_is_fetched_from_where_the_file_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    located = (
        f'xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{NAMESPACE} http://127.0.0.1:9/schema.xsd"'
    )

    imported = read_chai(good().replace(f'xmlns="{NAMESPACE}"', located).encode())
    assert imported.card.texts["BasicInfo/ModelName"] == "Chest X"


def test_a_signature_is_said_to_be_unverified_and_not_looked_into() -> None:
    signature = f'<s:Signature xmlns:s="{SIGNATURE}"><s:Any x="1"/></s:Signature>'
    content = good().replace("</AppliedModelCard>", f"{signature}</AppliedModelCard>")

    imported = read_chai(content.encode())

    assert imported.signature_present
    assert imported.as_json("en")["signature"] == "present, not verified"
    assert not any("Signature" in path for path in imported.card.texts)
