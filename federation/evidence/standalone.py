#!/usr/bin/env python3
"""Verify an evidence bundle: this file, Python 3.11 and the `cryptography` package do it alone.

    python3 verify.py BUNDLE.zip --root sha256:... [--checkpoint FILE] [--witness NAME=KEY.pub]
                      [--model FILE]

It opens no connection and writes nothing. Exit code 0 only when all holds; else the first
item that does not is named. `--root` is the fingerprint of the register's key, got by another
way than the bundle: without it a bundle is only shown to be whole. `--checkpoint` is a state
of the register's log that you kept, `--witness` who must have co-signed the log, `--model` the
weights that you have.

Who can change a bundle can change the verifier in it: compare this file's SHA-256 with what the
register publishes, or use `trifed evidence verify`, the same checks written a second time.
 1. The zip file: stored members in order, no byte between them, no link, path or bomb.
 2. pki/root.pem signed itself, is the root you trust, and signed manifest.json, which lists
    every other member with its SHA-256.
 3. The record: signed by the root, about this entry and model.
 4. The log: its signed state; the record is in it; it grew from the state that the record was
    registered under (RFC 6962) and from yours; your witnesses co-signed it (C2SP).
 5. Certificates, all issued by the root, and the list of those revoked since; what the
    register's audit trail says of the log's size at a time.
 6. Earlier versions, what the register recorded of this one, and who signed it off.
 7. Every statement: in the log; by a key of that site for that purpose, valid by then; about
    this study and run.
 8. The record's figures: patients, metrics, privacy, data, models as the sites signed them.
 9. The weights, where included: those the record names and the sites evaluated; their
    OpenSSF signature, where included: by a key that the root vouches for, of the file that
    the record names; weights that you have. What dossier.json lists.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes as digests
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey as Key

ROOT, CHAIN, REVOKED = "pki/root.pem", "pki/chain.pem", "pki/revocations.pem"
MANIFEST, SIGNED_MANIFEST, DOSSIER = "manifest.json", "manifest.dsse.json", "dossier.json"
CHECKPOINT, REGISTERED, GROWTH = "log/checkpoint", "log/registered", "log/consistency.json"
RECORD, MODEL = "items/record.json", "model.safetensors"
MODEL_SIGNATURE, WEIGHTS_KEY = "model.sig", "pki/weights-key.json"
MEDIA, STATEMENT = "application/vnd.in-toto+json", "https://in-toto.io/Statement/v1"
SIGNERS = {"proposal": "centre", "training-run": "centre", "approval": "officer", "seal": "officer"}
SIGNERS |= dict.fromkeys(["dataset-card", "update", "evaluation", "ledger"], "node")
SIGNERS |= dict.fromkeys(["disjointness", "audit-trail", "outcomes"], "centre")
OF_RUN = {"update", "evaluation", "ledger", "training-run"}
OF_STUDY = {"update", "evaluation", "training-run", "approval", "proposal"}
OWNER = re.compile(
    "trifed://person/.*|trifed://key/(-|[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?)/(centre|node|officer)"
)
COMPARED = ("epsilon", "delta", "noise_multiplier", "clip_norm", "sample_rate")
NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,120}/){0,3}[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
END = 253_402_300_800  # seconds to the year 10000, which no calendar here has
SIZE = re.compile("0|[1-9][0-9]{0,15}")
LINE = re.compile("— ([^ +]+) ([A-Za-z0-9+/]+={0,2})")
# fmt: off
BROKEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError,
          StopIteration, struct.error, InvalidSignature, UnsupportedAlgorithm,
          x509.ExtensionNotFound)
WORDS = {
    "unreadable": ("it is not a readable zip file", "不是可讀取的 zip 檔"),
    "members": ("its list of members is not as the register writes it", "成員清單的形式不符"),
    "name": ("a member's name is not allowed", "成員名稱不合規定"),
    "gap": ("bytes between its members were changed", "成員之間的位元組遭更動"),
    "missing": ("it is missing", "缺少此項"),
    "extra": ("the manifest does not list it", "清單未列出此項"),
    "large": ("it is too large", "檔案過大"),
    "changed": ("its bytes were changed", "內容遭更動"),
    "form": ("it does not have the agreed form", "格式不符約定"),
    "signature": ("it is not signed by the key that must sign it", "並非由應簽署的金鑰簽署"),
    "not-yours": ("it is not the trust root that you named", "與您指定的信任根不符"),
    "not-signed": ("it is not what was signed", "與所簽署的內容不同"),
    "not-named": ("it is not the one that the record names", "不是紀錄所指的那一份"),
    "other-entry": ("it is about another entry", "屬於另一筆登錄"),
    "other-run": ("it is about another site, study or run", "屬於另一院所、研究或執行"),
    "sequence": ("what came before it is missing", "缺少其先前的內容"),
    "proof": ("its proof does not lead to the log's root", "證明無法導向紀錄簿的根"),
    "forked": ("the log does not contain what it contained before", "紀錄簿未包含其先前的內容"),
    "unproved": ("nothing proves it to be the log of your checkpoint", "無從證明與您的檢查點相符"),
    "witness": ("a witness that you named did not co-sign it", "您指定的見證者未共同簽署"),
    "no-certificate": ("the trust root certified no such key", "信任根未為此金鑰簽發憑證"),
    "wrong-role": ("its signer may not sign this for this site", "簽署者無權代表該院簽署此項"),
    "not-valid-then": ("nothing shows that its key was valid by then", "無法證明金鑰當時有效"),
    "figure": ("it is not what the site signed", "與該院所簽署的內容不符"),
    "not-evidence": ("it does not list the evidence that is here", "未如實列出此處的證據"),
}
UNNAMED = ("This only shows that the bundle is whole: name the register's key with --root.\n",
           "僅能證明證據包完整;請以 --root 指定登錄系統的金鑰。\n")
# fmt: on


class Refused(Exception):
    """An item that does not hold, and which of WORDS says why."""


def must(holds: object, item: str, reason: str) -> None:
    """Refuse the item unless it holds."""
    if not holds:
        raise Refused(item, reason)


def need(holds: object) -> None:
    """Break off inside a check, which then names its item."""
    if not holds:
        raise ValueError


def parse(content: bytes) -> Any:
    """Return the JSON value; no key twice, no NaN, no number beyond 2^53, no deep nesting."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len(dict(pairs)) == len(pairs))
        return dict(pairs)

    def limit(value: Any, depth: int) -> None:
        need(depth <= 64)
        if isinstance(value, float):
            need(abs(value) < float("inf") and not 2**53 - 1 < abs(value) < 1e21)
        elif isinstance(value, int):
            need(abs(value) <= 2**53 - 1)
        elif isinstance(value, list | dict):
            for item in value.values() if isinstance(value, dict) else value:
                limit(item, depth + 1)

    value = json.loads(content.decode(), object_pairs_hook=unique, parse_constant=float)
    limit(value, 0)
    return value


