"""What the public, reviewers and regulators see in a browser, in both languages.

    desk = Desk(registrar, records, ALL_NOUNS)            # `desk.Desk`: what the pages read
    app.include_router(page_routes(desk, sql_index(url), log_in=accounts))
    PUBLIC_PAGES                                          # (method, path) that need no log-in

HTML from the server, no script. Reading order: `views` (the values a page shows, pure
functions over records), `reading` (fetches and verifies them), `public_routes` and
`console_routes` (addresses), `templates/`. An entry that was never registered does not
exist for the public (`visibility`). Words: `wording`; search in SQL: `tables`.
"""
