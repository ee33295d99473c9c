"""A child program without a model: as the real one, but its answers are made up.

What it does is told by the prompt's last line: `crash` ends it, `hang` never answers.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer


class Server(ThreadingMixIn, UnixStreamServer):
    """HTTP on a socket file."""

    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    """Answers completions."""

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = content["prompt"]
        if "crash" in prompt:
            os.abort()
        if "hang" in prompt:
            threading.Event().wait()
        self.send_response(200)
        self.end_headers()
        pieces = [{"content": " ein"}, {"content": " Hut mit Feder."}]
        end = {"stop": True, "stop_type": "eos", "tokens_evaluated": 9, "tokens_predicted": 2}
        for piece in [*pieces, {"content": "", **end}]:
            self.wfile.write(b"data: " + json.dumps(piece).encode() + b"\n\n")
            self.wfile.flush()

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    """Serve until the standard input closes."""
    config = json.loads(sys.argv[1])
    if config["model"].endswith("broken.gguf"):
        print(json.dumps({"error": "RuntimeError"}))
        return
    server = Server(config["socket"], Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.buffer.read()
    os._exit(0)


main()