def canonical(value: Any) -> bytes:
    """Return the one spelling of a JSON value (RFC 8785)."""

    def number(value: float) -> str:  # as ECMAScript writes it
        sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
        text, point = "".join(map(str, digits)), len(digits) + int(exponent)
        if len(text) <= point <= 21:
            text += "0" * (point - len(text))
        elif 0 < point <= 21:
            text = f"{text[:point]}.{text[point:]}"
        elif -6 < point <= 0:
            text = "0." + "0" * -point + text
        else:
            text = f"{text[0]}{'.' if text[1:] else ''}{text[1:]}e{point - 1:+d}"
        return "-" * sign + text if value else "0"

    def spelled(value: Any) -> str:
        if isinstance(value, dict):
            keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
            return "{" + ",".join(f"{spelled(key)}:{spelled(value[key])}" for key in keys) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(spelled, value)) + "]"
        return number(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)

    return spelled(value).encode()


class Archive:
    """The members of a zip file that has exactly the form in which the register writes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.at = file, dict[str, tuple[int, int, int]]()
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 22))
        end = file.read()
        must(len(end) == 22 and end[:4] == b"PK\5\6", "archive", "unreadable")
        count, length, start = struct.unpack("<10xH2L2x", end)
        same = end == struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, length, start, 0)
        must(same and start + length + 22 == size, "archive", "gap")
        must(0 < count <= 20_000 and length <= 20_000 * 600, "archive", "members")
        file.seek(start)
        self._list(file.read(length), count, start)
        for name, (begin, size, crc) in self.at.items():
            head = self._head(b"PK\3\4", name, size, crc) + name.encode()
            file.seek(begin - len(head))
            must(file.read(len(head)) == head, "archive", "gap")

    @staticmethod
    def _head(mark: bytes, name: str, size: int, crc: int) -> bytes:
        return mark + struct.pack("<5H3L2H", 20, 0, 0, 0, 33, crc, size, size, len(name), 0)

    def _list(self, listed: bytes, count: int, end: int) -> None:
        at, begin, before = 0, 0, ""
        for _ in range(count):
            must(len(listed) - at >= 46, "archive", "members")
            crc, size, length = struct.unpack_from("<16xL4xLH", listed, at)
            name = listed[at + 46 : at + 46 + length].decode("latin-1")
            must(NAME.fullmatch(name), "archive", "name")
            line = self._head(b"PK\1\2\x14\3", name, size, crc)
            line += struct.pack("<3H2L", 0, 0, 0, 0o100644 << 16, begin) + name.encode()
            must(listed[at : at + len(line)] == line and name > before, "archive", "members")
            self.at[name] = (begin + 30 + length, size, crc)
            at, begin, before = at + len(line), begin + 30 + length + size, name
        must(at == len(listed) and begin == end, "archive", "gap")

    def pieces(self, name: str) -> Iterator[bytes]:
        """Return a member's bytes, a mebibyte at a time."""
        begin, left, _ = self.at[name]
        self.file.seek(begin)
        while left:
            piece = self.file.read(min(left, 2**20))
            must(piece, name, "changed")
            left -= len(piece)
            yield piece

    def read(self, name: str) -> bytes:
        """Return a member's bytes, at most 4 MiB."""
        must(name in self.at, name, "missing")
        must(self.at[name][1] <= 4 * 2**20, name, "large")
        return b"".join(self.pieces(name))

    def digest(self, name: str) -> str:
        """Return a member's SHA-256."""
        found, crc = hashlib.sha256(), 0
        for piece in self.pieces(name):
            found.update(piece)
            crc = zlib.crc32(piece, crc)
        must(crc == self.at[name][2], name, "changed")
        return "sha256:" + found.hexdigest()

    def weights(self) -> str | None:
        """Return the SHA-256 over the tensors as sites get them; None if their order is unsaid."""
        begin, size, _ = self.at[MODEL]
        self.file.seek(begin)
        length = int.from_bytes(self.file.read(8), "little")
        need(length <= min(size, 2**24))
        header, found = parse(self.file.read(length)), hashlib.sha256()
        told = header.get("__metadata__", {}).get("trifed-manifest")
        listed = parse(told.encode()) if told else []
        names = [name for name, _ in listed]
        need(isinstance(listed, list) and len(set(names)) == len(names))
        for name in names:
            start, end = header[name]["data_offsets"]
            need(0 <= start <= end <= size - 8 - length)
            self.file.seek(begin + 8 + length + start)
            found.update(self.file.read(end - start))
        return "sha256:" + found.hexdigest() if told else None


