"""The routes of questions, listed once, and what they share."""

from fastapi import FastAPI

from cloud.logs.collector.hosts import Hosts
from cloud.logs.collector.store import Store
from cloud.logs.query.explain import api as explain_routes
from cloud.logs.query.language.parser import parse
from cloud.logs.query.routes import context, export, overview, search, stories
from cloud.logs.query.routes import hosts as hosts_routes
from cloud.logs.query.routes.readers import Readers
from cloud.logs.query.routes.refusals import add_refusals
from cloud.logs.query.routes.seats import Seats
from cloud.logs.query.search import Search

WAIT_S = 10.0
"""So long a question waits for others to end."""
ROUTERS = (
    search.router,
    overview.router,
    context.router,
    stories.router,
    hosts_routes.router,
    export.router,
    explain_routes.router,
)


def add_questions(app: FastAPI, store: Store, hosts: Hosts) -> None:
    """Let `app`, for the running event loop, answer questions about the lines of `store`, which `hosts` sent."""
    app.state.store = store
    app.state.hosts = hosts
    app.state.search = Search(store)
    app.state.readers = Readers(WAIT_S)
    app.state.export_seats = Seats("export", export.MAX_EXPORTS)
    parse("")  # makes the parser, which takes longer than a question that waits for it
    for router in ROUTERS:
        app.include_router(router)
    add_refusals(app)
