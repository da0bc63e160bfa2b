"""The recipes shipped in the wheel: TOML data and MONAI network builders."""
