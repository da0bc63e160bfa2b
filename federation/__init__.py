"""TriFed's core and its AI-centre side.

Read in this order: `domain/study.py`, `domain/recipe.py`, `domain/update.py`,
`errors/base.py`, `privacy/events.py`, `privacy/ledger.py`,
`evidence/statements.py`, `pki/authority.py`, `protocol/control.proto`,
`operations/campaign/campaign.py`.
"""
