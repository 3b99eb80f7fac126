"""A node that lies: passes every GET on to a true one, but names another participant for any key.

Usage: liar.py NODE-URL NAME; prints its own URL and serves until it is killed."""
import http.server
import json
import sys
import urllib.error
import urllib.request


class Liar(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            with urllib.request.urlopen(sys.argv[1] + self.path, timeout=10) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        if self.path.startswith("/v1/keys/") and status == 200:
            told = json.loads(body)
            told["participant"] = sys.argv[2]
            body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
