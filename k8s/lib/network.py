"""What lib/paths.py does not ask of the policies: protocols, addresses beyond the cluster; and the Ingress' names."""

import ipaddress

# Where clusters, their nodes and what tells a machine its credentials are: RFC 1918, 6598, 3927, 4193, 4291.
INNER = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
]
NAMES = {"UDP", "TCP"}  # an answer that is too long for a datagram is asked for again, by TCP


def check(world):
    for policy in world.of("NetworkPolicy"):
        name = f"NetworkPolicy {policy['metadata']['name']}"
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            yield from (f"{name}: {why}" for why in protocols(world, rule))
            for peer in rule.get("to", []) + rule.get("from", []):
                if "ipBlock" in peer:
                    yield from (f"{name}: {why}" for why in block(peer["ipBlock"]))
    for ingress in world.of("Ingress"):
        yield from (f"Ingress {ingress['metadata']['name']}: {why}" for why in hosts(ingress["spec"]))


def protocols(world, rule):
    """A port is opened for what is spoken there: names by UDP and TCP, everything else by what its container says."""
    opened = {}
    for port in rule.get("ports", []):
        opened.setdefault(port.get("port"), set()).add(port.get("protocol", "TCP"))
    for port, found in opened.items():
        due = NAMES if port == 53 else spoken(world, port)
        if found != due:
            yield f"port {port} is open for {' and '.join(sorted(found))}, and {' and '.join(sorted(due))} is spoken there"


def spoken(world, port):
    """By name or number; what no container here listens at is a server elsewhere, and all of these speak TCP."""
    listed = [it for pod in world.pods() for container in pod.containers() for it in container.get("ports", [])]
    return {it.get("protocol", "TCP") for it in listed if port in (it.get("name"), it["containerPort"])} or {"TCP"}


def block(said):
    """Addresses out in the world, and none of the cluster's own."""
    try:
        whole = ipaddress.ip_network(said["cidr"])
        without = [ipaddress.ip_network(text) for text in said.get("except", [])]
    except ValueError as error:
        yield f"ipBlock: {error}"
        return
    for part in without:
        if part.version != whole.version or not part.subnet_of(whole):
            yield f"ipBlock: except {part} is no part of {whole}"
    for inner in INNER:
        if inner.version != whole.version or not inner.overlaps(whole):
            continue
        asked = inner if inner.subnet_of(whole) else whole
        if not any(part.version == asked.version and asked.subnet_of(part) for part in without):
            yield f"ipBlock {whole} lets to {asked}, which is inside; `except` names it"


def hosts(spec):
    """Every host is one that the certificate is shown for, and the other way round."""
    ruled = {rule.get("host") for rule in spec["rules"]}
    shown = {host for entry in spec.get("tls", []) for host in entry.get("hosts", [])}
    yield from (f"its rule is for {host or 'every host'}, and no entry of tls is" for host in sorted(ruled - shown, key=str))
    yield from (f"tls names {host}, and no rule is for it" for host in sorted(shown - ruled))
