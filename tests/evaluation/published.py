"""Published data small enough to be written here, each with its source."""

import numpy as np

from federation.evaluation.paired import JointHistogram
from federation.evaluation.scores import ScoreHistogram

# Turck et al., Intensive Care Medicine 36:107 (2010), the aSAH data of the R package pROC:
# S100B in hundredths of a microgram a litre, by outcome and WFNS grade 1 to 5.
_ASAH_GOOD = (
    "4 4 4 4 5 5 6 6 7 7 7 7 8 8 8 8 9 9 9 9 10 10 10 10 11 11 13 13 14 14 14 15 16 18 19 48 50",
    "4 7 8 8 9 9 10 10 10 11 11 13 14 15 15 15 16 17 19 43",
    "5 7 33",
    "16 17 28 32 34 38 45 47",
    "24 46 47 50",
)
_ASAH_POOR = (
    "7 8",
    "7 7 9 9 10 10 11 14 25 30 41 58",
    "13",
    "13 16 23 26 27 48 71 96",
    "3 12 22 32 33 35 44 44 49 52 56 70 71 74 77 82 86 207",
)
S100B_BINS = 208


def asah() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return WFNS grade minus 1, S100B in hundredths, and poor outcome, for 113 cases."""
    rows = [
        (grade, int(level), poor)
        for poor, by_grade in ((False, _ASAH_GOOD), (True, _ASAH_POOR))
        for grade, levels in enumerate(by_grade)
        for level in levels.split()
    ]
    wfns, s100b, poor = (np.array(column) for column in zip(*rows, strict=True))
    return wfns, s100b, poor.astype(bool)


def asah_joint() -> JointHistogram:
    wfns, s100b, poor = asah()
    return JointHistogram.of_bins(wfns, s100b, poor, (5, S100B_BINS))


def wfns_histogram() -> ScoreHistogram:
    return asah_joint().first


def s100b_histogram() -> ScoreHistogram:
    return asah_joint().second


# Freireich et al., Blood 21:699 (1963): weeks in remission; lost to follow-up are negative.
SIX_MP = [6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]

# Colditz et al., JAMA 271:698 (1994): vaccinated with and without, others with and without.
BCG = (
    (4, 119, 11, 128),
    (6, 300, 29, 274),
    (3, 228, 11, 209),
    (62, 13536, 248, 12619),
    (33, 5036, 47, 5761),
    (180, 1361, 372, 1079),
    (8, 2537, 10, 619),
    (505, 87886, 499, 87892),
    (29, 7470, 45, 7232),
    (17, 1699, 65, 1600),
    (186, 50448, 141, 27197),
    (5, 2493, 3, 2338),
    (27, 16886, 29, 17825),
)
