"""Certification: dossiers, the documents they rest on, and plans for later changes.

`rule_packs` reads what is asked (packs/*.toml), `completeness` says purely what is shown
and what is missing, `evidence_found` collects what the register knows, `noun` holds the
moves of a dossier; `documents` and `change_plans` are nouns of their own; `changes`
classifies a change of a licensed version; `routes` puts the questions behind HTTP.
"""

from registry.certification import change_plans, documents, noun
from registry.certification.noun import NOUN

NOUNS = (NOUN, change_plans.NOUN, documents.NOUN)
RULES = (*noun.RULES, *documents.RULES)

__all__ = ["NOUN", "NOUNS", "RULES"]
