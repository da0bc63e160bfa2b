"""Readings and medians of hospitals: counted, sealed, added up; and what is refused."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.domain.ids import SiteId
from federation.errors import PlatformError
from federation.errors.impact import ProtocolFileError, TableInvalidError, TableTooSmallError
from federation.errors.impact_designs import (
    NotCrossedError,
    SealDisagreesError,
    SealedFileError,
)
from federation.errors.secure_sum import SumPeersRefusedError, TooFewInSumError
from federation.evidence.signing import Signer
from federation.impact.analysis import analyse
from federation.impact.gathering import gather
from federation.impact.hospital import Sealing, make_table
from federation.impact.plan import Plan, read_plan
from federation.impact.reader_table import as_json, read_readings, tabulate_readings
from federation.impact.readers import Readings, compare_readers
from federation.impact.sealed import session_of
from federation.secure_sum import PairwiseMasks
from tests.impact.imrmc_example import ratings

SITES = ("hualien-3", "tainan-1", "taipei-2")
FIVE = tuple(f"reader-{number}" for number in range(1, 6))
READERS = """
study = "reader-1"
design = "reader-study"
intervention = "ai"
comparator = "usual"
periods = 1
[[measures]]
id = "reader-auroc"
role = "primary"
analysis = "reader-study"
unit = "1"
better = "higher"
figure = "auroc"
[[measures]]
id = "reader-sensitivity"
role = "secondary"
analysis = "reader-study"
unit = "1"
better = "higher"
figure = "sensitivity"
threshold = 4
[readers]
names = ["reader-1", "reader-2", "reader-3", "reader-4", "reader-5"]
ratings = 5
covariance = "unbiased"
"""
SEALED = READERS.replace("periods = 1", "periods = 1\nsealed = true")
MEDIANS = """
study = "median-1"
design = "individual-rct"
intervention = "ai"
comparator = "usual"
periods = 1
sealed = true
[[measures]]
id = "time"
role = "primary"
analysis = "median-difference"
unit = "min"
better = "lower"
grid = { step = 1, top = 200 }
[[measures]]
id = "cost"
role = "secondary"
analysis = "median-difference"
unit = "TWD"
better = "lower"
grid = { step = 100, top = 5000 }
"""


def plan(text: str = READERS, old: str = "", new: str = "") -> Plan:
    assert old in text
    return read_plan(text.replace(old, new, 1).encode())


def five() -> tuple[np.ndarray, np.ndarray]:
    """The example of iMRMC on five ratings, its cases in an order of no meaning."""
    found, truths = ratings()
    order = np.random.default_rng(2).permutation(80)
    return np.minimum(found // 16, 4)[order], truths[order]


def lines(site: int | None = None) -> list[str]:
    """Lines of the cases of a hospital, of all without one."""
    found, truths = five()
    return [
        f"c-{case},{FIVE[reader]},{('ai', 'usual')[arm]},{int(truths[case])},"
        f"{found[case, arm, reader] + 1}"
        for case in range(80)
        if site is None or case % 3 == site
        for reader in range(5)
        for arm in range(2)
    ]


def file(listed: list[str]) -> bytes:
    return "\n".join(["case,reader,arm,truth,rating", *listed]).encode()


def test_readings_of_hospitals_are_analysed_as_all_cases_together() -> None:
    asked = plan()
    sent = {name: make_table(file(lines(site)), name, asked) for site, name in enumerate(SITES)}
    assert sum(one.cells for one in sent.values()) == 80
    found = gather({name: one.content for name, one in sent.items()}, asked)
    auroc, sensitivity = analyse(asked, found.rows, found.readings)
    whole = compare_readers(Readings.of(*five(), FIVE, 5), covariance=asked.readers.covariance)  # type: ignore[union-attr]
    assert auroc.estimate == whole.difference.value and auroc.people == 80
    assert (auroc.low, auroc.high) == tuple(whole.difference.interval().as_json())
    assert auroc.freedom == whole.difference.freedom
    assert [one.arm for one in auroc.arms] == ["ai", "usual"]
    assert [value for _, value in auroc.arms[0].readers] == list(whole.figures[0])
    assert auroc.pilot is not None and auroc.pilot.cases == 80
    assert auroc.pilot.same_arm == whole.components.same_arm
    called, has_it = five()[0] >= 3, five()[1]
    shares = called[has_it].mean(axis=0).mean(axis=1)
    assert [one.value for one in sensitivity.arms] == pytest.approx(shares)
    assert "sensitivity" in sensitivity.method and not sensitivity.confirmed


def test_a_file_of_readings_does_not_depend_on_the_order_of_lines() -> None:
    asked = plan()
    one = make_table(file(lines(0)), "tainan-1", asked)
    other = make_table(file(lines(0)[::-1]), "tainan-1", asked)
    assert one == other
    back = read_readings(one.content, "tainan-1", asked)
    assert as_json(back, asked) == one.content and b"c-1" not in one.content


@pytest.mark.parametrize(
    "listed",
    [
        lines(0)[1:],
        [*lines(0), lines(0)[0]],
        lines(0)[:-10] + [one.replace("reader-5", "reader-4") for one in lines(0)[-10:]],
        [],
    ],
)
def test_a_reading_that_is_missing_or_there_twice_is_refused(listed: list[str]) -> None:
    with pytest.raises(NotCrossedError):
        tabulate_readings(file(listed), "tainan-1", plan())


@pytest.mark.parametrize(
    "line",
    [
        "c-A123456789,reader-1,ai,1,6",
        "c-A123456789,reader-1,ai,1,0",
        "c-A123456789,reader-1,ai,1,nan",
        "c-A123456789,reader-1,ai,1,2.5",
        "c-A123456789,reader-1,ai,1,",
        "c-A123456789,reader-9,ai,1,2",
        "c-A123456789,reader-1,other,1,2",
        "c-A123456789,reader-1,ai,2,2",
        ",reader-1,ai,1,2",
        "c-A123456789,reader-1,ai,1",
        f"c-0,reader-1,ai,{1 - int(five()[1][0])},2",
    ],
)
def test_a_line_that_is_no_reading_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(TableInvalidError) as refused:
        tabulate_readings(file([*lines(0), line]), "tainan-1", plan())
    assert "A123456789" not in refused.value.say()


def test_a_hospital_with_few_cases_of_a_kind_sends_no_readings() -> None:
    found = [one for one in lines() if one.split(",")[3] == "0"]
    for listed in (found, found + [one for one in lines(0) if one.split(",")[3] == "1"][:90]):
        with pytest.raises(TableTooSmallError):
            tabulate_readings(file(listed), "tainan-1", plan())
    small = Readings.of(five()[0][:12], five()[1][:12], FIVE, 5)
    with pytest.raises(TableTooSmallError):
        read_readings(as_json(small, plan()), "tainan-1", plan())


def document(change: Callable[[dict[str, object]], object]) -> bytes:
    said = json.loads(make_table(file(lines(0)), "tainan-1", plan()).content)
    change(said)
    return json.dumps(said).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        document(lambda said: said.update(plan="sha256:" + "0" * 64)),
        document(lambda said: said.update(kind="trifed.readings/2")),
        document(lambda said: said.update(more=1)),
        document(lambda said: said["readings"].update(readers=list(FIVE[::-1]))),  # type: ignore[attr-defined]
        document(lambda said: said["readings"].update(positives=[[[1, -1], [0, 0]]])),  # type: ignore[attr-defined]
        document(lambda said: said["readings"].update(positives=float("nan"))),  # type: ignore[attr-defined]
    ],
)
def test_a_file_that_is_no_table_of_readings_is_refused(content: bytes) -> None:
    with pytest.raises(TableInvalidError):
        read_readings(content, "tainan-1", plan())


def test_readings_of_another_scale_are_refused() -> None:
    other = plan(READERS, "ratings = 5", "ratings = 6")
    content = make_table(file(lines(0)), "tainan-1", other).content
    said = json.loads(content) | {"plan": str(plan().digest)}
    with pytest.raises(TableInvalidError):
        read_readings(json.dumps(said).encode(), "tainan-1", plan())


@dataclass
class Hospital:
    """A hospital's keys for one sum."""

    site: str
    signer: Signer
    secret: bytes
    envelope: str


