"""Who is who: each pod has its own key and certificate and nobody else's, files of Secrets are for it alone, and whoever
is asked who they are is asked for good."""

import files

OWN = {"JETSAGA_NATS_NKEY_FILE": "nkey", "JETSAGA_NATS_CERT_FILE": "tls", "JETSAGA_NATS_KEY_FILE": "tls"}
OFF = (None, "", "false", "no", "off", "n", "f", "0")


def check(world):
    for pod in world.pods():
        yield from (f"{pod}: {why}" for why in modes(pod))
        for container in pod.containers():
            where = f"{pod}, container {container['name']}"
            yield from (f"{where}: {why}" for why in own(world, pod, container))
            yield from (f"{where}: {why}" for why in authentication(world, pod, container))
    yield from others(world)


def modes(pod):
    """A Secret's files belong to root and to the pod's group: the group reads them, others do not."""
    around = pod.spec.get("securityContext", {})
    for volume, secret, found in files.secrets(pod):
        for mode in found:
            if mode & 0o007:
                yield f"volume {volume}: Secret {secret} is mounted with {mode:04o}, so others may read it; it is 0440"
            elif not mode & 0o040 or not around.get("fsGroup"):
                said = f"Secret {secret} is mounted with {mode:04o}, and fsGroup is {around.get('fsGroup', 'none')}"
                yield f"volume {volume}: {said}: its user is not root, and reads it by the group; it is 0440 with an fsGroup"


def own(world, pod, container):
    """The key and the certificate that it shows to NATS are those of its name."""
    read = world.environment(container)
    for variable, kind in OWN.items():
        mount = files.holder(container, read.get(variable) or "")
        secret = next((name for volume, name, _ in files.secrets(pod) if mount and volume == mount["name"]), None)
        if mount and secret != f"{kind}-{pod.name}":
            yield f"{variable} is {read[variable]}, which is of {secret or 'no Secret'}; its own is {kind}-{pod.name}"


def others(world):
    """No key and no certificate is in the hands of two, or of another than the one it is named after."""
    names, holders = {pod.name for pod in world.pods()}, {}
    for pod in world.pods():
        for _, secret, _ in files.secrets(pod):
            kind, _, name = secret.partition("-")
            if kind not in OWN.values():
                continue
            if name in names - {pod.name}:
                yield f"{pod}: it mounts {secret}, with which it may do what {name} may"
            holders.setdefault(secret, set()).add(str(pod))
    yield from (f"{secret} is in the hands of {' and '.join(sorted(by))}" for secret, by in holders.items() if len(by) > 1)


def authentication(world, pod, container):
    """Nobody is asked who they are only where nobody comes in from outside and NATS asks nobody either."""
    read = world.environment(container)
    if read.get("GATEWAY_WITHOUT_AUTHENTICATION") in OFF:
        if "GATEWAY_LISTEN" in read and not read.get("GATEWAY_KEYS"):
            yield "it has neither GATEWAY_KEYS nor GATEWAY_WITHOUT_AUTHENTICATION"
        return
    if read.get("GATEWAY_KEYS"):
        yield "it has GATEWAY_WITHOUT_AUTHENTICATION beside GATEWAY_KEYS: it takes one of the two"
    for ingress in world.of("Ingress"):
        led = {path["backend"]["service"]["name"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]}
        if any(pod.name in [it.name for it in taken(world, name)] for name in led):
            yield f"GATEWAY_WITHOUT_AUTHENTICATION is on, and Ingress {ingress['metadata']['name']} leads the world to it: everybody is an operator"
    if read.get("JETSAGA_NATS_NKEY_FILE"):
        yield "GATEWAY_WITHOUT_AUTHENTICATION is on, and NATS asks who it is: what only gateway may do, everybody may"


def taken(world, service):
    found = world.get("Service", service)
    return world.selected({"matchLabels": found["spec"]["selector"]}) if found else []
