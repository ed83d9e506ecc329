"""The page's server: what it answers, and how long it runs."""

import json
import secrets
import socket
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from darkroom import interrupts
from darkroom.errors import DarkroomError, OutputError, UsageError
from darkroom.pages import environment, shared_text
from darkroom.review.batch import Batch
from darkroom.review.guard import App, Guard
from darkroom.review.review import Review
from darkroom.review.saving import Conflict

STATIC = {
    "review.css": "text/css", "review.js": "text/javascript", "server.js": "text/javascript",
    "desk.js": "text/javascript", "list.js": "text/javascript", "brush.js": "text/javascript",
    "openseadragon.min.js": "text/javascript",
}  # fmt: skip
SHARED = {"base.css": "text/css", "theme.js": "text/javascript"}
KEPT = {"cache-control": "private, max-age=3600"}  # addresses of tiles change with their content


class Site:
    """The answers.

    Args:
        batch: the scans under review.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def app(self) -> Starlette:
        """The routes; all paths are relative to the page."""
        scan = "/api/scans/{id:int}"
        routes = [
            Route("/", self._page),
            Route("/static/{name}", self._static),
            Route("/api/scans", self._call(lambda _: self._batch.summary())),
            Route(scan, self._call(lambda r: self._review(r).describe())),
            Route(f"{scan}/marks", self._call(lambda r: self._review(r).marks())),
            Route(f"{scan}/news", self._call(lambda r: self._review(r).news())),
            Route(f"{scan}/sensitivity", self._call(self._sensitivity)),
            Route(f"{scan}/act", self._deed(Review.act), methods=["POST"]),
            Route(f"{scan}/save", self._deed(Review.save), methods=["POST"]),
            Route("/tiles/{id:int}/{layer}/{level:int}/{column:int}_{row:int}.bmp", self._tile),
        ]
        return Starlette(routes=routes, exception_handlers={DarkroomError: _sorry})

    def _review(self, request: Request) -> Review:
        return self._batch.open(request.path_params["id"])

    def _call(self, answer: Callable[[Request], Any]) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            return JSONResponse(answer(request))

        return endpoint

    def _deed(self, do: Callable[[Review, dict[str, Any]], Any]) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            try:
                deed = json.loads(await request.body())
            except ValueError as error:
                raise UsageError("the request is not JSON") from error
            if not isinstance(deed, dict):
                raise UsageError("the request is empty")
            review = await run_in_threadpool(self._review, request)
            return JSONResponse(await run_in_threadpool(do, review, deed))

        return endpoint

    def _sensitivity(self, request: Request) -> Any:
        try:
            value = float(request.query_params["value"])
        except (KeyError, ValueError) as error:
            raise UsageError("a sensitivity is a number from 0 to 100") from error
        return self._review(request).suggest(value)

    def _tile(self, request: Request) -> Response:
        place = request.path_params
        look = request.query_params.get("look", "plain")
        data = self._review(request).tile(
            place["layer"], place["level"], place["column"], place["row"], look
        )
        if data is None:
            return Response("no such tile", 404)
        return Response(data, media_type="image/bmp", headers=KEPT)

    def _page(self, request: Request) -> Response:
        page = environment("darkroom.review").get_template("review.html").render()
        return Response(page, media_type="text/html")

    def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name in SHARED:
            return Response(shared_text(name), media_type=SHARED[name])
        if name not in STATIC:
            return Response("nothing here", 404)
        path = files("darkroom.review") / "static" / name
        return Response(path.read_bytes(), media_type=STATIC[name])


def _sorry(request: Request, error: Exception) -> Response:
    """A `DarkroomError` as the page shows it."""
    status = 422 if isinstance(error, UsageError) else 500
    if isinstance(error, Conflict | OutputError):
        status = 409
    hint = getattr(error, "hint", None)
    return JSONResponse({"error": " ".join(str(error).split()), "hint": hint}, status)


class Running:
    """A server that is ready to run on the loopback interface.

    Args:
        batch: the scans under review.
        port: to listen on; 0 for any that is free.

    Attributes:
        address: of the page, with its secret.

    Raises:
        OutputError: the port cannot be had.
    """

    def __init__(self, batch: Batch, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.bind(("127.0.0.1", port))
            self._socket.listen(128)  # from now on a browser may ask, and is answered in time
        except OSError as error:
            self._socket.close()
            raise OutputError(
                f"port {port} of this machine cannot be used: {error.strerror or error}",
                hint="Choose another with --port, or leave it out.",
            ) from error
        port = self._socket.getsockname()[1]
        token = secrets.token_urlsafe(24)
        self.address = f"http://127.0.0.1:{port}/{token}/"
        app: App = Guard(Site(batch).app(), token, port)
        config = uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
        self.server = uvicorn.Server(config)

    def run(self) -> None:
        """Answer until interrupted."""
        try:
            self.server.run(sockets=[self._socket])
        except KeyboardInterrupt:
            interrupts.expected()
        finally:
            self._socket.close()
