"""What names something else names something that is there: selectors, ports, keys, claims, and each only once."""

import re

from world import matches


def check(world):
    yield from twice(world)
    yield from workloads(world)
    yield from services(world)
    for pod in world.pods():
        for container in pod.containers():
            where = f"{pod}, container {container['name']}"
            yield from (f"{where}: {why}" for why in probes(container))
            yield from (f"{where}: {why}" for why in mounts(world, pod, container))
            yield from (f"{where}: {why}" for why in sources(world, container))
        yield from (f"{pod}: {why}" for why in volumes(world, pod))


def twice(world):
    seen = set()
    for it in world.objects:
        key = (it["kind"], it["metadata"]["name"])
        if key in seen:
            yield f"{key[0]} {key[1]} is there twice"
        seen.add(key)


def workloads(world):
    """A selector takes its own pods and nobody else's."""
    for pod in world.pods():
        selector = pod.owner["spec"].get("selector")
        if pod.kind in ("Deployment", "StatefulSet"):
            if not matches(selector, pod.labels):
                yield f"{pod}: its selector does not take its own pods"
            for other in world.selected(selector):
                if other.name != pod.name:
                    yield f"{pod}: its selector takes the pods of {other}"
    for budget in world.of("PodDisruptionBudget"):
        taken = [str(pod) for pod in world.selected(budget["spec"]["selector"])]
        if len(taken) != 1:
            yield f"PodDisruptionBudget {budget['metadata']['name']} takes {', '.join(taken) or 'no pods'}; it takes one workload"
    for workload in world.pods():
        served = workload.kind in ("Deployment", "StatefulSet") and workload.replicas() != 0
        if served and workload.labels.get("app.kubernetes.io/component") in ("worker", "server"):
            budgets = [b for b in world.of("PodDisruptionBudget") if matches(b["spec"]["selector"], workload.labels)]
            if not budgets:
                yield f"{workload} has no PodDisruptionBudget"
    for policy in world.of("NetworkPolicy"):
        selector = policy["spec"]["podSelector"]
        if selector and not world.selected(selector):
            yield f"NetworkPolicy {policy['metadata']['name']} takes no pods"
    for monitor in world.of("PodMonitor"):
        pods = world.selected(monitor["spec"]["selector"])
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            lack = [pod.name for pod in pods if endpoint["port"] not in pod.ports()]
            if lack or not pods:
                yield f"PodMonitor: {', '.join(lack) or 'no pod'} has no port {endpoint['port']}"


def services(world):
    for service in world.of("Service"):
        name, spec = service["metadata"]["name"], service["spec"]
        pods = world.selected({"matchLabels": spec["selector"]})
        if len(pods) != 1:
            yield f"Service {name} takes {len(pods)} workloads; it takes one"
        for port in spec["ports"]:
            for pod in pods:
                if port.get("targetPort") not in pod.ports():
                    yield f"Service {name}: {pod} has no port {port.get('targetPort')}"
    for ingress in world.of("Ingress"):
        for entry in ingress["spec"].get("tls", []):
            if entry["secretName"] not in made_by_hand(world, "secret"):
                yield f"Ingress {ingress['metadata']['name']}: README.md does not make the Secret {entry['secretName']}"
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                service = world.get("Service", backend["name"]) or {"spec": {"ports": []}}
                if backend["port"].get("name") not in [port["name"] for port in service["spec"]["ports"]]:
                    yield f"Ingress {ingress['metadata']['name']}: there is no Service {backend['name']} with that port"
    for pod in world.pods():
        if pod.kind == "StatefulSet":
            service = world.get("Service", pod.owner["spec"]["serviceName"]) or {"spec": {}}
            if service["spec"].get("clusterIP") != "None":
                yield f"{pod}: its Service {pod.owner['spec']['serviceName']} is no headless one"


def probes(container):
    """All three, on a port that the container has."""
    ports = {port.get("name") for port in container.get("ports", [])}
    if not ports:
        return
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container.get(probe, {}).get("httpGet")
        if not asked:
            yield f"it has no {probe}"
        elif asked["port"] not in ports:
            yield f"its {probe} asks port {asked['port']}, which it does not have"
    live = container.get("livenessProbe", {}).get("httpGet", {}).get("path", "")
    if live == "/readyz":
        yield "its livenessProbe asks whether it is ready: an outage of NATS would restart it"


def mounts(world, pod, container):
    there = {volume["name"] for volume in pod.spec.get("volumes", [])}
    there |= {claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates", [])}
    paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in there:
            yield f"it mounts {mount['name']}, which its pod does not have"
        inside = [path for path in paths if path != mount["mountPath"] and path.startswith(mount["mountPath"] + "/")]
        if mount.get("readOnly") and inside:
            yield f"{inside[0]} lies in {mount['mountPath']}, which is read-only: it cannot be mounted there"
    # Every file that a variable names lies under something that is mounted, and is a key of it.
    for variable, value in world.environment(container).items():
        file = re.fullmatch(r"(?:sqlite:)?(/[\w./-]+)", value or "")
        mount = next((m for m in container.get("volumeMounts", []) if file and file[1].startswith(m["mountPath"] + "/")), None)
        if file and not mount:
            yield f"{variable} is {value}, and nothing is mounted there"
        volume = next((v for v in pod.spec.get("volumes", []) if mount and v["name"] == mount["name"]), {})
        secret, name = volume.get("secret", {}).get("secretName"), file and file[1].rpartition("/")[2]
        if secret in made_by_hand(world, "secret") and name not in made_by_hand(world, "secret")[secret]:
            yield f"{variable} is {value}, and the Secret {secret} has no key {name}"


def sources(world, container):
    for source in container.get("envFrom", []):
        if "secretRef" in source:
            yield "it takes a Secret into its environment; mount it as a file"
        named = source.get("configMapRef", {}).get("name")
        if named and not world.get("ConfigMap", named):
            yield f"there is no ConfigMap {named}"
    for variable in container.get("env", []):
        source = variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            yield f"{variable['name']} is a Secret in its environment; mount it as a file"
        key = source.get("configMapKeyRef")
        if key and key["key"] not in (world.get("ConfigMap", key["name"]) or {}).get("data", {}):
            yield f"{variable['name']}: ConfigMap {key['name']} has no key {key['key']}"


def volumes(world, pod):
    for volume in pod.spec.get("volumes", []):
        parts = volume.get("projected", {}).get("sources", []) or [volume]
        for part in parts:
            named = part.get("configMap", {}).get("name")
            if named and not world.get("ConfigMap", named) and named not in made_by_hand(world, "configmap"):
                yield f"volume {volume['name']}: there is no ConfigMap {named}, and README.md does not make it"
        secret = volume.get("secret", {}).get("secretName")
        if secret and secret not in made_by_hand(world, "secret"):
            yield f"volume {volume['name']}: neither README.md nor cert-manager/ makes the Secret {secret}"
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and not world.get("PersistentVolumeClaim", claim):
            yield f"volume {volume['name']}: there is no PersistentVolumeClaim {claim}"
        if claim and pod.kind == "Deployment":
            if pod.owner["spec"].get("strategy", {}).get("type") != "Recreate" or (pod.replicas() or 0) > 1:
                yield f"volume {volume['name']} is for one pod at a time; it takes one replica and the strategy Recreate"


def made_by_hand(world, kind):
    return world.facts["made"][kind]
