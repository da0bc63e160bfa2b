"""Import Flower once, before warnings count as errors: its import chain raises some."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import flwr.app
    import flwr.cli.config_utils
    import flwr.superlink.main
    import flwr.supernode.cli.flower_supernode  # noqa: F401
