"""The control channel's proto files, generated code and typed mapping."""
