"""A cluster's least part, for the rehearsal: each pod is a network of its own, each container a process in it that sees
what the manifest gives it and no more. Needs root, `ip`, `iptables` and `setpriv`, and touches nothing of the machine."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

USER = "65532"
SYSTEM = ("usr", "dev", "proc")
# Becomes the process: a root that holds the program and what is mounted, then no root, no capability, no way to more.
ENTER = """
set -eu; root=$1; user=$2; shift 2
mount -t tmpfs -o mode=755 tmpfs "$root"; cd "$root"
mkdir -p usr dev proc etc tmp data; ln -s usr/lib lib; ln -s usr/lib64 lib64; ln -s usr/bin bin
for part in usr dev proc; do mount --rbind "/$part" "$part"; done
cp "$HOSTS" etc/hosts; echo 'multi on' > etc/host.conf; echo 'hosts: files' > etc/nsswitch.conf
touch "$NAME"; mount --bind "$PROGRAM" "$NAME"
# The image has the authorities of the system it was built on.
mkdir -p etc/ssl/certs; cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/
while [ "$1" != -- ]; do mkdir -p ".$2"; mount --bind "$1" ".$2"; [ "$3" = rw ] || mount -o remount,bind,ro ".$2"; shift 3; done
shift; mount -o remount,ro "$root"
cd "$root/data"
exec chroot "$root" /usr/bin/setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all --bounding-set=-all \
  --no-new-privs /usr/bin/env -i "$@"
