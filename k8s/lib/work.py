"""What the manifests say to the workers is what they know, and what the servers have."""

import re

import yaml

from units import seconds
from world import K8S, ROOT

FINAL = re.compile(r"^[\w./-]+:v?\d+\.\d+\.\d+(-[\w.]+)?$")


def check(world):
    yield from images(world)
    for pod in world.pods():
        yield from (f"{pod}: {why}" for why in lifetime(world, pod))
        for container in pod.containers():
            yield from (f"{pod}, container {container['name']}: {why}" for why in variables(world, container))
    yield from spread(world)
    yield from servers(world)


def images(world):
    """Every image has a version, the same that compose has, or for what compose does not run, the chart's values."""
    compose = (ROOT / "deploy/compose.yaml").read_text()
    reloader = yaml.safe_load((K8S / "chart/nats.values.yaml").read_text())["reloader"]["image"]
    for pod in world.pods():
        for container in pod.containers():
            image = container["image"]
            if not FINAL.match(image):
                yield f"{pod}: {image} is not NAME:VERSION"
            elif image.partition(":")[0] == reloader["repository"]:
                if image.partition(":")[2] != reloader["tag"]:
                    yield f"{pod}: {image} is not the version of chart/nats.values.yaml"
            elif f"image: {image}\n" not in compose:
                yield f"{pod}: {image} is not the version of deploy/compose.yaml"


def command(container):
    """The words of the tool that ask what a container reads."""
    args = container.get("args", [])
    return (*args[:2], "--help") if args[:1] in (["worker"], ["topology"], ["stock"]) else (*args[:1], "--help")


def variables(world, container):
    if not container["image"].startswith("jetsaga:"):
        return
    known = set(re.findall(r"\[env: (\w+)[=\]]", world.facts["tool"].ask(*command(container))))
    read = world.environment(container)
    for name, value in read.items():
        if name not in known:
            yield f"nothing there reads {name}; `jetsaga {' '.join(command(container))}` says what it reads"
        if value is None:
            yield f"{name} has no value"
        elif re.search(r"://[^/\s]*:[^/\s]*@", value):
            yield f"{name} shows a password"
    ports = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
    for variable, port in (("JETSAGA_HTTP_LISTEN", ("probes", "projector")), ("GATEWAY_LISTEN", ("api",)), ("PROVIDER_LISTEN", ("charges",))):
        value = read.get(variable)
        if value and int(value.rpartition(":")[2]) not in [ports.get(name) for name in port]:
            yield f"{variable} is {value}, and its port {' or '.join(port)} is {[ports.get(name) for name in port]}"


# Seconds, at most: after the drain, the metrics as they are then and the spans that wait go to a receiver that may hang.
LAST_WORDS = 5 + 5


def lifetime(world, pod):
    """It is given longer to end than it may take."""
    grace = pod.spec.get("terminationGracePeriodSeconds", 30)
    for container in pod.containers():
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        drain = seconds(world.environment(container).get("JETSAGA_DRAIN_LIMIT") or "0s")
        if drain and grace < pause + drain + LAST_WORDS:
            yield f"it is killed after {grace} s, and its drain may take {pause} + {drain} s, and its last telemetry {LAST_WORDS} s"
        if pod.name == "nats":
            lame = seconds(setting(world.config("nats-config").get("nats.conf", ""), "lame_duck_duration") or "0s")
            if not lame or grace <= lame:
                yield f"it is killed after {grace} s, and its lame duck takes {lame} s"


def setting(conf, name):
    found = re.search(rf"^\s*{name}:\s*(.+?)\s*$", conf, re.MULTILINE)
    return found and found[1]


def spread(world):
    """Replicas of a worker are kept apart, by node and by zone."""
    for pod in world.pods():
        if pod.labels.get("app.kubernetes.io/component") == "worker":
            keys = {it["topologyKey"] for it in pod.spec.get("topologySpreadConstraints", [])}
            if keys != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
                yield f"{pod}: it is not spread over nodes and zones"


def servers(world):
    """The nats-servers have what the workers demand of them, and find each other by their names."""
    nats, engine = world.pod("nats"), world.config("engine")
    conf, headless = world.config("nats-config").get("nats.conf", ""), nats.owner["spec"]["serviceName"]
    count, replicas = nats.replicas(), int(engine["JETSAGA_REPLICAS"])
    demanded = engine["JETSAGA_REQUIRE_DURABILITY"].split(",")
    if replicas > count:
        yield f"JETSAGA_REPLICAS is {replicas}, and there are {count} nats-servers"
    if ("node-loss" in demanded) != (replicas >= 3):
        yield f"JETSAGA_REQUIRE_DURABILITY is {','.join(demanded)}, and JETSAGA_REPLICAS is {replicas}"
    if ("power-loss" in demanded) != (setting(conf, "sync_interval") == "always"):
        yield f"JETSAGA_REQUIRE_DURABILITY is {','.join(demanded)}, and sync_interval is {setting(conf, 'sync_interval')}"
    if count > 1:
        routes = [f"nats://nats-{n}.{headless}:6222" for n in range(count)]
        if f"[{', '.join(routes)}]" != setting(conf, "routes"):
            yield f"nats.conf: routes are {setting(conf, 'routes')}, and the pods are {', '.join(routes)}"
    if setting(conf, "server_name") != "$NATS_NODE":
        yield "nats.conf: server_name is not $NATS_NODE, the pod's name, by which KEDA finds the leader of a consumer"
    if ("tls" in conf) != engine["JETSAGA_NATS_URL"].startswith("tls://"):
        yield f"JETSAGA_NATS_URL is {engine['JETSAGA_NATS_URL']}, and nats.conf says otherwise"
