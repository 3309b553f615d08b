"""The nats-servers: nats.conf and the pod that runs it say the same, and a cluster of them can come up, stay and be replaced."""

from urllib.parse import parse_qs, urlsplit

from files import holder, keys, writable
from natsconf import ON, block, port, settings
from units import part, size
from world import matches

# What shows a certificate and has it checked; the last also asks whether a route's name is one of the routes.
VERIFIES = ("verify", "verify_and_map", "verify_cert_and_check_known_urls")
# What each probe may ask of /healthz. At the start: everything, for well means caught up. Later a server that only lags
# is left alone: the kubelet restarts it for its own JetStream alone, never for what it waits for from others.
HEALTH = {"startupProbe": [set()], "livenessProbe": [{"js-enabled-only"}], "readinessProbe": [{"js-server-only"}, {"js-enabled-only"}]}


def check(world):
    pod = world.pod("nats")
    if not pod:
        yield "there are no nats-servers"
        return
    container = next((c for c in pod.containers() if c["name"] == pod.name), pod.containers()[0])
    conf = settings(world.config("nats-config").get("nats.conf", ""))
    yield from (f"nats.conf: {why}" for why in identity(conf, world.config("engine")))
    for rule in (mounted, named, written, stopped, ports, probes, memory):
        yield from (f"{pod}: {why}" for why in rule(world, pod, container, conf))
    yield from (f"{pod}: {why}" for why in kept(pod, conf))
    if (pod.replicas() or 1) > 1:
        yield from (f"{pod}: {why}" for why in together(world, pod))


def identity(conf, engine):
    """Whoever signs and shows a certificate is asked for both, and nobody else comes in."""
    included = any(path.rpartition("/")[2] == "users.conf" for path in conf.get("include", "").split())
    if engine.get("JETSAGA_NATS_NKEY_FILE") and not included:
        yield "it includes no users.conf: the workers sign with their nkeys, and whoever does not may do everything"
    if included and not engine.get("JETSAGA_NATS_NKEY_FILE"):
        yield "it includes users.conf, and ConfigMap engine has no JETSAGA_NATS_NKEY_FILE: nobody comes in"
    if engine.get("JETSAGA_NATS_CERT_FILE"):
        for where in ["tls", *(["cluster.tls"] if block(conf, "cluster") else [])]:
            on = [word for word in VERIFIES if conf.get(f"{where}.{word}") in ON]
            if not on or conf.get(f"{where}.verify", "true") not in ON:
                yield f"{where} asks for no certificate: the workers have one each, and `verify: true` asks for it"
            if conf.get(f"{where}.min_version") != "1.3":
                yield f'{where}: min_version is {conf.get(f"{where}.min_version")}; it is "1.3"'


def mounted(world, pod, container, conf):
    """`--config` names nats.conf, where it is."""
    words = [word for text in container.get("command", []) + container.get("args", []) for word in text.split("=", 1)]
    path = next((after for word, after in zip(words, words[1:]) if word in ("--config", "-c")), None)
    if path is None:
        yield "it is started without --config"
        return
    yield from lacks(world, pod, container, "--config", path)
    for file in conf.get("include", "").split():
        yield from lacks(world, pod, container, "include", f"{path.rpartition('/')[0]}/{file}")


def named(world, pod, container, conf):
    """Every certificate and key that nats.conf names is where it says."""
    for name, path in conf.items():
        if name.endswith("_file") and "tls." in name:
            yield from lacks(world, pod, container, name, path)


def lacks(world, pod, container, what, path):
    mount = holder(container, path)
    there = keys(world, pod, mount)
    if not mount:
        yield f"{what} names {path}, and nothing is mounted there"
    elif there is not None and path.removeprefix(mount["mountPath"]).lstrip("/") not in there:
        yield f"{what} names {path}, and what is mounted at {mount['mountPath']} has {', '.join(sorted(there)) or 'nothing'}"