def sha256(content: bytes) -> str:
    """Return the content id."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """Return the content id of a file."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def keyid(key: Key) -> str:
    """Return a public key's id and fingerprint: the SHA-256 of its SubjectPublicKeyInfo."""
    return sha256(key.public_bytes(forms.Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo))


def key_of(certificate: x509.Certificate) -> Key:
    """Return the key that a certificate is for."""
    key = certificate.public_key()
    if not isinstance(key, Key):
        raise TypeError
    return key


def unbase64(text: str) -> bytes:
    """Return the bytes of a base64 text in its one spelling."""
    content = base64.b64decode(text, validate=True)
    need(base64.b64encode(content).decode() == text)
    return content


def moment(text: str) -> datetime:
    """Return the time that a record says."""
    need(re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", text))
    return datetime.fromisoformat(text)


def signed(content: bytes, key: Key, kind: str) -> tuple[Any, dict[str, str]]:
    """Return predicate and subjects of the statement that `key` signed (DSSE, in-toto v1)."""
    need(len(content) <= 2**20)
    value = parse(content)
    text, mark = value["payload"], value["signatures"][0]["sig"]
    signatures = [{"keyid": keyid(key), "sig": mark}]
    need(content == canonical({"payload": text, "payloadType": MEDIA, "signatures": signatures}))
    payload = unbase64(text)
    pae = f"DSSEv1 {len(MEDIA)} {MEDIA} {len(payload)} ".encode() + payload
    key.verify(unbase64(mark), pae)
    said = parse(payload)
    subjects = {one["name"]: "sha256:" + one["digest"]["sha256"] for one in said["subject"]}
    need(all(name and re.fullmatch("sha256:[0-9a-f]{64}", d) for name, d in subjects.items()))
    again = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": d[7:]}} for name, d in subjects.items()],
        "predicateType": f"urn:trifed:predicate:{kind}:v1",
        "predicate": said["predicate"],
    }
    need(subjects and isinstance(said["predicate"], dict) and canonical(again) == payload)
    return said["predicate"], subjects


def hashes(path: list[str]) -> list[bytes]:
    """Return the steps of a proof."""
    need(isinstance(path, list) and len(path) <= 128)
    need(all(re.fullmatch("[0-9a-f]{64}", step) for step in path))
    return [bytes.fromhex(step) for step in path]


def walk(place: int, last: int, path: list[bytes], *found: bytes) -> tuple[bytes, ...]:
    """Return the roots that a proof leads to (RFC 9162, 2.1.3.2 and 2.1.4.2)."""
    for step in path:
        need(last)
        if place % 2 or place == last:
            found = tuple(hashlib.sha256(b"\1" + step + one).digest() for one in found)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            found = (*found[:-1], hashlib.sha256(b"\1" + found[-1] + step).digest())
        place, last = place // 2, last // 2
    need(last == 0)
    return found


def included(proof: Any, envelope: bytes, size: int, root: bytes) -> int:
    """Return the place in the log at which the proof shows the envelope to be."""
    index, leaf = proof["index"], hashlib.sha256(b"\0" + envelope).digest()
    need(set(proof) == {"index", "size", "leaf", "path"} and proof["leaf"] == leaf.hex())
    need(proof["size"] == size and isinstance(index, int) and 0 <= index < size)
    need(walk(index, size - 1, hashes(proof["path"]), leaf) == (root,))
    return int(index)


