"""The check itself is checked: each of these mistakes is made in what was rendered, and has to be found. It is a list, and
as long as it has to be."""

import copy
import traceback
from pathlib import Path


def caught(worlds):
    """How many mistakes there are, and which of them were not found: in each world, with the checks that are its own."""
    missed = []
    untouched = {name: set(found(world, checks)) for name, (world, checks) in worlds.items()}
    for name, needle, where, spoil in MISTAKES:
        world, checks = worlds[where]
        spoilt = copy.copy(world)
        spoilt.objects = copy.deepcopy(world.objects)
        try:
            spoil(spoilt)
        except (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError) as error:
            missed.append(f"self-test: {name}: it cannot be made, what it spoils is not there: {type(error).__name__} {error}")
            continue
        if spoilt.objects == world.objects:
            missed.append(f"self-test: {name}: it changes nothing, what it spoils is not there")
            continue
        said = [why for why in found(spoilt, checks) if why not in untouched[where]]
        if not any(needle in why for why in said):
            missed.append(f"self-test: {name}: no check says “{needle}”; they say {said or 'nothing'}")
    return len(MISTAKES), missed


def found(world, checks):
    for check in checks:
        yield from safely(check, world)


def safely(check, *args):
    """What a check says. One that stumbles over a mistake has found it, and says at least where it stood."""
    try:
        yield from check(*args)
    except SystemExit as error:
        yield str(error)
    except Exception as error:
        ours = Path(__file__).parent
        step = [it for it in traceback.extract_tb(error.__traceback__) if Path(it.filename).parent == ours][-1]
        yield f"{Path(step.filename).name}, line {step.lineno}, in {step.name}: {type(error).__name__} {error}"


def mistake(name, needle, world="prod"):
    def keep(spoil):
        MISTAKES.append((name, needle, world, spoil))
        return spoil

    return keep


MISTAKES = []


def spec(world, kind, name):
    return world.get(kind, name)["spec"]


def template(world, name, kind="Deployment"):
    return spec(world, kind, name)["template"]


def container(world, name, kind="Deployment"):
    """The main one, wherever it stands."""
    there = template(world, name, kind)["spec"]["containers"]
    return next((it for it in there if it["name"] in (name, "worker", "tool")), there[0])


@mistake("a Service asks for a port that its pods do not have", "has no port apii")
def _(world):
    spec(world, "Service", "gateway")["ports"][0]["targetPort"] = "apii"


@mistake("an Ingress names a port that its Service does not have", "there is no Service gateway with that port")
def _(world):
    spec(world, "Ingress", "gateway")["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"]["name"] = "web"


@mistake("a certificate that nobody makes", "README.md does not make the Secret orders-tls")
def _(world):
    spec(world, "Ingress", "gateway")["tls"][0]["secretName"] = "orders-tls"


@mistake("a Service's selector has a typo", "Service nats takes 0 workloads")
def _(world):
    spec(world, "Service", "nats")["selector"]["app.kubernetes.io/name"] = "nast"


@mistake("a Deployment's selector takes another's pods", "its selector takes the pods of Deployment shipping")
def _(world):
    template(world, "shipping")["metadata"]["labels"]["app.kubernetes.io/name"] = "payment"


@mistake("a Deployment's selector misses its own pods", "its selector does not take its own pods")
def _(world):
    spec(world, "Deployment", "order")["selector"]["matchLabels"]["app.kubernetes.io/name"] = "orders"


@mistake("a disruption budget takes nobody", "PodDisruptionBudget order takes no pods")
def _(world):
    spec(world, "PodDisruptionBudget", "order")["selector"]["matchLabels"]["app.kubernetes.io/name"] = "orders"


@mistake("a disruption budget is forgotten", "Deployment payment has no PodDisruptionBudget")
def _(world):
    world.objects.remove(world.get("PodDisruptionBudget", "payment"))


