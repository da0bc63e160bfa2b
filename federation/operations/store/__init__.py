"""What the centre remembers: one database, one file for each noun that is kept in it.

`database` holds the connection, the table list and the rule that no write goes
without its audit event; `studies` keeps studies, runs and rounds.
"""
