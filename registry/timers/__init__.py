"""What the passing of time asks of the register: reviews, payments, expiry.

    run(records, rules(version_noun(...)), now=clock())    # once an hour, by a schedule

`clocks` computes dates, `due` decides purely what is due, `service` has the moves made
by the register's clock, each with its audit event. Nothing is due twice: a record that
was moved is in another state. Nothing is lost when the schedule stands still: the next
run makes up for it.
"""
