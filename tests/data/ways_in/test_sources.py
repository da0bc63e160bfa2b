import tomllib
from pathlib import Path

import pytest

from clients.data.ways_in.sources import (
    TEMPLATE,
    Sources,
    client_tls,
    read_secret,
    read_sources,
    receiver_of,
    server_tls,
    stow_of,
    web_of,
)
from federation.errors.base import ProblemsFound
from federation.errors.sources import (
    NothingToReceiveError,
    SecretFileError,
    SourcesFileError,
    SourceUnknownError,
    TlsFilesError,
)
from tests.data.ways_in.conftest import Tls

PACS = '[[pacs]]\nname="main"\nhost="h"\nport=104\nae_title="P"\ncalling_ae_title="T"\n'
RECEIVER = '[receiver]\nae_title="TRIFED"\nport=11112\nallowed_callers=["CT1"]\n'


def read(home: Path, text: str) -> Sources:
    (home / "sources.toml").write_text(text, encoding="utf-8")
    return read_sources(home)


def test_the_template_is_valid_with_and_without_its_comments(tmp_path: Path) -> None:
    assert read(tmp_path, TEMPLATE) == Sources()
    full = "\n".join(
        line.removeprefix("# ")
        for line in TEMPLATE.splitlines()
        if line.startswith(("# [", "# ")) and ("=" in line or line.startswith("# ["))
    )
    found = read(tmp_path, full)
    assert found.names == ["main", "web"]
    assert found.receiver and found.stow and found.watch


def test_no_file_names_no_source(tmp_path: Path) -> None:
    found = read_sources(tmp_path)
    assert found == Sources()
    with pytest.raises(NothingToReceiveError):
        found.receiving()
    with pytest.raises(SourceUnknownError, match="main"):
        found.named("main")


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        PACS + 'password="x"\n',
        PACS.replace("104", "70000"),
        PACS.replace('"P"', '"SEVENTEEN-LETTERS"'),
        PACS.replace('"P"', '"A\\\\B"'),
        PACS + PACS,
        PACS + 'tls_key="k"\n',
        RECEIVER.replace('["CT1"]', "[]"),
        RECEIVER + 'tls_client_ca="x"\n',
        '[stow]\nport=1\ntoken_file="t"\nhost="0.0.0.0"\n',
        '[[dicomweb]]\nname="w"\nurl="http://pacs.example/x"\ntoken_file="t"\n',
        '[[dicomweb]]\nname="w"\nurl="https://user:secret@pacs.example/x"\n',
        "[elsewhere]\n",
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(SourcesFileError):
        read(tmp_path, text)


def test_several_broken_rules_are_told_at_once_and_no_value_of_them(tmp_path: Path) -> None:
    with pytest.raises(ProblemsFound) as caught:
        read(tmp_path, PACS.replace("104", "0") + 'token="hunter2hunter2"\n')
    assert "2 problems" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [(b"secret", 0o644, "mode is 644"), (b"", 0o600, "one line"), (b"a\nb", 0o600, "one line")],
)
def test_a_secret_file_must_be_private_and_one_line(
    content: bytes, mode: int, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(SecretFileError, match=why):
        read_secret(path, setting="token_file")


def test_tokens_are_read_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a-long-enough-token\n")
    path.chmod(0o600)
    text = '[[dicomweb]]\nname="w"\nurl="https://h/x"\ntoken_file="token"\n'
    found = read(tmp_path, text + '[stow]\nport=8443\ntoken_file="token"\n')
    assert found.stow is not None
    web, stow = web_of(found.dicomweb[0], tmp_path), stow_of(found.stow, tmp_path)
    assert web.token == stow.token == "a-long-enough-token"
    assert "a-long" not in repr(web) + repr(stow)


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short")
    (tmp_path / "token").chmod(0o600)
    found = read(tmp_path, '[stow]\nport=8443\ntoken_file="token"\n')
    assert found.stow is not None
    with pytest.raises(SecretFileError, match="16 characters"):
        stow_of(found.stow, tmp_path)


def test_tls_files_that_do_not_belong_together_are_refused(tls: Tls, tmp_path: Path) -> None:
    with pytest.raises(TlsFilesError):
        server_tls(tls.certificate, tls.stranger_key)
    with pytest.raises(TlsFilesError):
        client_tls("main", tmp_path / "missing.pem")
    tls_key = tmp_path / "open.key"
    tls_key.write_bytes(tls.key.read_bytes())
    tls_key.chmod(0o644)
    with pytest.raises(SecretFileError):
        server_tls(tls.certificate, tls_key)


def test_a_receiver_s_settings_are_those_of_the_file(tmp_path: Path) -> None:
    source = read(tmp_path, RECEIVER + "max_object_mb=7\nmax_associations=3\n").receiving()
    made = receiver_of(source, tmp_path, also=frozenset({"MAINPACS"}))
    assert made.callers == {"CT1", "MAINPACS"}
    assert (made.associations, made.bounds.object_bytes) == (3, 7 << 20)
    assert made.tls is None


def test_no_secret_stands_in_the_template() -> None:
    assert "password" not in TEMPLATE.lower()
    assert tomllib.loads(TEMPLATE) == {}
