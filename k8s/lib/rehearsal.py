"""Plays README.md without a cluster: first order, upgrade under traffic, scale-out, a lost node, on the rendered manifests
with real processes. Arguments: dev or prod, the tool `jetsaga`, a nats-server, PostgreSQL's programs (prod)."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "deploy/lib"))

import paths
import standins
from kubelet import Kubelet
from world import ROOT, World, render

ORDER = json.loads((ROOT / "deploy/seed/order.json").read_text())


class Rehearsal:
    def __init__(self, which, folder, jetsaga, nats_server, postgres):
        self.world = World(which, render(f"overlays/{which}"))
        self.which, self.folder, self.placed, self.turn = which, Path(folder), 0, threading.Lock()
        self.jetsaga = jetsaga
        self.replicas = {pod.name: self.count(pod) for pod in self.world.pods() if pod.kind != "Job"}
        self.outside = []
        if which == "prod":
            standins.add(self.world, self.replicas)
        self.pods = {pod.name: pod for pod in self.world.pods()}
        names = [f"{pod.name}-{n}" for pod in self.world.pods() for n in range(8)] + ["database-0", "notices-0"]
        self.addresses = {name: f"10.77.0.{n + 1}" for n, name in enumerate(names)}
        self.opened = paths.inside(self.world)[0] | standins.PATHS
        programs = {"jetsaga": jetsaga, "nats": nats_server}
        self.cluster = Kubelet(self.world, folder, programs, self.addresses, self.open_to)
        self.write_hosts()
        if which == "prod":
            standins.files(self.world, self.folder, jetsaga)
            self.outside = [
                standins.database(self.cluster, self.folder, self.addresses, postgres),
                standins.notices(self.cluster),
            ]

    def count(self, pod):
        scaled = [it["spec"] for kind in ("ScaledObject", "HorizontalPodAutoscaler") for it in self.world.of(kind)]
        least = {it["scaleTargetRef"]["name"]: it.get("minReplicaCount", it.get("minReplicas")) for it in scaled}
        return least.get(pod.name, pod.replicas() if pod.replicas() is not None else 1)

    def open_to(self, name):
        """Who reaches this replica, and where: an address and a port each."""
        me = name.rpartition("-")[0]
        ports = self.pods[me].ports() if me in self.pods else {}
        for source, target, port in self.opened:
            if target == me:
                for other, address in self.addresses.items():
                    if other.rpartition("-")[0] == source:
                        yield address, ports.get(port, port)

    def write_hosts(self):
        lines = ["127.0.0.1 localhost"]
        for service in self.world.of("Service"):
            name = service["metadata"]["name"]
            pod = next(it for it in self.pods.values() if paths.matches({"matchLabels": service["spec"]["selector"]}, it.labels))
            for n in range(self.replicas.get(pod.name, 0)):
                address = self.addresses[f"{pod.name}-{n}"]
                lines.append(f"{address} {name}")
                if service["spec"].get("clusterIP") == "None":
                    lines.append(f"{address} {pod.name}-{n}.{name}")
        lines += [f"{self.addresses[f'{name}-0']} {host}" for host, name in standins.HOSTS.items() if f"{name}-0" in self.addresses]
        self.cluster.hosts.write_text("\n".join(lines) + "\n")

    def up(self, *names):
        for name in names:
            self.cluster.start(self.pods[name.rpartition("-")[0]], name)
        self.settle(*names)

    def settle(self, *names):
        begun = time.monotonic()
        while not all(self.cluster.ready(name) for name in names):
            for name in names:
                self.cluster.restart_dead(name)
            if time.monotonic() - begun > 90:
                late = [name for name in names if not self.cluster.ready(name)]
                logs = [f"{it.log}: {it.log.read_text()[-600:]}" for name in late for it in self.cluster.running[name]]
                raise SystemExit(f"not ready after 90 s: {', '.join(late)}\n" + "\n".join(logs))
            time.sleep(0.2)

    def job(self, name):
        """Servers that are ready may be electing yet: a Job that fails is begun again, a few of the times that it may be."""
        self.cluster.start(self.pods[name], f"{name}-0")
        it = self.cluster.running[f"{name}-0"][0]
        for attempt in range(4):
            time.sleep(attempt)
            self.cluster.restart_dead(f"{name}-0")
            if not it.process.wait(timeout=120):
                break
        else:
            raise SystemExit(f"job {name} has failed four times: {it.log.read_text()}")
        self.cluster.stop(f"{name}-0")

    def holder(self):
        return "operator-0" if "operator-0" in self.cluster.running else "order-0"

    def tool(self, *words, text=""):
        code, said = self.cluster.execute(self.holder(), *words, text=text)
        if code:
            raise SystemExit(f"jetsaga {' '.join(words)} ends with {code}: {said}")
        return said

    def place(self, number):
        """New orders, all at once; their ids."""
        with self.turn:
            first, self.placed = self.placed, self.placed + number
        orders = []
        for n in range(first, first + number):
            event = json.loads(json.dumps(ORDER))
            event["eventId"] = f"00000000-0000-4000-8000-{n:012}"
            event["payload"]["orderId"] = f"ORD-{n}"
            orders.append(event)
        self.insist("place", "-", text="\n".join(map(json.dumps, orders)))
        return [event["payload"]["orderId"] for event in orders]

    @contextlib.contextmanager
    def traffic(self):
        """Places orders all the time; at the end every one of them has to end."""
        ids, stop, wrong = [], threading.Event(), []

        def go_on():
            try:
                while not stop.wait(0.5):
                    ids.extend(self.place(4))
            except BaseException as error:  # told where the traffic is asked for
                wrong.append(error)

        placing = threading.Thread(target=go_on)
        placing.start()
        try:
            yield
        finally:
            stop.set()
            placing.join()
        if wrong:
            raise wrong[0]
        self.ended(ids)

    def ended(self, ids):
        """Waits until nothing is under way and everything holds; then each of these orders has ended."""
        self.insist("fsck", "--no-ledger", "--at-rest")
        self.finished(ids)

    def finished(self, ids):
        """Waits for the last of these orders, while others come in."""
        for order in ids[-5:]:
            self.insist("show", order, "--wait", "60")

    def insist(self, *words, text=""):
        """The tool, again and again until it succeeds: a client waits out an election as well."""
        begun = time.monotonic()
        while True:
            code, said = self.cluster.execute(self.holder(), *words, text=text)
            if code == 0:
                return said
            if time.monotonic() - begun > 120:
                raise SystemExit(f"jetsaga {' '.join(words)} ends with {code}, for two minutes: {said}")
            time.sleep(0.3)

    def play(self):
        self.tell("servers", lambda: self.up(*(f"nats-{n}" for n in range(self.replicas["nats"]))))
        self.tell("streams and consumers", lambda: self.job("topology"))
        if "stock" in self.pods:
            self.tell("stock", lambda: self.job("stock"))
        workers = [f"{name}-{n}" for name, count in self.replicas.items() if name not in ("nats", "operator") for n in range(count)]
        self.tell(f"{len(workers)} replicas ready", lambda: self.up(*workers))
        self.tell("operator", lambda: self.up("operator-0"))
        if self.which == "prod":
            for product, count in json.loads((ROOT / "deploy/seed/stock.json").read_text()).items():
                self.tool("stock", "adjust", product, str(count), "--operation", f"first-{product.lower()}")
        self.tell("first order", lambda: self.ended(self.place(1)))
        self.tell("a path that no policy opens is closed", self.closed)
        self.tell("upgrade under traffic", self.upgrade)
        self.tell("scale-out", self.scale_out)
        if self.replicas["nats"] > 1:
            self.tell("a lost node", self.lose_a_node)
        if self.which == "prod":
            self.tell("keys and certificates", self.renew)
            self.tell("backup", self.back_up)
        said = self.tell("fsck", lambda: self.tool("fsck", "--no-ledger", "--at-rest"))
        print(f"{self.placed} orders were placed\n{said.strip()}")

    def tell(self, what, do):
        begun = time.monotonic()
        said = do()
        print(f"{what:40} {time.monotonic() - begun:5.1f} s", flush=True)
        return said

    def closed(self):
        target = ("provider-0", 4242) if "provider" in self.replicas else ("order-0", 9100)
        for name in ("shipping-0", "gateway-0"):
            if self.cluster.probe(name, f"http://{self.addresses[target[0]]}:{target[1]}/livez", "1s"):
                raise SystemExit(f"{name} reaches {target[0]}")
        if not self.cluster.probe(target[0], f"http://127.0.0.1:{target[1]}/livez"):
            raise SystemExit(f"{target[0]} does not answer itself")

    def upgrade(self):
        """Every replica of every worker is replaced, a new one first unless its strategy says otherwise."""
        with self.traffic():
            for name, pod in self.pods.items():
                if pod.kind != "Deployment" or name == "operator":
                    continue
                recreate = pod.owner["spec"].get("strategy", {}).get("type") == "Recreate"
                for n in range(self.replicas[name]):
                    spare = f"{name}-{n if recreate else 7}"
                    if not recreate:
                        self.up(spare)
                    codes, took = self.cluster.stop(f"{name}-{n}")
                    if any(codes):
                        raise SystemExit(f"{name}-{n} ends with {codes} after {took:.1f} s")
                    self.up(f"{name}-{n}")
                    if not recreate:
                        self.cluster.stop(spare)

    def scale_out(self):
        more = [f"payment-{n}" for n in range(self.replicas["payment"], self.replicas["payment"] + 3)]
        with self.traffic():
            self.finished(self.place(100))
            self.up(*more)
            for name in more:
                self.cluster.stop(name)

    def lose_a_node(self):
        """One server and one replica of each worker die at once; the server's disk is gone as well."""
        lost = ["nats-2", *(f"{name}-1" for name, count in self.replicas.items() if count > 1 and name != "nats")]
        with self.traffic():
            for name in lost:
                self.cluster.stop(name, signal.SIGKILL)
            self.finished(self.place(40))
            self.up(*lost[1:])
            subprocess.run(["rm", "-rf", str(self.folder / "volumes/data-nats-2")], check=True)
            self.up("nats-2")
            begun = time.monotonic()
            while not self.cluster.probe("nats-2", "http://127.0.0.1:8222/healthz"):
                if time.monotonic() - begun > 120:
                    raise SystemExit("nats-2 has not caught up after 120 s")
                time.sleep(0.2)


    def renew(self):
        """Every certificate and a worker's key are replaced, while orders come in; nobody is started again."""
        servers = [f"nats-{n}" for n in range(self.replicas["nats"])]
        with self.traffic():
            standins.renew(self.folder, self.jetsaga, "order")
            before = {name: standins.expires(self.cluster, name) for name in servers}
            self.cluster.refill()
            for name in servers:
                self.cluster.reload(name)
            begun = time.monotonic()
            while any(standins.expires(self.cluster, name) <= before[name] for name in servers):
                if time.monotonic() - begun > 30:
                    raise SystemExit("a server has its old certificate after 30 s")
                time.sleep(0.2)
            self.finished(self.place(40))

    def back_up(self):
        """By the one who may, while orders come in."""
        self.up("keeper-0")
        with self.traffic():
            code, said = self.cluster.execute("keeper-0", "backup", "/backups/monday")
            if code:
                raise SystemExit(f"the keeper's backup ends with {code}: {said}")
        self.cluster.stop("keeper-0")


def main(which, jetsaga, nats_server, postgres=None):
    folder = tempfile.mkdtemp(prefix="jetsaga-rehearsal-")
    Path(folder).chmod(0o755)
    rehearsal = Rehearsal(which, folder, jetsaga, nats_server, postgres)
    try:
        rehearsal.play()
    except BaseException:
        print(f"its logs are in {folder}", file=sys.stderr)
        raise
    finally:
        for process in rehearsal.outside:
            process.send_signal(signal.SIGINT)
            process.wait()
        rehearsal.cluster.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