def hospitals(asked: Plan, sites: tuple[str, ...] = SITES) -> list[Hospital]:
    made = []
    for site in sites:
        signer = Signer(Ed25519PrivateKey.generate())
        offer = PairwiseMasks().offer(session_of(asked), site=SiteId(site), signer=signer)
        made.append(Hospital(site, signer, offer.secret, offer.envelope))
    return made


def sealings(asked: Plan, sites: tuple[str, ...] = SITES) -> dict[str, Sealing]:
    there = hospitals(asked, sites)
    pinned = {SiteId(one.site): one.signer.public_key for one in there}
    roster = PairwiseMasks().verify(
        [one.envelope for one in there], session=session_of(asked), pinned=pinned
    )
    return {one.site: Sealing(roster, one.secret) for one in there}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ratings = 5", "ratings = 1"),
        ("ratings = 5", "ratings = 3"),  # the threshold is 4
        ('"reader-5"]', '"reader-4"]'),
        (', "reader-2", "reader-3", "reader-4", "reader-5"]', "]"),
        ("[readers]", "[series]"),
        ("threshold = 4\n", ""),
        ('figure = "auroc"', 'figure = "auroc"\nthreshold = 3'),
        ("names = [", "names = [" + ", ".join(f'"r-{one}"' for one in range(60)) + ", "),
        ('study = "reader-1"', 'study = "Reader.1"\nsealed = true'),
    ],
)
def test_a_plan_of_readers_whose_parts_do_not_fit_is_refused(old: str, new: str) -> None:
    text = READERS.replace("ratings = 5", "ratings = 101") if "r-59" in new else READERS
    with pytest.raises(ProtocolFileError):
        plan(text, old, new)