"""


class Running:
    """One container of one replica."""

    def __init__(self, pod, container, process, log):
        self.pod, self.container, self.process, self.log = pod, container, process, log


class Kubelet:
    def __init__(self, world, folder, programs, addresses, open_paths):
        self.world, self.folder, self.programs = world, Path(folder), programs
        self.addresses, self.open_paths = addresses, open_paths
        self.tag, self.running, self.turn = f"js{os.getpid()}", {}, threading.Lock()
        self.hub = f"{self.tag}-hub"
        self.hosts = self.folder / "hosts"
        run("ip", "netns", "add", self.hub)
        run("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.hub, "link", "set", "br0", "up")

    def network(self, name):
        """A network for a pod: it reaches whom the policies let it reach, and is reached so."""
        space = f"{self.tag}-{name}"
        port = self.port(name)
        run("ip", "netns", "add", space)
        run("ip", "link", "add", "eth0", "netns", space, "type", "veth", "peer", "name", port, "netns", self.hub)
        run("ip", "-n", self.hub, "link", "set", port, "master", "br0", "up")
        run("ip", "-n", space, "addr", "add", f"{self.addresses[name]}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            run("ip", "-n", space, "link", "set", link, "up")
        rules = ["-i lo -j ACCEPT", "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"]
        for source, number in self.open_paths(name):
            rules.append(f"-s {source} -p tcp --dport {number} -j ACCEPT")
        for rule in [*rules, "-j REJECT"]:
            run("ip", "netns", "exec", space, "iptables", "-w", "-A", "INPUT", *rule.split())

    def port(self, name):
        return f"p{self.addresses[name].rpartition('.')[2]}"

    def start(self, pod, name):
        """Starts every container of a replica that there is a program for. The reloader has none: see `reload`."""
        self.network(name)
        for container in pod.containers():
            if image(container) not in self.programs:
                continue
            log = self.folder / f"{name}.{container['name']}.log"
            process = self.spawn(pod, name, container, container_command(container), log.open("ab"))
            self.running.setdefault(name, []).append(Running(pod, container, process, log))

    def spawn(self, pod, name, container, command, out, stdin=subprocess.DEVNULL):
        program, called = self.programs[image(container)], {"nats": "nats-server"}.get(image(container), image(container))
        read = {key: value for key, value in self.world.environment(container).items() if value is not None}
        for variable in container.get("env", []):
            if variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") == "metadata.name":
                read[variable["name"]] = name
        root = self.folder / "roots" / f"{name}.{container['name']}.{time.monotonic_ns()}"
        root.mkdir(parents=True)
        mounts = []
        for mount in container.get("volumeMounts", []):
            source, read_only = self.volume(pod, name, mount["name"])
            mounts += [str(source), mount["mountPath"], "ro" if mount.get("readOnly") or read_only else "rw"]
        words = [f"/{called}" if word == called else word for word in command]
        enter = ["ip", "netns", "exec", f"{self.tag}-{name}", "/bin/bash", "-c", ENTER, "enter", str(root), USER]
        around = os.environ | {"HOSTS": str(self.hosts), "PROGRAM": str(program), "NAME": called}
        line = [*enter, *mounts, "--", *(f"{key}={value}" for key, value in read.items()), *words]
        return subprocess.Popen(line, env=around, stdin=stdin, stdout=out, stderr=out)

    def volume(self, pod, name, volume):
        """The folder of a volume, and whether it is only to be read."""
        it = next((v for v in pod.spec.get("volumes", []) if v["name"] == volume), None)
        place = self.folder / "volumes"
        if it is None or "persistentVolumeClaim" in it:
            claim = f"{volume}-{name}" if it is None else it["persistentVolumeClaim"]["claimName"]
            return own(place / claim), False
        if "emptyDir" in it:
            return own(place / f"{name}.{volume}"), False
        folder = place / f"{pod.name}.{volume}"
        with self.turn:
            if not folder.exists():
                self.fill(it, folder)
        return folder, True

    def fill(self, it, folder):
        """Puts the files of its ConfigMaps and Secrets into a folder, for the group alone to be read, each at once."""
        folder.mkdir(parents=True, exist_ok=True)
        for source in it.get("projected", {}).get("sources", [it]):
            named = source.get("configMap", {}).get("name")
            made = self.world.get("ConfigMap", named) if named else None
            stand_in = self.folder / "by-hand" / (named or it.get("secret", {}).get("secretName", ""))
            files = made["data"] if made else {file.name: file.read_text() for file in stand_in.iterdir()}
            for key, text in files.items():
                new = folder / f".{key}"
                new.write_text(text)
                os.chown(new, 0, int(USER))
                new.chmod(0o440)
                new.replace(folder / key)

    def refill(self):
        """What has changed in ConfigMaps and Secrets comes to whom it is mounted."""
        for pod in self.world.pods():
            for it in pod.spec.get("volumes", []):
                folder = self.folder / "volumes" / f"{pod.name}.{it['name']}"
                if folder.exists():
                    self.fill(it, folder)

    def reload(self, name):
        """What the reloader beside a nats-server does when a file has changed."""
        self.running[name][0].process.send_signal(signal.SIGHUP)

    def ready(self, name):
        """Whether every container of a replica answers what its probe asks."""
        return all(self.answers(name, it) for it in self.running[name])

    def answers(self, name, it):
        asked = it.container.get("readinessProbe", {}).get("httpGet")
        if not asked:
            return it.process.poll() is None
        port = next(p["containerPort"] for p in it.container["ports"] if p["name"] == asked["port"])
        return self.probe(name, f"http://127.0.0.1:{port}{asked['path']}")

    def probe(self, name, url, limit="3s"):
        line = ["ip", "netns", "exec", f"{self.tag}-{name}", str(self.programs["jetsaga"]), "probe", url, "--limit", limit]
        return subprocess.run(line, capture_output=True, check=False).returncode == 0

    def execute(self, name, *words, text=""):
        """`kubectl exec`: the tool as another process in a replica's first container. Returns what it prints."""
        it = self.running[name][0]
        with tempfile.TemporaryFile("w+") as stdin, tempfile.TemporaryFile() as out:
            stdin.write(text)
            stdin.flush()
            stdin.seek(0)
            process = self.spawn(it.pod, name, it.container, ["/jetsaga", *words], out, stdin)
            code = process.wait(timeout=120)
            out.seek(0)
            return code, out.read().decode()

    def restart_dead(self, name):
        """What Kubernetes does with a container that has ended."""
        for it in self.running[name]:
            if it.process.poll() is not None:
                it.process = self.spawn(it.pod, name, it.container, container_command(it.container), it.log.open("ab"))

    def stop(self, name, how=signal.SIGTERM):
        """Ends a replica as Kubernetes does; its exit codes, and how long it took. Its network is gone afterwards."""
        replica, begun = self.running.pop(name), time.monotonic()
        grace = replica[0].pod.spec.get("terminationGracePeriodSeconds", 30)
        for it in replica:
            time.sleep(it.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0) if how == signal.SIGTERM else 0)
            it.process.send_signal(how)
        codes = [it.process.wait(timeout=grace) for it in replica]
        took = time.monotonic() - begun
        run("ip", "-n", self.hub, "link", "del", self.port(name))
        run("ip", "netns", "del", f"{self.tag}-{name}")
        return codes, took

    def close(self):
        for name in list(self.running):
            self.stop(name, signal.SIGKILL)
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        for space in (line.split()[0] for line in listed.splitlines() if line.startswith(f"{self.tag}-")):
            run("ip", "netns", "del", space)
        shutil.rmtree(self.folder / "roots", ignore_errors=True)


def image(container):
    return container["image"].partition(":")[0]


def container_command(container):
    entry = ["/jetsaga"] if image(container) == "jetsaga" else []
    return [*(container.get("command") or entry), *container.get("args", [])]


def own(folder, user=USER):
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, int(user), int(user))
    return folder


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
