"""Records of any noun: immutable revisions, signed, logged and audited in one transaction.

    class Incident(Body):                                   # the shape: a strict pydantic model
        summary: Bilingual
        deployment: str

    INCIDENT = Noun("incident", Incident, MOVES, authors=frozenset({Role.HAC}))
    records = Records(SqlStore(url), signer, clock)
    first = records.put(INCIDENT, "inc-1", body, author=author)                  # revision 1
    later = records.put(INCIDENT, "inc-1", body, author=author, revision=1)      # 2, or TF735
    moved = records.move(INCIDENT, "inc-1", "close", author=author, revision=2, reason="…")
    records.get("incident", "inc-1").body, records.history("incident", "inc-1")
    records.page("incident", state="open", limit=50), records.search("incident", "fall")

A write names the revision it saw (0: there is none yet). `Body.facets`, `.links`
and `.words` say what a record is found by. Nothing is ever deleted: a record is
superseded by another one or moved to a final state. Files: `shapes` (Body, Noun),
`moves` (tables of moves), `service` (Records), `statements` (what is signed),
`sign_offs` (moves that need two people), `tables` (SQL), `ports`.
"""
