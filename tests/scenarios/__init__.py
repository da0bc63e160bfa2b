"""Real processes killed at named moments: what the durable rounds promise, as stories.

`federation` starts a centre and hospitals by the product's own commands, `homes`
makes them once and copies them, `gates` holds a process at a named moment, `proxy`
is the network between a hospital and the centre. The modules `centre`, `node`,
`executor` and `campaign` start the product's processes with the test's noise and
gates in them; the product has no hook for either.
"""