def grown(old: tuple[int, bytes], new: tuple[int, bytes], path: list[str]) -> None:
    """Break off unless the log with state `old` grew to state `new`; a state is (size, root)."""
    need(old[0] <= new[0])
    if old[0] in (0, new[0]):
        need(old[0] == 0 or old == new)
        return
    place, last = old[0] - 1, new[0] - 1
    while place % 2:
        place, last = place // 2, last // 2
    first, *rest = [old[1], *hashes(path)] if place == 0 else hashes(path)
    need(walk(place, last, rest, first, first) == (old[1], new[1]))


def parts(note: str, name: str, key: Key, kind: bytes) -> tuple[str, list[bytes]]:
    """Return the text of a C2SP signed note, and all that name and key signed it with."""
    text, blank, block = note.rpartition("\n\n")
    need(len(note) <= 16_384 and blank and block.endswith("\n"))
    raw = key.public_bytes(forms.Encoding.Raw, forms.PublicFormat.Raw)
    hint = hashlib.sha256(name.encode() + b"\n" + kind + raw).digest()[:4]
    lines = [(m[1], unbase64(m[2])) for m in map(LINE.fullmatch, block[:-1].split("\n")) if m]
    need(len(lines) == block.count("\n"))
    found = [mark[4:] for n, mark in lines if n == name and mark[:4] == hint]
    need(found)
    return text + "\n", found


def state(note: str, key: Key) -> tuple[int, bytes]:
    """Return size and root of the log that `key` signed (C2SP checkpoint)."""
    origin = f"trifed/{keyid(key)[7:23]}"
    text, marks = parts(note, origin, key, b"\1")
    key.verify(marks[0], text.encode())
    said, size, root = text[:-1].split("\n")
    need(said == origin and SIZE.fullmatch(size) and len(unbase64(root)) == 32)
    return int(size), unbase64(root)


def cosigned(note: str, name: str, key: Key) -> None:
    """Break off unless the witness of that name and key co-signed the note (cosignature/v1)."""
    text, marks = parts(note, name, key, b"\4")
    for mark in marks:
        time = int.from_bytes(mark[:8], "big")
        key.verify(mark[8:], f"cosignature/v1\ntime {time}\n{text}".encode())
        need(time < END)


def dated(content: bytes, key: Key) -> tuple[int, datetime]:
    """Return the last place that the log had at a time, by an event of the audit trail."""
    said = parse(content)
    event, mark = said["event"], bytes.fromhex(said["signature"])
    size, at = event["details"]["log_size"], datetime.fromisoformat(event["at"])
    need(canonical({"event": event, "signature": said["signature"]}) == content)
    need(re.fullmatch("[0-9]{1,16}", size) and at.tzinfo is not None)
    key.verify(mark, b"trifed.registry-audit/1\n" + canonical(event))
    return int(size) - 1, at


