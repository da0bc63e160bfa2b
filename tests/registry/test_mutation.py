"""Whatever is changed in a bundle, by whomever, both verifiers name it, and name the same."""

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from safetensors.numpy import save

import federation.evidence.standalone as standalone
import registry.bundle.writing as writing
import registry.models.checks as checks
from federation.domain.ids import Sha256, SiteId
from federation.errors.evidence import ExportUnsoundError
from federation.evidence.bundle import (
    CHAIN,
    CHECKPOINT,
    DOSSIER,
    GROWTH,
    MANIFEST,
    MODEL,
    RECORD,
    REGISTERED,
    REVOKED,
    ROOT,
    SIGNED_MANIFEST,
    statement_stem,
    verify_bundle,
)
from federation.evidence.canonical import canonical
from federation.evidence.certificates import (
    CertifiedKey,
    KeyOwner,
    certificates,
    revocations,
    root_certificate,
)
from federation.evidence.checkpoint import Checkpoint, sign_checkpoint
from federation.evidence.growth import Growth
from federation.evidence.inclusion import origin_of
from federation.evidence.keyring import KeyRole, KnownKey
from federation.evidence.model_version import Record
from federation.evidence.pinning import Expected
from federation.evidence.signing import sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.witness import Witness, cosign
from registry.bundle import export
from registry.evidence.service import prove_growth
from registry.models.service import Registrar
from registry.models.trust import RetiredKey
from registry.records.service import Records
from registry.records.statements import PersonKey, SignOff, sign_off
from tests.registry.builders import (
    NOW,
    SITES,
    STUDY_DIGEST,
    Centre,
    approval,
    candidate,
    candidate_of_study,
    evaluation,
    facts,
    make_centre,
    metric,
    update,
    with_clock,
)
from tests.registry.bundles import (
    ENTRY,
    Members,
    a_bundle,
    a_report,
    members_of,
    rebuilt,
    resigned,
    statements,
    verdict,
)
from tests.registry.record_builders import DEV, HAC, LAMP, RAI_A, Lamp, new_signer

ENTRY_RECORD = replace(LAMP, name="model-version")


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Centre:
    return make_centre(tmp_path_factory.mktemp("mutation") / "centre")


@pytest.fixture(scope="module")
def bundle(centre: Centre) -> Path:
    return a_bundle(centre, centre.folder)


@pytest.fixture
def members(bundle: Path) -> Members:
    return members_of(bundle)


def named(folder: Path, members: Members, expected: Expected | None = None) -> str | None:
    """The item that both verifiers name in an archive of these members."""
    return verdict(rebuilt(folder / "changed.zip", members), expected).item


