"""What the dimensions of evaluations are called, for people."""

from federation.wording import Text

DIMENSIONS: dict[str, Text] = {
    "discrimination": Text(en="Discrimination", zh="鑑別力"),
    "operating-point": Text(en="Operating point", zh="判定閾值"),
    "calibration": Text(en="Calibration", zh="校準度"),
    "fairness": Text(en="Fairness", zh="公平性"),
    "robustness": Text(en="Robustness", zh="穩健性"),
    "drift": Text(en="Drift", zh="資料飄移"),
    "explainability": Text(en="Explainability", zh="可解釋性"),
    "uncertainty": Text(en="Uncertainty", zh="不確定性"),
    "privacy": Text(en="Privacy", zh="隱私"),
    "net-benefit": Text(en="Net benefit", zh="淨效益"),
    "usability": Text(en="Usability", zh="易用性"),
    "security": Text(en="Security", zh="資安"),
}