def signed_weights(content: bytes, pem: bytes) -> str:
    """Return the SHA-256 of the one file that the P-256 key signed (OpenSSF model-signing 1.0)."""
    need(len(content) <= 64 * 1024)
    said = parse(content)
    need(said["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json")
    need("sha256:" + said["verificationMaterial"]["publicKey"]["hint"] == sha256(pem))
    envelope, key = said["dsseEnvelope"], forms.load_pem_public_key(pem)
    (mark,) = envelope["signatures"]
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError
    need(key.curve.name == "secp256r1" and envelope["payloadType"] == MEDIA)
    payload = base64.b64decode(envelope["payload"], validate=True)
    pae = f"DSSEv1 {len(MEDIA)} {MEDIA} {len(payload)} ".encode() + payload
    key.verify(base64.b64decode(mark["sig"], validate=True), pae, ec.ECDSA(digests.SHA256()))
    need(len(payload) <= 64 * 1024)
    about = parse(payload)
    need(about["_type"] == STATEMENT)
    need(about["predicateType"] == "https://model_signing/signature/v1.0")
    form, (file,) = about["predicate"]["serialization"], about["predicate"]["resources"]
    need((form["method"], form["hash_type"]) == ("files", "sha256"))
    need((file["algorithm"], file["name"]) == ("sha256", "."))
    (subject,) = about["subject"]
    need("sha256:" + subject["digest"]["sha256"] == sha256(bytes.fromhex(file["digest"])))
    return f"sha256:{file['digest']}"


def figures(record: Any, said: list[Any]) -> Iterator[tuple[str, bool]]:
    """Return each figure's place in the record, and whether it is what its site signed."""
    privacy = {one["site"]: one for one in record["privacy"]}
    sites = sorted(part["site"] for part in record["participants"])
    yield "participants", len(set(sites)) == len(sites)
    yield "privacy", sorted(one["site"] for one in record["privacy"]) == sites
    for part in sorted(record["participants"], key=lambda part: part["site"]):
        site, stated = part["site"], privacy.get(part["site"], {})
        mine = sorted((one for one in said if one["site"] == site), key=order)
        trained, approved = (
            [one["predicate"] for one in mine if one["kind"] == kind]
            for kind in ("update", "approval")
        )
        done = {one.get("round") for one in trained}
        yield f"participants.{site}.signed", bool(trained)
        yield f"participants.{site}.rounds", len(done) <= part["rounds"] <= record["rounds"]["done"]
        for report in [one["report"] for one in trained[-1:]]:
            count = report.get("patients")
            yield f"participants.{site}.patients", part["patients"] in (count, None)
            same = report.get("dataset_digest") == part["dataset_digest"]
            yield f"participants.{site}.dataset_digest", same
            yield f"privacy.{site}.signed", "epsilon" in report or "epsilon" not in stated
            for name in COMPARED:
                value = stated.get(name)
                yield f"privacy.{site}.{name}", report.get(name, value) == value
        yield f"approvals.{site}", bool(approved)
        for one in approved:
            allowed, recipe = one.get("epsilon"), record["recipe"]["digest"]
            yield f"privacy.{site}.approved", allowed is None or stated.get("epsilon", 0) <= allowed
            yield f"recipe.{site}", one.get("recipe_digest", recipe) == recipe
        yield f"books.{site}", one_book([one["predicate"].get("heads") for one in mine])
    for site in sorted({*sites, *(one["site"] for one in record["evaluations"])}):
        listed = [one for one in record["evaluations"] if one["site"] == site]
        judged = [one for one in said if (one["site"], one["kind"]) == (site, "evaluation")]
        is_signed = len(metrics(listed)) == len(listed) and bool(judged or not listed)
        yield f"evaluations.{site}.signed", is_signed
        for report in [one["predicate"]["report"] for one in sorted(judged, key=order)[-1:]]:
            yield f"evaluations.{site}", metrics(listed) == metrics(report.get("metrics") or [])
    seen: dict[Any, str] = {}
    for one in said:
        number = one["predicate"].get("round")
        digest = one["subjects"].get(f"model/{record['run']}/{number}")
        if digest is not None:
            same = seen.setdefault((one["kind"], number), digest) == digest
            yield f"models.{one['kind']}.{number}", same
    for one in record["pooled"]:
        counts = [each["n"] for each in record["evaluations"] if each["name"] == one["name"]]
        yield f"pooled.{one['name']}", one["n"] == sum(counts)


def judged(record: Any, said: list[Any]) -> set[str]:
    """Return the models that sites evaluated after the last round, by their digests."""
    name = f"model/{record['run']}/{record['rounds']['done']}"
    last = [one["subjects"].get(name) for one in said if one["kind"] == "evaluation"]
    return set(filter(None, last))


def order(one: Any) -> tuple[int, bool]:
    """Return what statements are sorted by: a round's evaluation follows its training."""
    return int(one["predicate"].get("round") or 0), one["kind"] == "evaluation"


def metrics(listed: list[Any]) -> dict[str, Any]:
    """Return a site's metrics by name."""
    return {one["name"]: [one.get(key) for key in ("value", "low", "high", "n")] for one in listed}


def one_book(heads: list[Any]) -> bool:
    """Say whether a site's privacy book and audit log only grew from statement to statement."""
    before: dict[Any, tuple[int, str]] = {}
    for head in filter(None, heads):
        for part, count in (("ledger", "entries"), ("audit", "lines")):
            place, now = (head.get("era", 0), part), (head[part][count], head[part]["head"])
            earlier = before.get(place, now)
            if now[0] < earlier[0] or (now[0] == earlier[0] and now[1] != earlier[1]):
                return False
            before[place] = now
    return True


def own_move(said: Any, given: Any) -> tuple[str, str, Key, datetime, dict[str, Any]]:
    """Return of a person's signature: envelope, owner, key, time, and what it must say."""
    names = ("noun", "id", "revision", "digest", "move")
    before = (said["noun"], said["id"], said["revision"] - 1, said["previous"], said["action"])
    wanted = dict(zip(names, before, strict=True))
    if said["noun"] == "sign-off":
        wanted = {name: said["body"][name] for name in names}
    who, key = given["author"], Key.from_public_bytes(bytes.fromhex(given["key"]))
    uri, at = f"trifed://person/{who['person']}", moment(given["at"])
    return given["envelope"], uri, key, at, wanted | {"role": who["role"]}


class Bundle:
    """What is known of a bundle while it is verified, in the order of the list at the top."""

    def __init__(self, archive: Archive, wanted: argparse.Namespace) -> None:
        self.archive, self.wanted, self.checked = archive, wanted, 0
        self.certified: dict[str, dict[str, x509.Certificate]] = {}
        self.revoked: dict[int, datetime] = {}
        self.dated: list[tuple[int, datetime]] = []
        self.evidence: dict[str, dict[str, Any]] = {}

    @contextlib.contextmanager
    def check(self, item: str, reason: str) -> Iterator[None]:
        """Count one check; whatever breaks inside is this item's fault, for this reason."""
        try:
            yield
        except BROKEN as error:
            raise Refused(item, reason) from error
        self.checked += 1

    def verify(self) -> None:
        """Raise `Refused` with the first item that does not hold."""
        self.root_and_manifest()
        record = self.record = self.said("record", "model-version")
        with self.check(RECORD, "form"):
            need(record["schema"] == "trifed.model-version/1")
            created, self.model = moment(record["created"]), record["model"]["sha256"]
            self.entry = f"{record['id']}.v{record['version']}"
        about = self.subjects == {f"model/{self.entry}": self.model}
        must(about, "dsse/record.json", "other-entry")
        must(self.manifest["entry"] == self.entry, MANIFEST, "other-entry")
        self.log()
        self.dated.append((self.place("record"), created))
        self.certificates()
        self.dates()
        self.earlier_versions()
        self.revisions()
        said = [self.statement(n, one) for n, one in enumerate(record["statements"], start=1)]
        with self.check(RECORD, "figure"):
            for field, holds in figures(record, said):
                must(holds, f"{RECORD}#{field}", "figure")
        if MODEL in self.archive.at:
            with self.check(MODEL, "not-named"):
                need(self.archive.digest(MODEL) == self.model)
                need(self.archive.at[MODEL][1] == record["model"]["size_bytes"])
            with self.check(MODEL, "figure"):
                last = judged(record, said)
                need(not last or last == {self.archive.weights()})
        if MODEL_SIGNATURE in self.archive.at or WEIGHTS_KEY in self.archive.at:
            self.weights_signature()
        if self.wanted.model is not None:
            with self.check("--model", "not-named"):
                need(self.wanted.model == self.model)
        content = self.archive.read(DOSSIER)
        with self.check(DOSSIER, "form"):
            listed = [parse(content)[key] for key in ("entry", "model", "evidence")]
        evidence = [self.evidence[name] for name in sorted(self.evidence)]
        must(listed == [self.entry, self.model, evidence], DOSSIER, "not-evidence")

    def weights_signature(self) -> None:
        """Check that the root vouches for the key that signed the file that the record names."""
        content = self.archive.read(WEIGHTS_KEY)
        with self.check(WEIGHTS_KEY, "signature"):
            predicate, subjects = signed(content, self.key, "weights-key")
            pem = predicate["pem"].encode()
            need(subjects == {"key/weights": sha256(pem)})
        content = self.archive.read(MODEL_SIGNATURE)
        with self.check(MODEL_SIGNATURE, "signature"):
            digest = signed_weights(content, pem)
        must(digest == self.model, MODEL_SIGNATURE, "not-named")

    def root_and_manifest(self) -> None:
        """Take the root from the bundle, hold it against the reader's, and check every byte."""
        archive = self.archive
        pem = archive.read(ROOT)
        with self.check(ROOT, "form"):
            self.issuer = x509.load_pem_x509_certificate(pem)
            self.issuer.verify_directly_issued_by(self.issuer)
            self.key = key_of(self.issuer)
            need(self.issuer.public_bytes(forms.Encoding.PEM) == pem)
        must(self.wanted.root in (None, keyid(self.key)), ROOT, "not-yours")
        content = archive.read(SIGNED_MANIFEST)
        with self.check(SIGNED_MANIFEST, "signature"):
            _, subjects = signed(content, self.key, "bundle")
        must(MANIFEST in archive.at, MANIFEST, "missing")
        must(subjects == {MANIFEST: archive.digest(MANIFEST)}, MANIFEST, "changed")
        content = archive.read(MANIFEST)
        with self.check(MANIFEST, "form"):
            self.manifest = parse(content)
            need(set(self.manifest) == {"schema", "entry", "members"})
            need(self.manifest["schema"] == "trifed.bundle/2")
            members = dict(self.manifest["members"].items())
            need(all(map(NAME.fullmatch, members)))
        for name in archive.at:
            must(name in (MANIFEST, SIGNED_MANIFEST) or name in members, name, "extra")
        for name, digest in sorted(members.items()):
            must(name in archive.at, name, "missing")
            with self.check(name, "changed"):
                need(archive.digest(name) == digest)

    def said(self, stem: str, kind: str, key: Key | None = None) -> Any:
        """Return what `key` (else the root) signed in dsse/STEM.json; items/ must say the same."""
        name, item, signer = f"dsse/{stem}.json", f"items/{stem}.json", key or self.key
        content = self.archive.read(name)
        with self.check(name, "signature"):
            predicate, self.subjects = signed(content, signer, kind)
        must(self.archive.read(item) == canonical(predicate), item, "not-signed")
        signed_by, digest = keyid(signer), sha256(content)
        self.evidence[name] = {"file": name, "sha256": digest, "signed_by": signed_by}
        return predicate

    def place(self, stem: str) -> int:
        """Return where in the log the statement lies, proved."""
        name = f"log/inclusion/{stem}.json"
        content = self.archive.read(name)
        with self.check(name, "proof"):
            index = included(parse(content), self.archive.read(f"dsse/{stem}.json"), *self.state)
        self.evidence[f"dsse/{stem}.json"]["log_index"] = index
        return index

    def log(self) -> None:
        """Check the log's state, and that it grew from what it was for others."""
        notes, states = [], []
        for name in (CHECKPOINT, REGISTERED):
            content = self.archive.read(name)
            with self.check(name, "signature"):
                notes.append(content.decode())
                states.append(state(notes[-1], self.key))
        self.state, registered = states
        content = self.archive.read(GROWTH)
        with self.check(GROWTH, "forked"):
            proofs = self.proofs(content, notes[0])
            grown(registered, self.state, proofs.get(str(registered[0]), []))
        if self.wanted.checkpoint is not None:
            self.pinned(self.wanted.checkpoint, proofs)
        for name, key in self.wanted.witnesses:
            with self.check(CHECKPOINT, "witness"):
                cosigned(notes[0], name, key)

    @staticmethod
    def proofs(content: bytes, note: str | None = None) -> Any:
        """Return the proofs to a note, by the size they start from."""
        growth = parse(content)
        need(set(growth) == {"format", "checkpoint", "proofs"})
        need(growth["format"] == "trifed.growth/1" and note in (None, growth["checkpoint"]))
        proofs = growth["proofs"]
        need(len(proofs) <= 1000 and all(size != "0" and SIZE.fullmatch(size) for size in proofs))
        need(all(hashes(path) is not None for path in proofs.values()))
        return proofs

    def pinned(self, kept: bytes, proofs: Any) -> None:
        """Hold the log against a state that the reader kept: a note, or one with proofs to it."""
        with self.check(CHECKPOINT, "unproved"):
            mine = self.proofs(kept) if kept.startswith(b"{") else {}
            theirs = state(parse(kept)["checkpoint"] if mine else kept.decode(), self.key)
            is_older = theirs[0] <= self.state[0]
            old, new = (theirs, self.state) if is_older else (self.state, theirs)
            at_once = old[0] in (0, new[0])
            path = [] if at_once else (proofs if is_older else mine)[str(old[0])]
        with self.check(CHECKPOINT, "forked"):
            grown(old, new, path)

    def certificates(self) -> None:
        """Take whose key is whose, and since when a key is revoked."""
        chain, revoked = self.archive.read(CHAIN), self.archive.read(REVOKED)
        with self.check(CHAIN, "form"):
            first, *issued = x509.load_pem_x509_certificates(chain)
            pems = [one.public_bytes(forms.Encoding.PEM) for one in (first, *issued)]
            need(first == self.issuer and b"".join(pems) == chain)
            need(len({one.serial_number for one in issued}) == len(issued))
            for one in issued:
                one.verify_directly_issued_by(self.issuer)
                names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
                (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
                need(OWNER.fullmatch(uri))
                self.certified.setdefault(keyid(key_of(one)), {})[uri] = one
        with self.check(REVOKED, "form"):
            listed = x509.load_pem_x509_crl(revoked)
            need(listed.is_signature_valid(self.key))
            need(listed.public_bytes(forms.Encoding.PEM) == revoked)
            self.revoked = {one.serial_number: one.revocation_date_utc for one in listed}

    def dates(self) -> None:
        """Take when the log had a size, as the register's audit trail says."""
        number = 1
        while (name := f"log/dated/{number:05}.json") in self.archive.at:
            content = self.archive.read(name)
            with self.check(name, "signature"):
                self.dated.append(dated(content, self.key))
            number += 1

    def was_valid(self, certificate: x509.Certificate, at: datetime) -> bool:
        """Say whether what was signed by a time was signed while the key was valid."""
        revoked = self.revoked.get(certificate.serial_number)
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return since <= at < until and (revoked is None or at < revoked)

    def earlier_versions(self) -> None:
        """Follow the versions that this one corrects; each dates what was logged before it."""
        pointer, number = self.record["supersedes"], 0
        while pointer is not None:
            number += 1
            item = f"items/earlier-{number:05}.json"
            older = self.said(f"earlier-{number:05}", "model-version")
            with self.check(item, "form"):
                made, name = moment(older["created"]), f"{older['id']}.v{older['version']}"
                after = older["supersedes"]
            must(name == pointer, item, "other-entry")
            self.dated.append((self.place(f"earlier-{number:05}"), made))
            pointer = after

    def revisions(self) -> None:
        """Check what the register recorded since, revision by revision, and its signatures."""
        before: dict[Any, Any] = {}
        number = 1
        while f"dsse/register-{number:05}.json" in self.archive.at:
            item = f"items/register-{number:05}.json"
            said = self.said(f"register-{number:05}", "record")
            with self.check(item, "form"):
                thing, digest = (said["noun"], said["id"]), said["digest"]
                need(self.subjects == {f"record/{thing[0]}/{thing[1]}/{said['revision']}": digest})
                need(sha256(canonical(said["body"])) == digest)
                at, now = moment(said["at"]), (said["revision"], digest)
                given = [own_move(said, one) for one in said["signatures"] if one["envelope"]]
            follows = (now[0] - 1, said["previous"]) == before.get(thing, (0, None))
            must(follows, item, "sequence")
            must(thing[0] != "model-version" or thing[1] == self.entry, item, "other-entry")
            before[thing] = now
            self.dated.append((self.place(f"register-{number:05}"), at))
            for one in given:
                self.sign_off(*one)
            number += 1

    def sign_off(self, envelope: str, uri: str, key: Key, at: datetime, wanted: Any) -> None:
        """Check a person's own signature of a move that the register recorded."""
        stem = f"person-{envelope[7:39]}"
        move, name = self.said(stem, "sign-off", key), f"dsse/{stem}.json"
        must(self.evidence[name]["sha256"] == envelope, name, "not-named")
        same = {part: move.get(part) for part in wanted} == wanted
        must(same, f"items/{stem}.json", "other-entry")
        owner = self.certified.get(keyid(key), {}).get(uri)
        must(owner is None or self.was_valid(owner, at), name, "not-valid-then")
        self.place(stem)

    def statement(self, number: int, logged: Any) -> Any:
        """Check one statement of a site or the centre; return what it says."""
        site, kind = logged["site"], logged["kind"]
        stem = f"{number:05}-{site or 'centre'}-{kind}"
        name = f"dsse/{stem}.json"
        must(sha256(self.archive.read(name)) == logged["envelope_digest"], name, "not-named")
        owners = self.certified.get(logged["keyid"])
        must(owners, name, "no-certificate")
        owner = (owners or {}).get(f"trifed://key/{site or '-'}/{SIGNERS.get(kind)}")
        if owner is None:
            raise Refused(name, "wrong-role")
        said, study = self.said(stem, kind, key_of(owner)), self.record["study"]["digest"]
        must(site is None or said.get("site") == site, name, "other-run")
        must(kind != "approval" or said.get("decision") == "approved", name, "other-run")
        must(kind not in OF_RUN or said.get("run") == self.record["run"], name, "other-run")
        must(kind not in OF_STUDY or study in self.subjects.values(), name, "other-run")
        index = self.place(stem)
        must(index == logged["log_index"], f"log/inclusion/{stem}.json", "proof")
        known = any(i >= index and self.was_valid(owner, at) for i, at in self.dated)
        must(known, name, "not-valid-then")
        return {"site": site, "kind": kind, "predicate": said, "subjects": self.subjects}


def verified(file: IO[bytes], wanted: argparse.Namespace) -> dict[str, Any]:
    """Return the report on the bundle in an open file."""
    bundle = None
    try:
        bundle = Bundle(Archive(file), wanted)
        bundle.verify()
    except (Refused, *BROKEN) as error:  # what breaks outside a check lacks a field
        item, reason = error.args if isinstance(error, Refused) else (RECORD, "form")
        failure = {"item": item, "what": WORDS[reason][wanted.lang == "zh"]}
        checked = bundle.checked if bundle else 0
        return {"verified": False, "checked": checked, "failure": failure}
    found = {"verified": True, "checked": bundle.checked, "failure": None, "entry": bundle.entry}
    found |= {"model": bundle.model, "signed_by": keyid(bundle.key)}
    known, has_model = wanted.root is not None, MODEL in bundle.archive.at
    return found | {"key_known": known, "model_included": has_model}


def shown(value: Any) -> str:
    """Return what a bundle says in a form that cannot steer the reader's screen."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


def main() -> int:
    """Verify, say so, and return the exit code."""
    ask = argparse.ArgumentParser(description="Verify an evidence bundle offline.")
    ask.add_argument("bundle", type=Path)
    ask.add_argument("--root", help="fingerprint of the register's key, sha256:...")
    ask.add_argument("--checkpoint", type=Path, help="a state of the log that you kept")
    ask.add_argument("--model", type=Path, help="the weights that you have")
    ask.add_argument("--witness", action="append", default=[], help="NAME=FILE, its public key")
    ask.add_argument("--json", action="store_true")
    ask.add_argument("--lang", choices=["en", "zh"], default="en")
    wanted = ask.parse_args()
    if wanted.root is not None and not re.fullmatch("sha256:[0-9a-f]{64}", wanted.root):
        ask.error("--root takes sha256: and 64 hexadecimal digits")
    try:
        wanted.checkpoint = wanted.checkpoint and wanted.checkpoint.read_bytes()
        wanted.model = wanted.model and file_digest(wanted.model)
        named = [one.partition("=") for one in wanted.witness]
        keys = [forms.load_pem_public_key(Path(path).read_bytes()) for _, _, path in named]
        wanted.witnesses = [(name, key) for (name, _, _), key in zip(named, keys, strict=True)]
        with wanted.bundle.open("rb") as file:
            report = verified(file, wanted)
    except (OSError, ValueError) as error:
        ask.error(str(error))
    if wanted.json:
        print(json.dumps(report))
    elif report["verified"]:
        print("OK", *(shown(report[part]) for part in ("checked", "entry", "model", "signed_by")))
        print("" if wanted.root else UNNAMED[wanted.lang == "zh"], end="", file=sys.stderr)
    else:
        print(f"{shown(report['failure']['item'])}: {report['failure']['what']}", file=sys.stderr)
    return 0 if report["verified"] else 1


if __name__ == "__main__":
    sys.exit(main())
