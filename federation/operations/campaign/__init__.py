"""One run of one study, which any process may continue after any crash.

Read in this order: `campaign` (what happens in a run), `playing` (the steps of a
round), `asking` (how replies are asked for and kept), `recovery` (what passes and
is tried again). `gathering` knows who approved, `crew` who is there, `link` the way
through Flower, `wishes` what people want; `checkpoints`, `records` and
`contributions` are what is written and read back.
"""

from federation.operations.campaign.campaign import Campaign
from federation.operations.campaign.contributions import SiteResult
from federation.operations.campaign.voice import utc_now

__all__ = ["Campaign", "SiteResult", "utc_now"]
