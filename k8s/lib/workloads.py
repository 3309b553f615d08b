"""Each workload runs what it is called after, is asked how it is where it answers, has what it needs, and can be replaced."""

import functools
import re

from server import may_go
from units import quantity
from work import command
from world import ROOT, matches


def check(world):
    for pod in world.pods():
        worker = pod.labels.get("app.kubernetes.io/component") == "worker"
        for container in pod.containers():
            where = f"{pod}, container {container['name']}"
            yield from (f"{where}: {why}" for why in runs(world, pod, container))
            yield from (f"{where}: {why}" for why in asked(world, container))
            yield from (f"{where}: {why}" for why in resources(container))
        if worker:
            yield from (f"{pod}: {why}" for why in rolled(pod))
        yield from (f"{pod}: {why}" for why in budgets(world, pod))
    yield from provisioned(world)


def runs(world, pod, container):
    """A worker's main container runs the worker that the workload is called after; another one that it is called after itself."""
    if pod.labels.get("app.kubernetes.io/name") != pod.name:
        yield f"its pods are called {pod.labels.get('app.kubernetes.io/name')}: metrics and policies take them for that"
    args = container.get("args", [])
    if args[:1] == ["worker"]:
        due = pod.name if container["name"] == "worker" else container["name"]
        if args[1:2] != [due]:
            yield f"it runs `{' '.join(args)}`, and not `worker {due}`"
    elif pod.labels.get("app.kubernetes.io/component") == "worker" and container["name"] == "worker":
        yield f"it runs `{' '.join(args)}`, and not `worker {pod.name}`"


def asked(world, container):
    """Its probes ask at paths that it serves: whether it lives, and whether it is ready, if it knows the difference."""
    if container.get("args", [])[:1] != ["worker"]:
        return
    served = paths(world.facts["tool"], *container["args"][:2])
    due = {"livenessProbe": "/livez", "startupProbe": "/livez", "readinessProbe": "/readyz" if "/readyz" in served else "/livez"}
    for probe, path in due.items():
        found = container.get(probe, {}).get("httpGet", {}).get("path")
        if found not in served:
            yield f"its {probe} asks {found}, and it serves {', '.join(served)}"
        elif found != path:
            yield f"its {probe} asks {found}; it asks {path}"


@functools.cache
def paths(tool, *words):
    """What the help of a worker says it serves for probes; and of one that does not say it, what its routes are."""
    said = re.search(r"Where ((?:`/\w+`(?:, | and )?)+) are served", tool.ask(*words, "--help"))
    if said:
        return tuple(re.findall(r"`(/\w+)`", said[1]))
    sources = sorted((ROOT / "workers" / words[1] / "src").glob("**/*.rs"))
    return tuple(path for file in sources for path in re.findall(r'\.route\(\s*"(/\w+)"', file.read_text()))


def resources(container):
    """No request is above its limit, and a worker has room for twice what was measured."""
    said = container.get("resources", {})
    limits, requests = said.get("limits", {}), said.get("requests", {})
    for what in requests.keys() & limits.keys():
        if quantity(requests[what]) > quantity(limits[what]):
            yield f"it requests {requests[what]} of {what}, above its limit of {limits[what]}"
    if container.get("args", [])[:1] == ["worker"]:
        held = measured()
        if "memory" in limits and quantity(limits["memory"]) < 2 * held * 2**20:
            yield f"its limit of memory is {limits['memory']}, and a worker holds up to {held} MiB; it is {2 * held}Mi or more"
        if "memory" in requests and quantity(requests["memory"]) < held * 2**20:
            yield f"it requests {requests['memory']} of memory, and a worker holds up to {held} MiB"


@functools.cache
def measured():
    """MiB of a worker at work, as README.md of the repository says them."""
    return int(re.search(r"none holds more than (\d+) MiB", (ROOT / "README.md").read_text())[1])


def rolled(pod):
    """A new replica is there before an old one goes; one whose volume is for one pod at a time cannot do that."""
    strategy = pod.owner["spec"].get("strategy", {})
    if any("persistentVolumeClaim" in volume for volume in pod.spec.get("volumes", [])):
        return
    rolling = strategy.get("rollingUpdate") or {}
    gone, more = rolling.get("maxUnavailable", "25%"), rolling.get("maxSurge", "25%")
    kind = strategy.get("type", "RollingUpdate")
    if kind != "RollingUpdate" or str(gone) not in ("0", "0%") or str(more) in ("0", "0%"):
        said = f"{kind}, maxUnavailable {gone}, maxSurge {more}"
        yield f"its strategy is {said}: an old replica goes before a new one is there; it is RollingUpdate, 0 and 1"


def budgets(world, pod):
    """A disruption budget lets somebody go: under one that lets nobody no node can be emptied."""
    count = fewest(world, pod)
    for budget in world.of("PodDisruptionBudget"):
        if matches(budget["spec"]["selector"], pod.labels) and may_go(budget, count) < 1:
            yield f"PodDisruptionBudget {budget['metadata']['name']} lets none of {count} go: no node with one can be emptied"


def fewest(world, pod):
    """Its replicas, at least one."""
    scaled = [it["spec"] for kind in ("ScaledObject", "HorizontalPodAutoscaler") for it in world.of(kind)]
    own = [spec for spec in scaled if spec["scaleTargetRef"]["name"] == pod.name]
    least = [spec.get("minReplicaCount", spec.get("minReplicas", 1)) for spec in own]
    return max(1, *least, pod.replicas() or 0)


def provisioned(world):
    """A Job makes streams and consumers, with as many replicas as the workers are told of."""
    jobs = [(pod, c) for pod in world.pods() if pod.kind == "Job" for c in pod.containers() if c.get("args", [])[:1] == ["topology"]]
    due = world.config("engine").get("JETSAGA_REPLICAS")
    if not jobs:
        yield "no Job runs `topology ensure`: nobody makes the streams"
    for pod, container in jobs:
        if container["args"] != ["topology", "ensure"]:
            yield f"{pod}: it runs `{' '.join(container['args'])}`, and not `topology ensure`: nobody makes the streams"
            continue
        usual = re.search(r"\[env: JETSAGA_REPLICAS=\w*\] \[default: (\d+)\]", world.facts["tool"].ask(*command(container)))
        found = world.environment(container).get("JETSAGA_REPLICAS") or (usual and usual[1])
        if found != due:
            yield f"{pod}: it makes streams with {found} replicas, and JETSAGA_REPLICAS of the workers is {due}"
