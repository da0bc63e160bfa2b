"""All that TriFed uses of Flower's inner names, in one place.

| module | what it holds |
|---|---|
| names.py | the list of names and the check that they are still there |
| objects.py | a message as content-addressed objects, with few copies |
| calls.py | Flower's HTTP clients over a Unix socket |
| centre.py | register nodes, start a run, push tasks, pull replies |
| superlink.py | the SuperLink, served on a Unix socket, answering when there is news |
| node.py | the SuperNode, its waits replaced by events |
| bodies.py | bodies of many requests at once, in memory and in files |
| runtime.py | a node's tasks, taken and answered |

Flower is pinned exactly (`names.FLWR_VERSION`); nothing outside this package
imports any other part of Flower than `flwr.app`. Import these lazily.
"""
