"""Written by `python -m federation.protocol.generate`; do not edit."""
