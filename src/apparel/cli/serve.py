"""`apparel serve`: serve a model over HTTP."""

import os
from argparse import Namespace

from apparel.serve.limits import Limits
from apparel.serve.server import Address, serve


def main(parsed: Namespace) -> None:
    """Serve until a signal ends it."""
    serve(
        parsed.model,
        Address(
            host=parsed.host,
            port=parsed.port,
            allowed_hosts=parsed.allow_host,
            allowed_origins=parsed.allow_origin,
            token=os.environ.get("APPAREL_TOKEN") if parsed.token is None else parsed.token,
            insecure=parsed.insecure,
        ),
        Limits(
            body_bytes=parsed.max_body,
            held_bytes=max(parsed.max_body, Limits.held_bytes),
            images=parsed.max_images,
            pixels=parsed.max_pixels,
            read_seconds=parsed.read_timeout,
            answer_seconds=parsed.answer_timeout,
            connections=parsed.max_connections,
            queue=parsed.queue,
        ),
        exact=parsed.exact,
    )