# --- somebody on the way ------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    ["middle", *(pytest.param(one, marks=pytest.mark.slow) for one in ("first", "second", "last"))],
)
def test_a_flipped_byte_in_any_member_is_named(
    tmp_path: Path, members: Members, place: str
) -> None:
    for name, content in members.items():
        last = len(content) - 1
        at = {"first": 0, "second": min(1, last), "middle": last // 2, "last": last}[place]
        changed = bytearray(content)
        changed[at] ^= 1
        assert named(tmp_path, members | {name: bytes(changed)}) == name


def test_a_missing_member_is_named(tmp_path: Path, members: Members) -> None:
    for name in members:
        rest = {other: content for other, content in members.items() if other != name}
        assert named(tmp_path, rest) == name


def test_an_added_member_is_named(tmp_path: Path, members: Members) -> None:
    assert named(tmp_path, members | {"extra.txt": b"hello"}) == "extra.txt"


def test_two_members_that_changed_places_are_named(tmp_path: Path, members: Members) -> None:
    for one, other in (("README.en.md", "README.zh-TW.md"), ("verify.py", DOSSIER)):
        swapped = members | {one: members[other], other: members[one]}
        assert named(tmp_path, swapped) in (one, other)


def test_a_byte_flipped_where_it_lies_in_the_file_is_named(tmp_path: Path, bundle: Path) -> None:
    """Also where the zip's own checksum was not mended: every 1009th byte of the file."""
    content, path = bundle.read_bytes(), tmp_path / "changed.zip"
    for at in range(0, len(content), 1009):
        changed = bytearray(content)
        changed[at] ^= 0x10
        path.write_bytes(changed)
        assert verdict(path).item is not None, at


def test_no_byte_of_the_zip_files_own_structure_can_be_changed(
    tmp_path: Path, bundle: Path
) -> None:
    content, path = bundle.read_bytes(), tmp_path / "changed.zip"
    listed = content.index(b"PK\1\2")
    starts = [at for at in range(listed) if content.startswith(b"PK\3\4", at)]
    heads = [at + step for at in starts[:3] for step in range(30)]
    for at in [*heads, *range(listed, len(content), 7), *range(len(content) - 22, len(content))]:
        changed = bytearray(content)
        changed[at] ^= 1
        path.write_bytes(changed)
        assert verdict(path).item == "archive", at


@pytest.mark.parametrize("extra", [b"\0", b"more"])
def test_bytes_before_or_after_the_archive_are_noticed(
    tmp_path: Path, bundle: Path, extra: bytes
) -> None:
    content, path = bundle.read_bytes(), tmp_path / "longer.zip"
    for changed in (content + extra, extra + content, content[:-1], content[1:]):
        path.write_bytes(changed)
        assert verdict(path).item == "archive"


def test_a_bundle_under_another_root_is_not_the_registers(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    """Somebody makes a root of their own, signs the manifest again, and leaves the rest."""
    own = new_signer()
    forged = resigned(members | {ROOT: root_certificate(own)}, own)
    assert named(tmp_path, forged) == "dsse/record.json"
    assert named(tmp_path, forged, Expected(root=centre.signer.keyid)) == ROOT


# --- a centre that lies about what it holds -----------------------------------------------


def forged(
    tmp_path: Path, centre: Centre, members: Members, changes: Members, *, gone: str = ""
) -> str | None:
    """What is named when the centre changes members and signs the manifest again."""
    kept = {name: content for name, content in (members | changes).items() if name != gone}
    return named(tmp_path, resigned(kept, centre.signer))


def test_even_the_centre_cannot_change_what_was_signed_or_logged(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    first = statement_stem(1, Record.from_json(members[RECORD]).statements[0])
    other = statement_stem(2, Record.from_json(members[RECORD]).statements[1])
    swapped = {f"dsse/{first}.json": members[f"dsse/{other}.json"]}
    proof = json.loads(members["log/inclusion/record.json"])
    cases: dict[str, Members] = {
        RECORD: {RECORD: members[RECORD].replace(b"0.87", b"0.97")},
        f"items/{first}.json": {f"items/{first}.json": b"{}"},
        f"dsse/{first}.json": swapped,
        MODEL: {MODEL: b"another"},
        DOSSIER: {DOSSIER: members[DOSSIER].replace(b'"log_index":0', b'"log_index":1')},
        "log/inclusion/record.json": {"log/inclusion/record.json": canonical(proof | {"index": 0})},
        CHAIN: {CHAIN: members[ROOT] + members[ROOT]},
        REVOKED: {REVOKED: revocations([], new_signer(), at=NOW)},
        GROWTH: {GROWTH: canonical(Growth(members[REGISTERED].decode() + "x").as_json())},
        CHECKPOINT: {CHECKPOINT: b"trifed/0\n1\n\n"},
        REGISTERED: {REGISTERED: b"\xff"},
    }
    for item, changes in cases.items():
        assert forged(tmp_path, centre, members, changes) == item


def test_even_the_centre_cannot_leave_a_part_out(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    optional = {MODEL, "verify.py", "README.en.md", "README.zh-TW.md", "ro-crate-metadata.json"}
    needed = set(members) - optional - {MANIFEST, SIGNED_MANIFEST, "schemas/model-version-1.json"}
    for name in needed:
        assert forged(tmp_path, centre, members, {}, gone=name) == name


def test_the_manifest_of_another_entry_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    other = resigned(members, centre.signer, entry="TWAI-2026-00002-8.v0.1.0")
    assert named(tmp_path, other) == MANIFEST


def test_a_record_signed_for_another_version_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    said = json.loads(members[RECORD])
    subject = Subject("model/TWAI-2026-00001-4.v0.2.0", Sha256(said["model"]["sha256"]))
    envelope = sign_dsse(Statement((subject,), PredicateType.MODEL_VERSION, said), centre.signer)
    assert (
        forged(tmp_path, centre, members, {"dsse/record.json": envelope.encode()})
        == "dsse/record.json"
    )


def test_a_statement_of_another_kind_in_the_records_place_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    said = json.loads(members[RECORD])
    subject = Subject(f"model/{ENTRY}", Sha256(said["model"]["sha256"]))
    envelope = sign_dsse(Statement((subject,), PredicateType.TRAINING_RUN, said), centre.signer)
    changes = {"dsse/record.json": envelope.encode()}
    assert forged(tmp_path, centre, members, changes) == "dsse/record.json"


# --- the log ------------------------------------------------------------------------------


def test_a_log_cut_back_below_the_record_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    origin = origin_of(centre.signer.public_key)
    short = sign_checkpoint(Checkpoint(origin, 3, bytes(32)), centre.signer)
    changes = {CHECKPOINT: short.encode(), GROWTH: canonical(Growth(short).as_json())}
    assert forged(tmp_path, centre, members, changes) == GROWTH


def test_a_forked_log_is_named(tmp_path: Path, centre: Centre, members: Members) -> None:
    origin = origin_of(centre.signer.public_key)
    note = sign_checkpoint(Checkpoint(origin, 50, Sha256.of(b"x").encode()[:32]), centre.signer)
    changes = {CHECKPOINT: note.encode(), GROWTH: canonical(Growth(note).as_json())}
    assert forged(tmp_path, centre, members, changes) == GROWTH
    changes |= {REGISTERED: note.encode()}
    assert forged(tmp_path, centre, members, changes) == "log/inclusion/record.json"


def test_a_checkpoint_that_the_reader_kept_must_belong_to_the_log(
    tmp_path: Path, centre: Centre
) -> None:
    home = make_centre(tmp_path / "own")
    home.registrar.register(candidate_of_study(home, "ct-1"), actor="centre")
    with home.registrar.store.reading() as transaction:
        before = transaction.log.latest_checkpoint()
    path = a_bundle(home, tmp_path)
    same = members_of(path)[CHECKPOINT]
    home.registrar.register(candidate_of_study(home, "ct-2"), actor="centre")
    with home.registrar.store.reading() as transaction:
        after, size = transaction.log.latest_checkpoint(), transaction.log.size()
        steps = {old: prove_growth(transaction.log, old=old, new=size) for old in range(1, size)}
        found = {old: prove_growth(transaction.log, old=old, new=size - 1) for old in (1,)}
    assert before and after
    assert verdict(path, Expected(checkpoint=same)).verified
    assert verdict(path, Expected(checkpoint=before.encode())).verified
    grown = Growth(after, steps)
    assert verdict(path, Expected(checkpoint=grown.as_bytes())).verified
    refused = verdict(path, Expected(checkpoint=after.encode()))
    assert refused.what == "nothing proves it to be the log of your checkpoint"
    wrong = Growth(after, dict.fromkeys(steps, found[1]))
    forked = verdict(path, Expected(checkpoint=wrong.as_bytes()))
    assert forked.what == "the log does not contain what it contained before"


def test_a_malformed_record_that_the_centre_signed_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    said = json.loads(members[RECORD])
    subject = Subject(f"model/{ENTRY}", Sha256(said["model"]["sha256"]))
    for gone in ("schema", "created", "statements", "privacy", "supersedes", "pooled"):
        less = {name: value for name, value in said.items() if name != gone}
        statement = Statement((subject,), PredicateType.MODEL_VERSION, less)
        changes = {
            RECORD: canonical(less),
            "dsse/record.json": sign_dsse(statement, centre.signer).encode(),
        }
        path = rebuilt(tmp_path / "less.zip", resigned(members | changes, centre.signer))
        ours = verify_bundle(path).as_json()["failure"]
        with path.open("rb") as file:
            wanted = Namespace(root=None, checkpoint=None, witnesses=[], lang="en")
            alone = standalone.verified(file, wanted)["failure"]
        named_ = {failure["item"] for failure in (ours, alone)}  # type: ignore[index]
        assert named_ <= {RECORD, "log/inclusion/record.json"}, gone


def test_a_log_rewritten_since_the_readers_checkpoint_is_named(
    tmp_path: Path, bundle: Path, centre: Centre, members: Members
) -> None:
    """The same key signed another log of the same length, or of a length kept before."""
    size = int(members[CHECKPOINT].split(b"\n")[1])
    origin = origin_of(centre.signer.public_key)
    for kept, why in (
        (size, "the log does not contain what it contained before"),
        (size + 9, "nothing proves it to be the log of your checkpoint"),
    ):
        other = sign_checkpoint(Checkpoint(origin, kept, bytes(32)), centre.signer)
        found = verdict(bundle, Expected(checkpoint=other.encode()))
        assert (found.item, found.what) == (CHECKPOINT, why)


@pytest.mark.parametrize("content", [b"", b"{}", b"{", b"\xff", b"no note", b"[" * 5000])
def test_a_kept_file_that_is_no_checkpoint_proves_nothing(bundle: Path, content: bytes) -> None:
    assert verdict(bundle, Expected(checkpoint=content)).item == CHECKPOINT


def test_a_witness_that_the_reader_names_must_have_co_signed(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    signer = new_signer()
    witness = Witness("hualien-ai", signer.public_key)
    text = members[CHECKPOINT].decode().partition("\n\n")[0] + "\n"
    note = members[CHECKPOINT].decode() + cosign(text, witness="hualien-ai", signer=signer, at=NOW)
    growth = Growth(note).as_json()
    signed = resigned(
        members | {CHECKPOINT: note.encode(), GROWTH: canonical(growth)}, centre.signer
    )
    path = rebuilt(tmp_path / "cosigned.zip", signed)
    assert verdict(path, Expected(witnesses=(witness,))).verified
    other = Witness("hualien-ai", new_signer().public_key)
    for missing in (other, Witness("taipei-ai", signer.public_key)):
        found = verdict(path, Expected(witnesses=(witness, missing)))
        assert (found.item, found.what) == (
            CHECKPOINT,
            "a witness that you named did not co-sign it",
        )


# --- keys ---------------------------------------------------------------------------------


def certified(centre: Centre, changes: dict[str, dict[str, Any]]) -> list[CertifiedKey]:
    """The keys of all sites, some with other dates; `changes` by the key's name."""
    return [
        CertifiedKey(one.key, KeyOwner(one.site, one.role), **changes.get(one.name, {}))
        for site in SITES
        for one in keys_of(centre, site)
    ]


def keys_of(centre: Centre, site: str) -> list[KnownKey]:
    """The two keys of one site."""
    every = centre.keys()
    return [known for known in every if known.site == site]


def with_keys(centre: Centre, members: Members, keys: list[CertifiedKey]) -> Members:
    changes = {
        CHAIN: certificates(keys, centre.signer),
        REVOKED: revocations(keys, centre.signer, at=NOW),
    }
    return resigned(members | changes, centre.signer)


@pytest.mark.parametrize(
    ("dates", "holds"),
    [
        ({"until": NOW + timedelta(seconds=1)}, True),
        ({"until": NOW}, False),
        ({"until": NOW - timedelta(days=300)}, False),
        ({"since": NOW}, True),
        ({"since": NOW + timedelta(seconds=1)}, False),
        ({"revoked": NOW + timedelta(seconds=1)}, True),
        ({"revoked": NOW}, False),
        ({"revoked": NOW - timedelta(days=1)}, False),
    ],
)
def test_a_key_counts_for_what_was_logged_while_it_was_valid(
    tmp_path: Path, centre: Centre, members: Members, dates: dict[str, datetime], holds: bool
) -> None:
    keys = certified(centre, {f"{SITES[0]}-officer": dates})
    found = verdict(rebuilt(tmp_path / "keys.zip", with_keys(centre, members, keys)))
    assert found.verified is holds
    if not holds:
        assert found.item == f"dsse/00001-{SITES[0]}-approval.json"
        assert found.what == "nothing shows that its key was valid by then"


def test_a_key_without_a_certificate_counts_for_nothing(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    keys = [key for key in certified(centre, {}) if key.owner.site != SITES[1]]
    assert (
        named(tmp_path, with_keys(centre, members, keys)) == f"dsse/00004-{SITES[1]}-approval.json"
    )


@pytest.mark.parametrize(
    "owner",
    [
        KeyOwner(SiteId(SITES[0]), KeyRole.NODE),
        KeyOwner(SiteId(SITES[1]), KeyRole.OFFICER),
        KeyOwner(None, KeyRole.CENTRE),
        KeyOwner(person="somebody"),
    ],
)
def test_a_key_of_another_role_or_site_may_not_sign(
    tmp_path: Path, centre: Centre, members: Members, owner: KeyOwner
) -> None:
    keys = [
        replace(key, owner=owner)
        if (key.owner.site, key.owner.role) == (SITES[0], KeyRole.OFFICER)
        else key
        for key in certified(centre, {})
    ]
    found = verdict(rebuilt(tmp_path / "role.zip", with_keys(centre, members, keys)))
    assert found.item == f"dsse/00001-{SITES[0]}-approval.json"
    assert found.what == "its signer may not sign this for this site"


def test_certificates_of_another_issuer_are_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    other = new_signer()
    foreign = certificates(certified(centre, {}), other)
    mixed = members[ROOT] + foreign.removeprefix(root_certificate(other))
    assert forged(tmp_path, centre, members, {CHAIN: mixed}) == CHAIN
    assert forged(tmp_path, centre, members, {CHAIN: foreign}) == CHAIN


def test_what_a_site_signed_before_it_was_revoked_holds_in_a_later_correction(
    tmp_path: Path,
) -> None:
    home = make_centre(tmp_path / "own")
    given = candidate(home, statements=statements(home))
    first, _ = home.registrar.register(given, actor="centre")
    gone = keys_of(home, SITES[0])
    later = retiring(home, gone, NOW + timedelta(days=1), now=NOW + timedelta(days=2))
    corrected = candidate(home, statements=statements(home), supersedes=first.entry)
    stored, _ = later.register(corrected, actor="centre")
    path = export(later, stored.entry, tmp_path / "corrected.zip")
    assert verdict(path).verified
    members = members_of(path)
    assert json.loads(members["items/earlier-00001.json"])["version"] == "0.1.0"
    other = json.loads(members["items/earlier-00001.json"]) | {"version": "0.1.9"}
    forged = members | signed_as(home, "earlier-00001", other, PredicateType.MODEL_VERSION)
    assert named(tmp_path, resigned(forged, home.signer, entry=stored.entry)) == (
        "items/earlier-00001.json"
    )


def test_an_entry_whose_keys_were_revoked_before_it_is_not_exported(tmp_path: Path) -> None:
    home = make_centre(tmp_path / "own")
    given = candidate(home, statements=statements(home))
    stored, _ = home.registrar.register(given, actor="centre")
    gone = keys_of(home, SITES[0])
    with pytest.raises(ExportUnsoundError, match="valid by then"):
        export(retiring(home, gone, NOW, now=NOW), stored.entry, tmp_path / "b.zip")
    later = retiring(home, gone, NOW + timedelta(days=1), now=NOW)
    assert verdict(export(later, stored.entry, tmp_path / "b.zip")).verified


def retiring(home: Centre, gone: list[KnownKey], at: datetime, *, now: datetime) -> Registrar:
    """The registrar after some keys were revoked."""
    every = home.keys()
    kept = [known for known in every if known not in gone]
    changed = replace(
        home.registrar, keys=lambda: kept, retired=lambda: [RetiredKey(one, at) for one in gone]
    )
    return with_clock(changed, now)


# --- a register that signs what its sites did not say -------------------------------------


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch) -> None:
    """A register whose program no longer looks at what sites signed."""

    def nothing(*_: object) -> Iterator[Any]:
        return iter(())

    monkeypatch.setattr(checks, "_unlike_what_was_signed", nothing)
    monkeypatch.setattr(checks, "_contradictions", nothing)
    monkeypatch.setattr(checks, "_is_about", lambda *_: True)
    monkeypatch.setattr(writing, "_check", lambda *_: None)


def a_lie(tmp_path: Path, **changes: object) -> tuple[str | None, str | None]:
    """What is named in the bundle of a record that differs from what was signed."""
    home = make_centre(tmp_path / "lying")
    given = candidate(home, **({"statements": statements(home)} | changes))
    stored, _ = home.registrar.register(given, actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "lie.zip"))
    return found.item, found.what


def changed(tmp_path: Path, of: str, fields: dict[str, object]) -> dict[str, object]:
    """The good candidate's list `of`, with some fields of the first site replaced."""
    listed: Any = facts(make_centre(tmp_path / "facts"))[of]
    return {of: [one | fields if one["site"] == SITES[0] else one for one in listed]}


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize(
    ("of", "fields", "figure"),
    [
        ("participants", {"patients": 121}, "participants.tainan-1.patients"),
        ("participants", {"rounds": 0}, "participants.tainan-1.rounds"),
        ("participants", {"rounds": 4}, "participants.tainan-1.rounds"),
        (
            "participants",
            {"dataset_digest": Sha256.of(b"other")},
            "participants.tainan-1.dataset_digest",
        ),
        ("privacy", {"epsilon": 1.5}, "privacy.tainan-1.epsilon"),
        ("privacy", {"delta": 1e-9}, "privacy.tainan-1.delta"),
        ("privacy", {"noise_multiplier": 9.0}, "privacy.tainan-1.noise_multiplier"),
        ("evaluations", {"value": 0.9}, "evaluations.tainan-1"),
        ("evaluations", {"low": 0.86}, "evaluations.tainan-1"),
        ("evaluations", {"n": 300}, "evaluations.tainan-1"),
    ],
)
def test_a_figure_that_its_site_did_not_sign_is_named(
    tmp_path: Path, of: str, fields: dict[str, object], figure: str
) -> None:
    found = a_lie(tmp_path, **changed(tmp_path, of, fields))
    assert found == (f"{RECORD}#{figure}", "it is not what the site signed")


@pytest.mark.usefixtures("lying")
def test_a_pooled_number_that_is_not_the_sum_is_named(tmp_path: Path) -> None:
    assert a_lie(tmp_path, pooled=[metric(91)])[0] == f"{RECORD}#pooled.auroc"


def but(listed: list[dict[str, object]], site: str | None, kind: str) -> list[dict[str, object]]:
    """The statements without those of a kind (of one site, or of all)."""
    return [one for one in listed if one["kind"] != kind or site not in (None, one["site"])]


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize(
    ("kind", "figure"),
    [
        ("update", "participants.tainan-1.signed"),
        ("evaluation", "evaluations.tainan-1.signed"),
        ("approval", "approvals.tainan-1"),
    ],
)
def test_a_figure_of_a_site_that_signed_nothing_is_named(
    tmp_path: Path, kind: str, figure: str
) -> None:
    home = make_centre(tmp_path / "own")
    left = but(statements(home), "tainan-1", kind)
    stored, _ = home.registrar.register(candidate(home, statements=left), actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "lie.zip"))
    assert (found.item, found.what) == (f"{RECORD}#{figure}", "it is not what the site signed")


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize(
    ("of", "more", "figure"),
    [
        ("participants", {}, "participants"),
        ("privacy", {}, "privacy"),
        ("evaluations", {"value": 0.99, "high": 0.995}, "evaluations.tainan-1.signed"),
        ("evaluations", {"site": "yilan-4", "value": 0.9}, "evaluations.yilan-4.signed"),
    ],
)
def test_a_line_put_beside_what_was_signed_is_named(
    tmp_path: Path, of: str, more: dict[str, object], figure: str
) -> None:
    listed: Any = facts(make_centre(tmp_path / "facts"))[of]
    assert a_lie(tmp_path, **{of: [listed[0] | more, *listed]})[0] == f"{RECORD}#{figure}"


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize(
    ("missing", "figure"),
    [
        ("patients", "participants.tainan-1.patients"),
        ("dataset_digest", "participants.tainan-1.dataset_digest"),
        ("epsilon", "privacy.tainan-1.signed"),
    ],
)
def test_a_figure_that_the_sites_report_left_out_is_named(
    tmp_path: Path, missing: str, figure: str
) -> None:
    home = make_centre(tmp_path / "own")
    report = {"patients": 120, "epsilon": 7.5, "dataset_digest": Sha256.of(b"data of tainan-1")}
    del report[missing]
    said = {"site": "tainan-1", "run": "cxr-2026.1", "round": 1, "report": report}
    subjects = (Subject("study/cxr-2026", STUDY_DIGEST),)
    envelope = sign_dsse(Statement(subjects, PredicateType.UPDATE, said), home.nodes["tainan-1"])
    listed = but(statements(home), "tainan-1", "update")
    listed.append({"site": "tainan-1", "kind": "update", "envelope": envelope})
    stored, _ = home.registrar.register(candidate(home, statements=listed), actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "lie.zip"))
    assert found.item == f"{RECORD}#{figure}"


def a_round(home: Centre, number: int, *, entries: int, head: bytes) -> dict[str, object]:
    """A node's update of a round, with how far its privacy book was then."""
    heads = {
        "ledger": {"entries": entries, "head": Sha256.of(head)},
        "audit": {"lines": 4, "head": Sha256.of(b"log")},
    }
    said = {"site": "tainan-1", "run": "cxr-2026.1", "round": number, "heads": heads}
    report = {"patients": 120, "epsilon": 7.5, "dataset_digest": Sha256.of(b"data of tainan-1")}
    statement = Statement(
        (Subject("study/cxr-2026", STUDY_DIGEST),),
        PredicateType.UPDATE,
        said | {"report": report},
    )
    envelope = sign_dsse(statement, home.nodes["tainan-1"])
    return {"site": "tainan-1", "kind": "update", "envelope": envelope}


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize(
    ("entries", "head", "holds"),
    [(1, b"b", False), (2, b"other", False), (2, b"a", True), (4, b"c", True)],
)
def test_a_privacy_book_that_was_put_back_or_changed_is_named(
    tmp_path: Path, entries: int, head: bytes, holds: bool
) -> None:
    home = make_centre(tmp_path / "books")
    listed = [
        *but(statements(home), "tainan-1", "update"),
        a_round(home, 1, entries=2, head=b"a"),
        a_round(home, 2, entries=entries, head=head),
    ]
    stored, _ = home.registrar.register(candidate(home, statements=listed), actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "books.zip"))
    assert found.verified is holds
    assert holds or found.item == f"{RECORD}#books.tainan-1"


@pytest.mark.usefixtures("lying")
def test_sites_that_were_given_different_models_in_one_round_are_named(tmp_path: Path) -> None:
    home = make_centre(tmp_path / "models")
    listed = but(statements(home), None, "update") + [
        {
            "site": site,
            "kind": "update",
            "envelope": a_report(
                home, site, model=Subject("model/cxr-2026.1/1", Sha256.of(site.encode()))
            ),
        }
        for site in SITES
    ]
    stored, _ = home.registrar.register(candidate(home, statements=listed), actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "models.zip"))
    assert found.item == f"{RECORD}#models.update.1"


