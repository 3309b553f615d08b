"""What production takes from outside, for the rehearsal: keys, certificates, a PostgreSQL, a payment provider."""

import json
import os
import subprocess
import sys
import time

from kubelet import own, run
from world import ROOT, render

# PostgreSQL asks for a user that the machine knows.
NOBODY = "65534"
# Who reaches what is not in the manifests, where.
PATHS = {
    ("projector", "database", 5432),
    ("gateway", "database", 5432),
    ("payment", "provider", 4242),
    ("notifier", "notices", 8080),
}
# Which replica a name of the outside is.
HOSTS = {"database.postgresql": "database", "payments.example.com": "provider", "notices.example.com": "notices"}
# Takes every notice.
NOTICES = """
import http.server
class Take(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_): pass
try:
    http.server.ThreadingHTTPServer(("", 8080), Take).serve_forever()
except KeyboardInterrupt:
    pass
"""


def add(world, replicas):
    """The provider of dev takes the place of the real one. KEDA would wake the notifier; here it runs from the start."""
    there = {(it["kind"], it["metadata"]["name"]): it for it in render("overlays/dev")}
    world.objects += [there["Deployment", "provider"], there["PersistentVolumeClaim", "ledger"]]
    world.config("workers")["PAYMENT_PROVIDER_URL"] = "http://payments.example.com:4242"
    world.config("workers")["NOTIFIER_WEBHOOK"] = "http://notices.example.com:8080/jetsaga"
    replicas |= {"provider": 1, "notifier": 1}


def files(world, folder, jetsaga):
    """The Secrets and ConfigMaps that README.md makes, and what cert-manager would."""
    made = folder / "by-hand"
    keys = folder / "keys"
    run(jetsaga, "topology", "users", "--keys", str(keys))
    put(made / "nats-users", "users.conf", (ROOT / "deploy/nats/users.conf").read_text())
    put(made / "nats-users", "nkeys.conf", (keys / "nkeys.conf").read_text())
    for seed in keys.glob("*.nk"):
        put(made / f"nkey-{seed.stem}", "nkey", seed.read_text())
    put(made / "database", "url", "postgres://jetsaga@database.postgresql/jetsaga?sslmode=disable\n")
    said = subprocess.run([jetsaga, "token", "new", "--name", "rehearsal"], check=True, capture_output=True, text=True)
    put(made / "gateway-keys", "keys", said.stdout.split("line for the file of keys:")[1].strip() + "\n")
    certificates(made, folder, 1)


def renew(folder, jetsaga, user):
    """Another key for one user, and every certificate anew, by the same authority, for two days."""
    made, keys = folder / "by-hand", folder / "keys"
    for name in (f"{user}.nk", "nkeys.conf"):
        (keys / name).unlink()
    run(jetsaga, "topology", "users", "--keys", str(keys))
    put(made / "nats-users", "nkeys.conf", (keys / "nkeys.conf").read_text())
    put(made / f"nkey-{user}", "nkey", (keys / f"{user}.nk").read_text())
    certificates(made, folder, 2)


def expires(cluster, name):
    """Until when the certificate is good that this nats-server shows to clients, as it says itself."""
    ask = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8222/varz', timeout=5).read().decode())"
    line = ["ip", "netns", "exec", f"{cluster.tag}-{name}", sys.executable, "-c", ask]
    return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)["tls_cert_not_after"]


def put(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def certificates(made, folder, days):
    """One for each Certificate, under the names and for the uses that it says."""
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key".split()
    authority = folder / "authority"
    if not authority.exists():
        authority.mkdir()
        quiet(*new, "-x509", "-days", "2", "-subj", "/CN=jetsaga", "-out", "ca.crt", folder=authority)
    for it in render("cert-manager"):
        spec = it["spec"]
        if it["kind"] != "Certificate":
            continue
        place = made / spec["secretName"]
        if spec.get("isCA"):
            continue
        uses = {"server auth": "serverAuth", "client auth": "clientAuth"}
        put(place, "names", f"subjectAltName={','.join(f'DNS:{name}' for name in spec['dnsNames'])}\n"
            f"extendedKeyUsage={','.join(uses[use] for use in spec['usages'])}\n")
        quiet(*new, "-subj", f"/CN={it['metadata']['name']}", "-out", "request", folder=place)
        sign = f"openssl x509 -req -days {days} -in request -extfile names -out tls.crt -CAcreateserial".split()
        quiet(*sign, "-CA", str(authority / "ca.crt"), "-CAkey", str(authority / "tls.key"), folder=place)
        put(place, "ca.crt", (authority / "ca.crt").read_text())
        for name in ("names", "request"):
            (place / name).unlink()


def quiet(*words, folder):
    subprocess.run(words, cwd=folder, check=True, capture_output=True)


def database(cluster, folder, addresses, programs):
    """A PostgreSQL with an empty database, where the policies say that one is. Returns its process."""
    place = own(folder / "postgres", NOBODY)
    user = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
    around = os.environ | {"LC_ALL": "C"}
    quiet(*user, f"{programs}/initdb", "-D", str(place), "-U", "jetsaga", "--auth=trust", "--no-sync", folder=place)
    with (place / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.77.0.0/24 trust\n")
    alone = [*user, f"{programs}/postgres", "--single", "-D", str(place), "postgres"]
    subprocess.run(alone, input="CREATE DATABASE jetsaga\n", text=True, check=True, capture_output=True, env=around)
    cluster.network("database-0")
    server = [f"{programs}/postgres", "-D", str(place), "-c", "listen_addresses=*", "-c", f"unix_socket_directories={place}"]
    inside = ["ip", "netns", "exec", f"{cluster.tag}-database-0"]
    with (folder / "database.log").open("wb") as log:
        process = subprocess.Popen([*inside, *user, *server], stdout=log, stderr=log, env=around)
    ask = [*inside, f"{programs}/pg_isready", "-q", "-h", addresses["database-0"]]
    begun = time.monotonic()
    while subprocess.run(ask, check=False).returncode:
        if time.monotonic() - begun > 30 or process.poll() is not None:
            raise SystemExit(f"PostgreSQL does not start: {(folder / 'database.log').read_text()}")
        time.sleep(0.2)
    return process


def notices(cluster):
    """Who takes notices. Returns its process."""
    cluster.network("notices-0")
    return subprocess.Popen(["ip", "netns", "exec", f"{cluster.tag}-notices-0", sys.executable, "-c", NOTICES])
