"""TF8xx: ports, disk, clock and processes."""