def ordered_model(folder: Path, *, fill: float) -> tuple[dict[str, object], Sha256]:
    """A model file as the centre keeps it, and the digest by which sites name the model."""
    first, second = np.full(5, fill, "<f4"), np.zeros((2, 2), "<f4")
    order = json.dumps([["b", [5]], ["a", [2, 2]]])
    content = save({"a": second, "b": first}, {"trifed-manifest": order})
    digest = Sha256.of(content)
    (folder / f"{digest.hex}.safetensors").write_bytes(content)
    named_ = {"path": f"{digest.hex}.safetensors", "sha256": digest, "size_bytes": len(content)}
    return named_ | {"parameters": 9}, Sha256.of(first.tobytes() + second.tobytes())


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize("fill", [0.5, 0.75])
def test_weights_that_the_sites_did_not_evaluate_are_named(tmp_path: Path, fill: float) -> None:
    home = make_centre(tmp_path / "weights")
    model, _ = ordered_model(home.registrar.artefacts, fill=0.5)
    _, evaluated = ordered_model(home.registrar.artefacts, fill=fill)
    report = {"metrics": [metric(30)]}
    said = {"site": "tainan-1", "run": "cxr-2026.1", "round": 3, "report": report}
    subjects = (
        Subject("study/cxr-2026", STUDY_DIGEST),
        Subject("model/cxr-2026.1/3", evaluated),
    )
    envelope = sign_dsse(
        Statement(subjects, PredicateType.EVALUATION, said), home.nodes["tainan-1"]
    )
    listed = but(statements(home), "tainan-1", "evaluation")
    listed.append({"site": "tainan-1", "kind": "evaluation", "envelope": envelope})
    given = candidate(home, model=model, statements=listed)
    stored, _ = home.registrar.register(given, actor="centre")
    path = export(home.registrar, stored.entry, tmp_path / "weights.zip", with_model=True)
    found = verdict(path)
    assert found.verified is (fill == 0.5)
    assert found.verified or (found.item, found.what) == (MODEL, "it is not what the site signed")


