"""A client that writes records through the whole voyage and reads them all back: `python writer.py URL HOST SECONDS`.

Prints one JSON object: records written, refused (any answer but 201), lost (written and not there at the end). Ends on SIGTERM.
"""

import base64
import http.client
import json
import signal
import sys
import time
from urllib.parse import urlsplit

AUTH = {"Authorization": "Basic " + base64.b64encode(b"voyage:token").decode(), "Content-Type": "application/json"}


class Writer:
    def __init__(self, url, host):
        self.address, self.host = urlsplit(url).netloc, host
        self.stopped, self.written, self.refused = False, [], []

    def ask(self, method, path, body=None):
        """A connection a request, as simple clients do; (status, JSON)."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, path, json.dumps(body) if body else None, {**AUTH, "Host": self.host})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else {}
        finally:
            connection.close()

    def run(self, seconds):
        self.ask("PUT", "/v1/buckets/voyage", {"data": {}})
        self.ask("PUT", "/v1/buckets/voyage/collections/log", {"data": {}})
        end, number = time.monotonic() + seconds, 0
        while not self.stopped and time.monotonic() < end:
            number += 1
            try:
                status, _ = self.ask("PUT", f"/v1/buckets/voyage/collections/log/records/r{number:06}", {"data": {"number": number}})
            except (OSError, http.client.HTTPException) as error:
                status = repr(error)
            (self.written if status == 201 else self.refused).append(number if status == 201 else (number, status))
            time.sleep(0.02)
        missing = [n for n in self.written if self.ask("GET", f"/v1/buckets/voyage/collections/log/records/r{n:06}")[0] != 200]
        print(json.dumps({"written": len(self.written), "refused": self.refused, "lost": missing}), flush=True)


if __name__ == "__main__":
    writer = Writer(sys.argv[1], sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: setattr(writer, "stopped", True))
    writer.run(float(sys.argv[3]))
