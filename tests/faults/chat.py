"""Just enough of Slack in a process of its own, so that it can be killed: notes what it was told.

Run as `python -m tests.faults.chat PORT FILE`. Each new message becomes a line in FILE before it is
answered: the time, and the marks of the alerts it stands for.
"""

from __future__ import annotations

import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MARK = re.compile("#([0-9a-f]{8})")


def main(port: int, file: Path) -> None:
    """Answer until killed."""

    class Room(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path.endswith("chat.postMessage"):
                line = json.dumps([time.time(), MARK.findall(asked["text"])])
                with file.open("a") as notes:
                    notes.write(line + "\n")
            answer = {"ok": True, "channel": asked["channel"], "ts": f"{time.time():.6f}"}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    ThreadingHTTPServer(("127.0.0.1", port), Room).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