@pytest.mark.usefixtures("lying")
def test_statements_of_another_run_study_or_decision_are_named(tmp_path: Path) -> None:
    cases = [
        ("update", lambda home: update(home, "tainan-1", run="cxr-2026.2")),
        ("approval", lambda home: approval(home, "tainan-1", decision="refused")),
        (
            "evaluation",
            lambda home: sign_dsse(
                Statement(
                    (Subject("study/other", Sha256.of(b"another study")),),
                    PredicateType.EVALUATION,
                    {"site": "tainan-1", "run": "cxr-2026.1", "report": {}},
                ),
                home.nodes["tainan-1"],
            ),
        ),
    ]
    for number, (kind, made) in enumerate(cases):
        home = make_centre(tmp_path / f"other{number}")
        listed = [{"site": "tainan-1", "kind": kind, "envelope": made(home)}]
        stored, _ = home.registrar.register(candidate(home, statements=listed), actor="centre")
        found = verdict(export(home.registrar, stored.entry, tmp_path / "other.zip"))
        assert found.item == f"dsse/00001-tainan-1-{kind}.json"
        assert found.what == "it is about another site, study or run"


@pytest.mark.usefixtures("lying")
def test_more_privacy_spent_than_was_approved_is_named(tmp_path: Path) -> None:
    home = make_centre(tmp_path / "spent")
    said = {"site": "tainan-1", "decision": "approved", "epsilon": 2.0}
    subject = Subject("study/cxr-2026", STUDY_DIGEST)
    envelope = sign_dsse(
        Statement((subject,), PredicateType.APPROVAL, said), home.officers["tainan-1"]
    )
    listed = but(statements(home), "tainan-1", "approval")
    listed.append({"site": "tainan-1", "kind": "approval", "envelope": envelope})
    stored, _ = home.registrar.register(candidate(home, statements=listed), actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "spent.zip"))
    assert found.item == f"{RECORD}#privacy.tainan-1.approved"