@mistake("a ConfigMap lacks a key", "has no key ORDER_DEADLINE")
def _(world):
    del world.config("workers")["ORDER_DEADLINE"]


@mistake("a ConfigMap is not there", "there is no ConfigMap engine-old")
def _(world):
    container(world, "shipping")["envFrom"][0]["configMapRef"]["name"] = "engine-old"


@mistake("a variable that no worker reads", "nothing there reads JETSAGA_DRAIN_LIMITS")
def _(world):
    data = world.config("engine")
    data["JETSAGA_DRAIN_LIMITS"] = data.pop("JETSAGA_DRAIN_LIMIT")


@mistake("a variable of another worker", "nothing there reads GATEWAY_KEYS")
def _(world):
    container(world, "projector")["env"].append({"name": "GATEWAY_KEYS", "value": "/etc/jetsaga/database/keys"})


@mistake("a password in the environment", "shows a password")
def _(world):
    container(world, "projector")["env"].append({"name": "DATABASE_URL", "value": "postgres://jetsaga:secret@db/jetsaga"})


@mistake("a Secret in the environment", "is a Secret in its environment")
def _(world):
    reference = {"secretKeyRef": {"name": "database", "key": "url"}}
    container(world, "projector")["env"].append({"name": "DATABASE_URL", "valueFrom": reference})


@mistake("a Secret that nobody makes", "makes the Secret databases")
def _(world):
    template(world, "gateway")["spec"]["volumes"][-1]["secret"]["secretName"] = "databases"
    for volume in template(world, "gateway")["spec"]["volumes"]:
        if volume["name"] == "database":
            volume["secret"]["secretName"] = "databases"


@mistake("a mount without its volume", "it mounts keyz, which its pod does not have")
def _(world):
    container(world, "gateway")["volumeMounts"].append({"name": "keyz", "mountPath": "/keyz"})


@mistake("a file that is nowhere", "nothing is mounted there")
def _(world):
    for variable in container(world, "gateway")["env"]:
        if variable["name"] == "GATEWAY_KEYS":
            variable["value"] = "/etc/jetsaga/keys/keys"


@mistake("a file that its Secret does not have", "the Secret nkey-order has no key seed")
def _(world):
    data = world.config("engine")
    data["JETSAGA_NATS_NKEY_FILE"] = "/etc/jetsaga/nkey/seed"


@mistake("a probe on a port that there is not", "asks port probe, which it does not have")
def _(world):
    container(world, "payment")["readinessProbe"]["httpGet"]["port"] = "probe"


@mistake("a missing startup probe", "it has no startupProbe")
def _(world):
    del container(world, "payment")["startupProbe"]


@mistake("a liveness probe that asks for readiness", "an outage of NATS would restart it")
def _(world):
    container(world, "payment")["livenessProbe"]["httpGet"]["path"] = "/readyz"


@mistake("a port that nobody listens at", "JETSAGA_HTTP_LISTEN is 0.0.0.0:9100")
def _(world):
    for port in container(world, "order")["ports"]:
        port["containerPort"] = 9101


@mistake("a grace that is no longer than the drain", "it is killed after 20 s, and its drain may take 0 + 20 s, and its last telemetry 10 s")
def _(world):
    template(world, "order")["spec"]["terminationGracePeriodSeconds"] = 20


@mistake("a grace that forgets the pause before the drain", "its drain may take 5 + 20 s")
def _(world):
    template(world, "gateway")["spec"]["terminationGracePeriodSeconds"] = 34


@mistake("a lame duck that outlives the grace", "its lame duck takes 30 s")
def _(world):
    template(world, "nats", "StatefulSet")["spec"]["terminationGracePeriodSeconds"] = 30


@mistake("a privileged container", "it is privileged")
def _(world):
    container(world, "order")["securityContext"]["privileged"] = True


@mistake("a missing seccomp profile", "seccompProfile is not RuntimeDefault")
def _(world):
    del template(world, "order")["spec"]["securityContext"]["seccompProfile"]


