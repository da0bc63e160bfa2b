"""Applications to use health insurance data, from the draft to the end of use.

`shape` is the form, `rule_packs` the rules in force (GOVERNANCE.md F), `guards` what they
hold against a move, `states` the moves (REGISTRY.md B.5), `working_days` and `clocks`
what the passing of time asks for; `publications` is what comes of the data.
"""

from registry.applications.noun import NOUN
from registry.applications.publications import PUBLICATION

__all__ = ["NOUN", "PUBLICATION"]