# --- what the register recorded afterwards -------------------------------------------------


@pytest.fixture
def moved(tmp_path: Path) -> tuple[Centre, dict[str, list[PersonKey]], Path]:
    """An entry that two people moved, each with a key of their own."""
    home = make_centre(tmp_path / "moved")
    given = candidate(home, statements=statements(home))
    stored, _ = home.registrar.register(given, actor="centre")
    people: dict[str, list[PersonKey]] = {}
    records = Records(
        home.registrar.store, home.signer, lambda: NOW, keys=lambda who: people.get(who, [])
    )
    records.put(ENTRY_RECORD, stored.entry, Lamp(colour="red"), author=DEV)
    seen = records.get("model-version", stored.entry)
    for author in (RAI_A, HAC):
        signer = new_signer()
        people[author.person] = [
            PersonKey(
                author.person,
                signer.public_key,
                frozenset({author.role}),
                NOW - timedelta(days=1),
                NOW + timedelta(days=9),
            )
        ]
        wanted = SignOff(
            seen.noun, seen.id, 1, seen.digest, "light", author.role, "ok", "2026-09-01T08:00:00Z"
        )
        records.move(
            ENTRY_RECORD,
            stored.entry,
            "light",
            author=author,
            revision=1,
            reason="ok",
            signature=sign_off(wanted, signer),
        )
    path = export(home.registrar, stored.entry, tmp_path / "moved.zip", people=records.keys)
    return home, people, path


