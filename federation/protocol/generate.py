"""Regenerate `generated/` from the .proto files: `python -m federation.protocol.generate`.

The output is committed, so that an installation needs no compiler; a test
compiles again and compares. Needs grpcio-tools (extra `dev`), pinned because
another version writes other code.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTOS = ("control", "admin")
PACKAGE = "federation/protocol/generated"


def generate(folder: Path) -> None:
    """Write the package `federation.protocol.generated` below `folder`.

    Raises
    ------
    RuntimeError
        If the compiler does not accept a .proto file.
    """
    from grpc_tools import protoc  # type: ignore[import-untyped]

    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PACKAGE}={HERE}",  # makes the imports absolute
            f"--python_out={folder}",
            f"--pyi_out={folder}",
            f"--grpc_python_out={folder}",
            *(f"{PACKAGE}/{name}.proto" for name in PROTOS),
        ]
    )
    if status != 0:
        raise RuntimeError(f"protoc ended with status {status}")
    text = '"""Written by `python -m federation.protocol.generate`; do not edit."""\n'
    (folder / PACKAGE / "__init__.py").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    generate(HERE.parents[1])
    sys.exit(0)
