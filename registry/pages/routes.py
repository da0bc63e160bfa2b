"""All pages in one router: the public ones, and the reviewers' behind their log-in."""

from fastapi import APIRouter

from registry.accounts.ports import LogIn
from registry.pages import console_routes, public_routes, report_routes
from registry.pages.answering import PageRoute
from registry.pages.desk import Desk

PUBLIC_PAGES = public_routes.PLACES | console_routes.PUBLIC_PLACES | report_routes.PLACES
"""(method, path) of every page that anybody may see; the rest is for people in a session."""


def page_routes(desk: Desk, log_ins: LogIn) -> APIRouter:
    """Return every page, in one flat router: the table of rules is made from its routes."""
    router = APIRouter(route_class=PageRoute, include_in_schema=False)
    public_routes.add_public(router, desk)
    report_routes.add_reports(router, desk)
    console_routes.add_console(router, desk, log_ins)
    return router
