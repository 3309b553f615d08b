"""Who may talk to whom is who has to: the paths that the policies open are those that the configuration names, both ways."""

from urllib.parse import urlsplit

from world import matches

WORLD = "the world"
DNS = ("kube-system", 53)


def check(world):
    denied = [p for p in world.of("NetworkPolicy") if p["spec"]["podSelector"] == {} and not rules(p, "ingress") and not rules(p, "egress")]
    if not any(set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"} for p in denied):
        yield "no NetworkPolicy denies everything by default, in and out"
    yield from named(world)
    opened, half = inside(world)
    needed, outside, inbound = wanted(world)
    yield from (f"the policies open only one end of {told(path)}" for path in sorted(half))
    yield from (f"the policies do not open {told(path)}, which is needed" for path in sorted(needed - opened))
    yield from (f"the policies open {told(path)}, which nothing needs" for path in sorted(opened - needed))
    for side, due in (("egress", outside), ("ingress", inbound)):
        found = beyond(world, side)
        yield from (f"the policies do not open {told_out(side, path)}, which is needed" for path in sorted(due - found))
        yield from (f"the policies open {told_out(side, path)}, which nothing needs" for path in sorted(found - due))


def told(path):
    return f"the way from {path[0]} to {path[1]}, port {path[2]}"


def told_out(side, path):
    pod, there, port = path
    return f"the way from {pod} to {there}, port {port}" if side == "egress" else f"the way from {there} to {pod}, port {port}"


def named(world):
    """A port's name is the workload's own: servers from elsewhere call theirs otherwise, and a policy would match nothing."""
    for policy in world.of("NetworkPolicy"):
        ports = [port.get("port") for side in ("ingress", "egress") for rule in rules(policy, side) for port in rule.get("ports", [])]
        yield from (f"NetworkPolicy {policy['metadata']['name']}: port {port} is a name; it takes the number" for port in ports if not isinstance(port, int))


def rules(policy, side):
    return policy["spec"].get(side, [])


def inside(world):
    """Every path between two pods of ours that is open at both ends, and those that are open at one."""
    both, half = set(), set()
    pods = list(world.pods())
    for source in pods:
        for target in pods:
            for name, number in target.ports().items():
                ends = (
                    allows(world, source, "egress", target, name, number),
                    allows(world, target, "ingress", source, name, number),
                )
                if all(ends):
                    both.add((source.name, target.name, name))
                elif any(ends):
                    half.add((source.name, target.name, name))
    return both, half


def allows(world, pod, side, peer, name, number):
    """Whether a policy for this side of `pod` lets `peer` through, of the same namespace, at that port."""
    for policy in world.of("NetworkPolicy"):
        if side.capitalize() not in policy["spec"]["policyTypes"] or not matches(policy["spec"]["podSelector"], pod.labels):
            continue
        for rule in rules(policy, side):
            ports = [port.get("port") for port in rule.get("ports", [])]
            peers = rule.get("from" if side == "ingress" else "to")
            at = not ports or name in ports or number in ports
            if at and (not peers or any("namespaceSelector" not in it and "ipBlock" not in it and matches(it.get("podSelector"), peer.labels) for it in peers)):
                return True
    return False


def beyond(world, side):
    """Every path out of the namespace or into it: pod, namespace or the world, port."""
    found = set()
    for policy in world.of("NetworkPolicy"):
        for rule in rules(policy, side):
            peers = rule.get("from" if side == "ingress" else "to") or [{"ipBlock": {}}]
            outer = [it for it in peers if "namespaceSelector" in it or "ipBlock" in it]
            for pod in world.selected(policy["spec"]["podSelector"]):
                for it in outer:
                    labels = it.get("namespaceSelector", {}).get("matchLabels", {})
                    there = labels.get("kubernetes.io/metadata.name", WORLD)
                    for port in rule.get("ports", [{"port": "any"}]):
                        found.add((pod.name, there, pod.ports().get(port["port"], port["port"])))
    return found


def wanted(world):
    """The paths that the configuration names: inside, out of the namespace, into it."""
    needed, outside, inbound = set(), set(), set()
    for pod in world.pods():
        outside.add((pod.name, *DNS))
        for container in pod.containers():
            for variable, value in world.environment(container).items():
                for url in (value or "").split(","):
                    to(world, pod, variable, url, needed, outside)
                if variable == "DATABASE_URL_FILE":
                    outside.add((pod.name, "postgresql", 5432))
        if pod.kind == "StatefulSet" and pod.replicas() > 1 or "cluster" in pod.ports():
            needed.add((pod.name, pod.name, "cluster"))
    for ingress in world.of("Ingress"):
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            service = world.get("Service", path["backend"]["service"]["name"])
            for pod in world.selected({"matchLabels": service["spec"]["selector"]}):
                inbound.add((pod.name, ingress["spec"]["ingressClassName"].replace("nginx", "ingress-nginx"), pod.ports().get("api")))
    for monitor in world.of("PodMonitor"):
        for pod in world.selected(monitor["spec"]["selector"]):
            inbound.add((pod.name, "monitoring", pod.ports().get(monitor["spec"]["podMetricsEndpoints"][0]["port"])))
    if world.of("ScaledObject"):
        inbound.add(("nats", "keda", 8222))
    return needed, outside, inbound


def to(world, pod, variable, url, needed, outside):
    """The path that a variable's address needs."""
    parts = urlsplit(url)
    if variable.endswith("LISTEN") or parts.scheme not in ("nats", "tls", "http", "https"):
        return
    service = world.get("Service", parts.hostname.split(".")[0])
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    if service and "." not in parts.hostname:
        for target in world.selected({"matchLabels": service["spec"]["selector"]}):
            name = next((p["targetPort"] for p in service["spec"]["ports"] if p["port"] == port), port)
            needed.add((pod.name, target.name, name))
    elif parts.hostname.count(".") == 1 and not parts.hostname.endswith(".com"):
        outside.add((pod.name, parts.hostname.split(".")[1], port))
    else:
        outside.add((pod.name, WORLD, port))