def written(_, pod, container, conf):
    """What it writes: the streams onto its claim, its number into what it may write to."""
    store = conf.get("jetstream.store_dir")
    claims = {claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates", [])}
    mount = holder(container, store or "")
    if not mount or mount["name"] not in claims or mount.get("readOnly"):
        yield f"jetstream.store_dir is {store}, and its claim is not mounted there: what it stores is lost with the pod"
    pid = conf.get("pid_file")
    if pid and not writable(pod, container, pid):
        yield f"pid_file is {pid}, where it may not write: it does not start"


def stopped(_, pod, container, conf):
    """Before it is stopped it is told to hand over: a mere SIGTERM hands nothing over."""
    words = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    told = next((word for word in " ".join(words).split() if word.rpartition("=")[0] == "ldm"), None)
    if not told:
        yield "no preStop sends the signal ldm: it ends with its leaders and its clients still on it"
    elif told != f"ldm={conf.get('pid_file')}":
        yield f"its preStop reads {told[4:]}, and pid_file is {conf.get('pid_file')}"


def ports(_, pod, container, conf):
    """It listens at the ports that the container says."""
    said = {it.get("name"): it["containerPort"] for it in container.get("ports", [])}
    due = {"client": port(conf, "port", "listen", "4222"), "monitor": port(conf, "http_port", "http")}
    if block(conf, "cluster"):
        due["cluster"] = port(conf, "cluster.port", "cluster.listen")
    for name, number in due.items():
        if said.get(name) != number:
            yield f"its port {name} is {said.get(name)}, and in nats.conf it is {number}"


def probes(_, pod, container, conf):
    for probe, right in HEALTH.items():
        asked = urlsplit(container.get(probe, {}).get("httpGet", {}).get("path", ""))
        query = {key for key, values in parse_qs(asked.query).items() if values == ["true"]}
        if asked.path != "/healthz" or query not in right:
            ways = " or ".join("/healthz" + "".join(f"?{word}=true" for word in words) for words in right)
            yield f"its {probe} asks {asked.geturl() or 'nothing'}; it asks {ways}"


def memory(world, pod, container, conf):
    """Memory for Go is less than the limit, and more than what JetStream may hold in it; the disk is more than its files."""
    limit = container["resources"].get("limits", {}).get("memory", "0")
    own = world.environment(container).get("GOMEMLIMIT")
    if not own or size(own) >= size(limit):
        yield f"GOMEMLIMIT is {own}, and its limit of memory {limit}: it is killed before it collects"
    held = conf.get("jetstream.max_memory_store")
    if not held or size(held) >= size(own or limit):
        yield f"jetstream.max_memory_store is {held}, and GOMEMLIMIT {own}: streams in memory would fill it"
    claim = pod.owner["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]
    files = conf.get("jetstream.max_file_store")
    if not files or size(files) >= size(claim):
        yield f"its volume of {claim} has no room beside max_file_store {files}"


def kept(pod, conf):
    """Its claims outlive it, and all of them start at once: none is well before it has found the others."""
    for moment, fate in pod.owner["spec"].get("persistentVolumeClaimRetentionPolicy", {}).items():
        if fate != "Retain":
            yield f"persistentVolumeClaimRetentionPolicy.{moment} is {fate}: the streams go with it; it is Retain"
    policy = pod.owner["spec"].get("podManagementPolicy", "OrderedReady")
    if block(conf, "cluster") and policy != "Parallel":
        yield f"podManagementPolicy is {policy}: the first waits for the second, which is not started before it; it is Parallel"


def together(world, pod):
    """Servers that are not ready yet find each other, are apart, and are taken away one at a time."""
    count, service = pod.replicas(), pod.owner["spec"]["serviceName"]
    if not (world.get("Service", service) or {"spec": {}})["spec"].get("publishNotReadyAddresses"):
        yield f"Service {service} does not publishNotReadyAddresses: a server that is not ready has no name, and none gets ready"
    for budget in world.of("PodDisruptionBudget"):
        if matches(budget["spec"]["selector"], pod.labels) and may_go(budget, count) > (count - 1) // 2:
            yield f"PodDisruptionBudget {budget['metadata']['name']} lets {may_go(budget, count)} of {count} go: no majority is left"
    anti = pod.spec.get("affinity", {}).get("podAntiAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])
    terms = [(term, "apart") for term in anti] + [(term, "spread") for term in pod.spec.get("topologySpreadConstraints", [])]
    by = {(term["topologyKey"], how) for term, how in terms if matches(term.get("labelSelector"), pod.labels)}
    if not by & {("kubernetes.io/hostname", "apart"), ("topology.kubernetes.io/zone", "apart")}:
        yield "two of them may run on one node"
    if not by & {("topology.kubernetes.io/zone", "spread"), ("topology.kubernetes.io/zone", "apart")}:
        yield "it is not spread over zones: all of them may run in one"


def may_go(budget, count):
    """How many of so many pods a disruption budget lets go at once. Kubernetes rounds both kinds of share up."""
    least = budget["spec"].get("minAvailable")
    return part(budget["spec"].get("maxUnavailable", 0), count, up=True) if least is None else count - part(least, count, up=True)