def test_what_was_recorded_of_an_entry_and_who_signed_it_is_inside(
    moved: tuple[Centre, dict[str, list[PersonKey]], Path],
) -> None:
    _, people, path = moved
    members = members_of(path)
    said = [json.loads(members[f"items/register-{n:05}.json"]) for n in (1, 2, 3)]
    assert [(one["noun"], one["state"]) for one in said] == [
        ("model-version", "new"),
        ("sign-off", "open"),
        ("model-version", "lit"),
    ]
    assert len([name for name in members if name.startswith("dsse/person-")]) == len(people)
    assert verdict(path).verified
    assert members[CHECKPOINT] != members[REGISTERED]


def signed_as(
    home: Centre, stem: str, said: dict[str, object], kind: PredicateType, *, name: str = "model/x"
) -> Members:
    """A statement by the centre in another's place, with the readable item beside it."""
    envelope = sign_dsse(Statement((Subject(name, Sha256.of(b"x")),), kind, said), home.signer)
    return {f"items/{stem}.json": canonical(said), f"dsse/{stem}.json": envelope.encode()}


def test_a_revision_left_out_or_a_signature_left_out_is_named(
    tmp_path: Path, moved: tuple[Centre, dict[str, list[PersonKey]], Path]
) -> None:
    home, _, path = moved
    members = members_of(path)
    for folder in ("dsse", "items", "log/inclusion"):
        gone = f"{folder}/register-00001.json"
        rest = {name: content for name, content in members.items() if name != gone}
        found = named(tmp_path, resigned(rest, home.signer))
        assert found == (gone if folder != "dsse" else DOSSIER)
    second = {
        name.replace("00003", "00001"): members[name]
        for name in members
        if "register-00003" in name
    }
    rest = {name: content for name, content in members.items() if "register-" not in name}
    assert named(tmp_path, resigned(rest | second, home.signer)) == "items/register-00001.json"
    person = next(name for name in members if name.startswith("dsse/person-"))
    rest = {name: content for name, content in members.items() if name != person}
    assert named(tmp_path, resigned(rest, home.signer)) == person


