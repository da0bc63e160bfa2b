"""What stands between the network and the routes: who asks, may they, how often, how much.

    app.add_middleware(...)                 # limits, headers, callers: `registry.service_app`
    Access(rules)                           # the one dependency of every route: default-deny
    author_of(request)                      # who writes, in which role: decided by `Access`

`rules` is the one table of routes and roles; a route that is not in it is refused to all.
"""
