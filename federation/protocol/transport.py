"""gRPC, told to be quiet before it is loaded.

Its own log lines on stderr say nothing that our coded errors do not say in words,
and it reads the variable only while it is imported. So import it from here:
`from federation.protocol.transport import grpc`.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

__all__ = ["grpc"]