@mistake("a container that may be root", "runAsNonRoot is not true")
def _(world):
    template(world, "topology", "Job")["spec"]["securityContext"]["runAsNonRoot"] = False


@mistake("a capability too many", "its capabilities are not dropped")
def _(world):
    container(world, "nats", "StatefulSet")["securityContext"]["capabilities"]["add"] = ["NET_BIND_SERVICE"]


@mistake("a root file system that can be written", "its root file system is not read-only")
def _(world):
    del container(world, "nats", "StatefulSet")["securityContext"]["readOnlyRootFilesystem"]


@mistake("escalation left open", "allowPrivilegeEscalation is not false")
def _(world):
    del container(world, "outbound")["securityContext"]["allowPrivilegeEscalation"]


@mistake("a service account's token", "automountServiceAccountToken is not off")
def _(world):
    del template(world, "operator")["spec"]["automountServiceAccountToken"]


@mistake("a path of the host", "is a hostPath")
def _(world):
    template(world, "order")["spec"]["volumes"].append({"name": "host", "hostPath": {"path": "/"}})


@mistake("the host's network", "hostNetwork is on")
def _(world):
    template(world, "order")["spec"]["hostNetwork"] = True


@mistake("no limit of memory", "resources.limits.memory is missing")
def _(world):
    del container(world, "shipping")["resources"]["limits"]["memory"]


@mistake("a namespace that enforces too little", "enforce is not restricted")
def _(world):
    world.get("Namespace", "jetsaga")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "baseline"


@mistake("an unknown field", "terminationGracePeriod")
def _(world):
    template(world, "order")["spec"]["terminationGracePeriod"] = 40


@mistake("an unknown field of KEDA", "spec.pollingIntervall is no field")
def _(world):
    spec(world, "ScaledObject", "order")["pollingIntervall"] = 10


@mistake("an unknown field of a PodMonitor", "spec.podMetricsEndpoint is no field")
def _(world):
    spec(world, "PodMonitor", "jetsaga")["podMetricsEndpoint"] = []


@mistake("a threshold that is no text", "it takes digits")
def _(world):
    spec(world, "ScaledObject", "order")["triggers"][0]["metadata"]["lagThreshold"] = 200


@mistake("a kind that there is not", "is of neither Kubernetes")
def _(world):
    world.get("PodDisruptionBudget", "order")["apiVersion"] = "policy/v1beta1"


@mistake("a consumer that there is not", "the topology has no consumer checkout-payments on EVENTS")
def _(world):
    spec(world, "ScaledObject", "payment")["triggers"][0]["metadata"]["consumer"] = "checkout-payments"


@mistake("a consumer on another stream", "the topology has no consumer checkout-payment on TIMERS")
def _(world):
    spec(world, "ScaledObject", "payment")["triggers"][0]["metadata"]["stream"] = "TIMERS"


@mistake("another worker's consumer", "checkout-payment is not the consumer of shipping")
def _(world):
    spec(world, "ScaledObject", "shipping")["triggers"][0]["metadata"]["consumer"] = "checkout-payment"


@mistake("a consumer that nothing scales on", "nothing scales on consumer checkout-owner of TIMERS")
def _(world):
    triggers = spec(world, "ScaledObject", "order")["triggers"]
    triggers.remove(next(it for it in triggers if it["metadata"]["stream"] == "TIMERS"))


@mistake("KEDA asks at the wrong place", "and the servers are at nats-headless.jetsaga.svc:8222")
def _(world):
    spec(world, "ScaledObject", "order")["triggers"][0]["metadata"]["natsServerMonitoringEndpoint"] = "nats.jetsaga.svc:8222"


@mistake("two that scale one", "is scaled by ScaledObject order already")
def _(world):
    spec(world, "HorizontalPodAutoscaler", "gateway")["scaleTargetRef"]["name"] = "order"


@mistake("a number of replicas that fights the scaling", "Deployment order says how many replicas it has")
def _(world):
    spec(world, "Deployment", "order")["replicas"] = 2