def test_a_persons_signature_by_a_key_that_no_longer_counted_is_named(
    tmp_path: Path, moved: tuple[Centre, dict[str, list[PersonKey]], Path]
) -> None:
    home, people, path = moved
    keys = certified(home, {})
    (mine,) = people[HAC.person]
    for dates, holds in (
        ({"revoked": NOW}, False),
        ({"until": NOW}, False),
        ({"revoked": NOW + timedelta(seconds=1)}, True),
    ):
        listed = [*keys, CertifiedKey(mine.key, KeyOwner(person=HAC.person), **dates)]  # type: ignore[arg-type]
        changed_ = with_keys(home, members_of(path), listed)
        found = verdict(rebuilt(tmp_path / "person.zip", changed_))
        assert found.verified is holds
        assert holds or str(found.item).startswith("dsse/person-")


def test_times_in_the_bundle_are_utc(members: Members) -> None:
    listed = x509.load_pem_x509_crl(members[REVOKED])
    assert listed.last_update_utc == NOW.astimezone(UTC)


def test_a_lying_evaluation_is_refused_by_the_register_itself(tmp_path: Path) -> None:
    from federation.errors import ProblemsFound

    home = make_centre(tmp_path / "honest")
    listed = [
        {
            "site": "tainan-1",
            "kind": "evaluation",
            "envelope": evaluation(home, "tainan-1", value=0.5),
        }
    ]
    with pytest.raises(ProblemsFound):
        home.registrar.register(candidate(home, statements=listed), actor="centre")
