"""The bundle is a form without code, the same on every machine."""

import io
import subprocess
import sys
import zipfile

from federation.server_app.bundle import thin_bundle
from federation.wire.flwr_internals.names import FLWR_VERSION, NAMES, check_version, moved_names

DIGEST = "53d3304a0bf8f8a713fa152807790ac8d885c6cf6794b607d41df751c1bf1e23"


def test_bundle_holds_no_python() -> None:
    with zipfile.ZipFile(io.BytesIO(thin_bundle().content)) as archive:
        names = archive.namelist()
        content = b"".join(archive.read(name) for name in names)
    assert names == ["pyproject.toml", "README.md", ".info/CONTENT"]
    assert b"import " not in content
    assert b"def " not in content


def test_bundle_is_the_same_bytes_on_every_machine() -> None:
    assert thin_bundle().digest == DIGEST
    command = "from federation.server_app.bundle import thin_bundle; print(thin_bundle().digest)"
    again = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)
    assert again.stdout.decode().strip() == DIGEST


def test_flower_reads_the_bundle_as_an_app_with_no_dependencies() -> None:
    from flwr.cli.config_utils import get_fab_config, get_fab_metadata

    assert get_fab_metadata(thin_bundle().content) == ("trifed/trifed-thin", "1.0.0")
    assert get_fab_config(thin_bundle().content)["project"]["dependencies"] == []


def test_every_inner_name_of_flower_is_where_it_was() -> None:
    check_version()
    assert moved_names() == []


def test_flower_is_pinned_to_the_version_the_names_belong_to() -> None:
    import tomllib
    from pathlib import Path

    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in ("node", "centre"):
        assert f"flwr=={FLWR_VERSION}" in project["optional-dependencies"][extra]


def test_only_the_adapter_package_imports_flowers_inner_names() -> None:
    import re
    from pathlib import Path

    inner = re.compile(r"^\s*(?:from|import) flwr(?!\.app import)", re.MULTILINE)
    offenders = [
        path
        for top in ("federation", "clients", "strategies", "registry")
        for path in Path(top).rglob("*.py")
        if "flwr_internals" not in path.parts and inner.search(path.read_text(encoding="utf-8"))
    ]
    assert [str(path) for path in offenders] == []


def test_every_import_of_the_adapter_is_in_the_list_of_names() -> None:
    import ast
    from pathlib import Path

    for path in Path("federation/wire/flwr_internals").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or node.module in (None, "flwr.app"):
                continue
            if str(node.module).startswith("flwr.") and node.module != "flwr.proto":
                listed = NAMES.get(str(node.module), ())
                assert {alias.name for alias in node.names} <= {*listed, "fleet_handlers"}, path