@mistake("a scaled worker that there is not", "there is no Deployment orders")
def _(world):
    spec(world, "ScaledObject", "order")["scaleTargetRef"]["name"] = "orders"


@mistake("a namespace that is open by default", "no NetworkPolicy denies everything")
def _(world):
    world.objects.remove(world.get("NetworkPolicy", "default-deny"))


@mistake("a path too many", "which nothing needs")
def _(world):
    spec(world, "NetworkPolicy", "workers-to-monitor")["podSelector"] = {"matchLabels": {"jetsaga/nats": "client"}}
    spec(world, "NetworkPolicy", "nats")["ingress"][1]["from"][0]["podSelector"] = {"matchLabels": {"jetsaga/nats": "client"}}


@mistake("a path that lacks one end", "the policies open only one end of the way from order to nats, port client")
def _(world):
    spec(world, "NetworkPolicy", "nats")["ingress"].pop(0)


@mistake("a policy that names a port", "port client is a name")
def _(world):
    spec(world, "NetworkPolicy", "clients-to-nats")["egress"][0]["ports"][0]["port"] = "client"


@mistake("a path to the world for everybody", "the policies open the way from order to the world, port 443, which nothing needs")
def _(world):
    spec(world, "NetworkPolicy", "effects-to-world")["podSelector"] = {}


@mistake("no way to the database", "the policies do not open the way from projector to postgresql, port 5432")
def _(world):
    world.objects.remove(world.get("NetworkPolicy", "read-side-to-database"))


@mistake("no way for KEDA", "the policies do not open the way from keda to nats, port 8222")
def _(world):
    world.objects.remove(world.get("NetworkPolicy", "keda-to-monitor"))


@mistake("a policy for nobody", "NetworkPolicy nats takes no pods")
def _(world):
    spec(world, "NetworkPolicy", "nats")["podSelector"]["matchLabels"]["app.kubernetes.io/name"] = "nast"


@mistake("an image without a version", "is not NAME:VERSION")
def _(world):
    container(world, "order")["image"] = "jetsaga:latest"


@mistake("another nats-server than compose runs", "is not the version of deploy/compose.yaml")
def _(world):
    container(world, "nats", "StatefulSet")["image"] = "nats:2.14.4-alpine"


@mistake("another reloader than the chart's values name", "is not the version of chart/nats.values.yaml")
def _(world):
    template(world, "nats", "StatefulSet")["spec"]["containers"][1]["image"] = "natsio/nats-server-config-reloader:0.9.0"


@mistake("too few servers for the replicas", "JETSAGA_REPLICAS is 3, and there are 1 nats-servers")
def _(world):
    spec(world, "StatefulSet", "nats")["replicas"] = 1


@mistake("servers that do not write through", "and sync_interval is None")
def _(world):
    data = world.config("nats-config")
    data["nats.conf"] = data["nats.conf"].replace("sync_interval: always", "")


@mistake("a route to a server that there is not", "nats.conf: routes are")
def _(world):
    data = world.config("nats-config")
    data["nats.conf"] = data["nats.conf"].replace("nats-2.nats-headless", "nats-3.nats-headless")


@mistake("servers that share a node", "two of them may run on one node")
def _(world):
    del template(world, "nats", "StatefulSet")["spec"]["affinity"]


@mistake("replicas that share a zone", "it is not spread over nodes and zones")
def _(world):
    template(world, "payment")["spec"]["topologySpreadConstraints"].pop()


@mistake("a volume for one pod in the hands of two", "is for one pod at a time")
def _(world):
    spec(world, "Deployment", "keeper")["replicas"] = 2


@mistake("an object twice", "is there twice")
def _(world):
    world.objects.append(copy.deepcopy(world.get("Service", "nats")))


@mistake("an object of another namespace", "it is in no namespace jetsaga")
def _(world):
    world.get("Service", "nats")["metadata"]["namespace"] = "default"