def test_sealed_readings_are_analysed_as_open_ones() -> None:
    asked, keys = plan(SEALED), sealings(plan(SEALED))
    sent = {
        name: make_table(file(lines(site)), name, asked, sealing=keys[name]).content
        for site, name in enumerate(SITES)
    }
    found = gather(sent, asked)
    assert found.readings == Readings.of(*five(), FIVE, 5) and found.people("any") == 80


def minutes(site: int, people: int = 60) -> bytes:
    chance = np.random.default_rng(site)
    head, body = "cluster,period,arm,time,cost", []
    for arm, mean in (("ai", 3.6), ("usual", 4.0)):
        for _ in range(people):
            time, cost = min(chance.lognormal(mean, 0.6), 199), min(chance.gamma(4, 300), 4900)
            body.append(f"w,0,{arm},{time:.2f},{cost:.0f}")
    return "\n".join([head, *body]).encode()


def test_sealed_medians_need_no_large_cells_and_are_those_of_all_cases() -> None:
    asked, keys = plan(MEDIANS), sealings(plan(MEDIANS))
    sent = {
        name: make_table(minutes(site), name, asked, sealing=keys[name]).content
        for site, name in enumerate(SITES)
    }
    found = gather(sent, asked)
    time, cost = analyse(asked, found.rows, found.readings)
    body = [line.split(",") for site in range(3) for line in minutes(site).decode().split("\n")[1:]]
    for result, column, step in ((time, 3, 1), (cost, 4, 100)):
        for arm in result.arms:
            values = [round(float(one[column]) / step) * step for one in body if one[2] == arm.arm]
            assert arm.value == np.median(values)
    assert time.people == 360 and time.high < 0


def test_an_arm_of_few_people_is_not_sealed_either() -> None:
    asked = plan(MEDIANS)
    with pytest.raises(TableTooSmallError):
        make_table(minutes(0, 7), SITES[0], asked, sealing=sealings(asked)[SITES[0]])


def test_a_sealed_table_alone_is_noise() -> None:
    asked, keys = plan(MEDIANS), sealings(plan(MEDIANS))
    content = make_table(minutes(0), SITES[0], asked, sealing=keys[SITES[0]]).content
    numbers = np.frombuffer(base64.b64decode(json.loads(content)["numbers"]), dtype="<u8")
    assert len(set(numbers.tolist())) == len(numbers)  # no zero twice, no count seen
    assert (numbers >> np.uint64(40)).min() >= 0 and np.median(numbers) > 2**61


def test_two_hospitals_cannot_seal() -> None:
    with pytest.raises(TooFewInSumError):
        sealings(plan(SEALED), SITES[:2])


def test_a_sum_without_one_hospital_has_no_result() -> None:
    asked, four = plan(MEDIANS), (*SITES, "yilan-4")
    keys = sealings(asked, four)
    sent = {
        name: make_table(minutes(site), name, asked, sealing=keys[name]).content
        for site, name in enumerate(four)
    }
    del sent["yilan-4"]
    with pytest.raises(PlatformError):
        gather(sent, asked)


def test_tables_under_other_keys_are_not_added() -> None:
    asked = plan(MEDIANS)
    one, other = sealings(asked), sealings(asked)
    sent = {
        name: make_table(
            minutes(site), name, asked, sealing=(other if site == 2 else one)[name]
        ).content
        for site, name in enumerate(SITES)
    }
    with pytest.raises(SumPeersRefusedError):
        gather(sent, asked)


def test_what_the_plan_wants_sealed_is_sealed_and_nothing_else() -> None:
    closed, keys = plan(SEALED), sealings(plan(SEALED))
    with pytest.raises(SealDisagreesError):
        make_table(file(lines(0)), SITES[0], closed)
    with pytest.raises(SealDisagreesError):
        make_table(file(lines(0)), SITES[0], plan(), sealing=keys[SITES[0]])
    sealed = make_table(file(lines(0)), SITES[0], closed, sealing=keys[SITES[0]]).content
    unsealed = make_table(file(lines(0)), SITES[0], plan()).content
    for asked, content in ((plan(), sealed), (closed, unsealed)):
        with pytest.raises(SealDisagreesError):
            gather(dict.fromkeys(SITES, content), asked)


@pytest.mark.parametrize(
    "change",
    [
        {"plan": "sha256:" + "0" * 64},
        {"numbers": "AAAA"},
        {"numbers": "not base64 \u00e9"},
        {"transcript": "abc"},
        {"more": 1},
    ],
)
def test_a_file_that_is_no_sealed_table_of_the_plan_is_refused(change: dict[str, object]) -> None:
    asked, keys = plan(MEDIANS), sealings(plan(MEDIANS))
    content = make_table(minutes(0), SITES[0], asked, sealing=keys[SITES[0]]).content
    said = {**json.loads(content), **change}
    wrong = json.dumps(dict(sorted(said.items())), separators=(",", ":")).encode()
    with pytest.raises(SealedFileError):
        gather(dict.fromkeys(SITES, wrong), asked)
