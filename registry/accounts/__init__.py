"""Who may come in, and as whom: accounts, log-in, sessions, API tokens, service certificates.

    desk = Desk(store, signer, clock, secrets)                   # `service.Desk`
    link = desk.invite(new_account, by=...)                      # a one-time enrolment secret
    started = desk.start_enrolment(link); desk.enrol(link, ...)  # TOTP seed, recovery codes
    opened = desk.log_in("rai-1", password, code, address=...)   # a new session, never an old one
    session_of(request)                                          # what pages ask (`ports`)

Nothing secret is kept readable: passwords as argon2id, session and token secrets as
SHA-256, TOTP seeds encrypted under `keys/accounts.key`. Each account row carries a seal
under the same key, so a role given behind the service's back is refused (TF779).
"""
