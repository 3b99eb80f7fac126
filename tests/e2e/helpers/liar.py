"""A node that lies: passes every GET on to a true one, but names another participant for any key, lists
every deal as bought and every order as placed by NAME, lists every deal and order twice, hides a movement of
money, tells another amount of one, or says that blocks are older than they are.

Usage: liar.py NODE-URL NAME [keys|deals|orders|twice|hidden|amount|older]; prints its own URL and serves
until it is killed."""
import http.server
import json
import sys
import urllib.error
import urllib.request


LIE = sys.argv[3] if len(sys.argv) > 3 else "keys"


def lie(path, body):
    if LIE == "keys" and path.startswith("/v1/keys/"):
        return json.dumps({**json.loads(body), "participant": sys.argv[2]}).encode()
    if LIE == "older" and path.startswith("/v1/blocks/"):
        told = json.loads(body)
        told["header"]["time_ms"] = str(int(told["header"]["time_ms"]) - 86400000)
        return json.dumps(told).encode()
    if LIE in ("hidden", "amount") and path.startswith("/v1/movements?"):
        told = json.loads(body)
        if LIE == "hidden":
            del told["items"][1]
        else:
            told["items"][1]["amount_ueur"] = "1"
        return json.dumps(told).encode()
    listed = path.startswith(("/v1/deals?", "/v1/orders?"))
    if not listed or (LIE != "twice" and not path.startswith(f"/v1/{LIE}?")):
        return body
    told = json.loads(body)
    if LIE == "twice":
        told["items"] = [item for item in told["items"] for _ in range(2)]
    else:
        for item in told["items"]:
            item["buyer" if LIE == "deals" else "participant"] = sys.argv[2]
    return json.dumps(told).encode()


class Liar(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            with urllib.request.urlopen(sys.argv[1] + self.path, timeout=10) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        if status == 200:
            body = lie(self.path, body)
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
