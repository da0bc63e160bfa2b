"""Lineage: where a version came from, and what a dataset, a site or a run touched.

`graph` holds nodes and edges, `drawing` reads one version's signed record and statements,
`index` finds versions by data, site and run, `service` answers, `tree` writes text,
`routes` puts it behind HTTP.
"""
