"""The Flower edge at a hospital: forwarder, SuperNode and resident executor."""
