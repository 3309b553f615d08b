"""What scales a worker is its own consumers, by numbers that there are, and by thresholds that fit what one replica does."""

import re

import yaml

import natsconf
import promql
from units import quantity
from world import K8S, ROOT


def check(world):
    yield from scaled(world)
    yield from triggers(world)
    yield from external(world)


def scaled(world):
    """What is scaled is there, is scaled by one thing alone, and says no number of replicas itself."""
    targets = {}
    for kind in ("ScaledObject", "HorizontalPodAutoscaler"):
        for it in world.of(kind):
            name = it["spec"]["scaleTargetRef"]["name"]
            if name in targets:
                yield f"{kind} {it['metadata']['name']}: {name} is scaled by {targets[name]} already"
            targets[name] = f"{kind} {it['metadata']['name']}"
            workload = world.get("Deployment", name)
            if not workload:
                yield f"{targets[name]}: there is no Deployment {name}"
            elif "replicas" in workload["spec"]:
                yield f"Deployment {name} says how many replicas it has, and {targets[name]} does so as well"
            spec = it["spec"]
            low, high = spec.get("minReplicaCount", spec.get("minReplicas")), spec.get("maxReplicaCount", spec.get("maxReplicas"))
            if not low <= high:
                yield f"{targets[name]}: at least {low} and at most {high}"


def triggers(world):
    """Every consumer of the topology scales its worker, by its own name and stream, and nothing else does."""
    consumers = known(world)
    nats = world.pod("nats")
    host = f"{nats.owner['spec']['serviceName']}.jetsaga.svc:{nats.ports().get('monitor')}"
    asked = []
    for it in world.of("ScaledObject"):
        where, spec = f"ScaledObject {it['metadata']['name']}", it["spec"]
        worker = spec["scaleTargetRef"]["name"]
        for trigger in spec["triggers"]:
            said = trigger["metadata"]
            pair = (said["stream"], said["consumer"])
            asked.append(pair)
            if pair not in consumers:
                yield f"{where}: the topology has no consumer {pair[1]} on {pair[0]}"
            elif pair not in heard(world, worker):
                yield f"{where}: {pair[1]} is not the consumer of {worker}"
            if said["natsServerMonitoringEndpoint"] != host:
                yield f"{where}: it asks {said['natsServerMonitoringEndpoint']}, and the servers are at {host}"
            if said["account"] not in accounts(world):
                yield f"{where}: it asks for account {said['account']}, and nats.conf has {', '.join(accounts(world))}"
            if said.get("activationLagThreshold", "0") != "0":
                yield f"{where}: activationLagThreshold is {said['activationLagThreshold']}: so many messages wake no replica; it is 0"
            yield from (f"{where}: lagThreshold is {why}" for why in fits(world, worker, said["lagThreshold"]))
        if spec["fallback"]["replicas"] < max(spec["minReplicaCount"], 1):
            yield f"{where}: its fallback is fewer replicas than it has at rest"
        if spec["cooldownPeriod"] < 10 * spec["pollingInterval"]:
            yield f"{where}: it cools down within ten looks"
    if asked:
        yield from (f"nothing scales on consumer {c} of {s}" for s, c in sorted(consumers - set(asked)))
        yield from (f"two triggers ask for {c} on {s}" for s, c in sorted(set(asked)) if asked.count((s, c)) > 1)


def known(world):
    """Stream and name of every consumer of the topology."""
    return {(it["spec"]["streamName"], it["spec"]["durableName"]) for it in world.facts["consumers"]}


def heard(world, worker):
    """Stream and name of a worker's own consumers: those whose messages its user may acknowledge."""
    users = re.split(r"^    # ", world.facts["tool"].ask("topology", "users"), flags=re.MULTILINE)
    own = next((text for text in users if text.startswith(f"{worker}\n")), "")
    return set(re.findall(r'"\$JS\.ACK\.(\w+)\.([\w-]+)\.>"', own))


def accounts(world):
    """The accounts of the servers; where no file names one there is $G."""
    texts = [world.config("nats-config").get("nats.conf", "")]
    if "include" in natsconf.settings(texts[0]):
        texts.append((ROOT / "deploy/nats/users.conf").read_text())
    named = [key.split(".")[1] for text in texts for key in natsconf.settings(text) if re.match(r"accounts\.\w", key)]
    return sorted(set(named)) or ["$G"]


def fits(world, worker, threshold):
    """Messages for each replica: no more than it has in work at once, or some wait and no replica comes; no fewer than a
    tenth, or replicas come for what one has in hand."""
    number, most = quantity(threshold), concurrency(world, worker)
    if not most / 10 <= number <= most:
        yield f"{threshold}, and a replica of {worker} has {most} messages in work at once; it is a tenth of that to that"


def concurrency(world, worker):
    """What it reads, or what it takes if it reads nothing."""
    pod = world.pod(worker)
    main = [it for it in pod.containers() if it.get("args", [])[:2] == ["worker", worker]] if pod else []
    read = world.environment(main[0]) if main else {}
    usual = re.search(r"\[env: JETSAGA_CONCURRENCY=\w*\] \[default: (\d+)\]", world.facts["tool"].ask("worker", "order", "--help"))
    return int(read.get("JETSAGA_CONCURRENCY") or usual[1])


def external(world):
    """Without KEDA: a worker's own consumers, every one of them, by a metric that prometheus-adapter makes or a worker has."""
    asked, names = set(), {consumer for _, consumer in known(world)}
    there = handed_on() | promql.metrics().keys()
    for it in world.of("HorizontalPodAutoscaler"):
        where, worker = f"HorizontalPodAutoscaler {it['metadata']['name']}", it["spec"]["scaleTargetRef"]["name"]
        for metric in (m["external"] for m in it["spec"]["metrics"] if "external" in m):
            name = metric["metric"]["name"]
            if name not in there:
                yield f"{where}: there is no metric {name}; prometheus-adapter makes {', '.join(sorted(handed_on()))}"
            consumer = metric["metric"].get("selector", {}).get("matchLabels", {}).get("consumer")
            asked.add(consumer)
            if consumer not in names:
                yield f"{where}: it asks for consumer {consumer}, which the topology does not have"
            elif consumer not in {own for _, own in heard(world, worker)}:
                yield f"{where}: {consumer} is not the consumer of {worker}"
            target = metric["target"]
            yield from (f"{where}: averageValue is {why}" for why in fits(world, worker, target.get("averageValue", "0")))
    if asked:
        yield from (f"no HorizontalPodAutoscaler scales on consumer {c}" for c in sorted(names - asked))


def handed_on():
    """The metrics that prometheus-adapter makes."""
    values = yaml.safe_load((K8S / "scaling/hpa/prometheus-adapter.values.yaml").read_text())
    return {rule["name"]["as"] for rule in values["rules"]["external"]}
