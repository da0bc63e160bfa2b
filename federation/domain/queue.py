"""What a person wants of a launched study; read between rounds, and during one."""

from enum import Enum


class Wish(Enum):
    """What somebody asked for last.

    PAUSE and STOP let the round in flight end first; STOP_NOW gives it up. What a
    hospital has already spent on it stays spent.
    """

    GO_ON = "go-on"
    PAUSE = "pause"
    STOP = "stop"
    STOP_NOW = "stop-now"
