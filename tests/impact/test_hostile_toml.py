"""What a centre reads of a study is TOML that others wrote: hostile files are one coded refusal."""

from collections.abc import Callable

import pytest

from federation.errors.impact import ProtocolFileError
from federation.impact.design import read_design
from federation.impact.plan import read_plan
from federation.impact.protocol import read_protocol

HOSTILE = {
    "a long key": b"a" + b".a" * 100_000 + b" = 1",
    "a long table": b"[a" + b".a" * 100_000 + b"]",
    "many digits": b"periods = 1" + b"0" * 6000,
    "deep lists": b"sites = " + b"[" * 200 + b"]" * 200,
    "deeper lists": b"sites = " + b"[" * 50_000,
    "no date": b"expires = 2026-13-45",
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("read", [read_plan, read_protocol, read_design])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_coded_refusal(read: Callable[[bytes], object], name: str) -> None:
    with pytest.raises(ProtocolFileError):
        read(HOSTILE[name])
