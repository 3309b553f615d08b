"""Mistakes made on purpose: workers, the Job, scaling, metrics."""

from mutations import container, mistake, spec, template


def limits(world, name):
    return container(world, name)["resources"]["limits"]


def trigger(world, name):
    return spec(world, "ScaledObject", name)["triggers"][0]["metadata"]


def external(world, name):
    return spec(world, "HorizontalPodAutoscaler", name)["metrics"][0]["external"]


def endpoint(world):
    return spec(world, "PodMonitor", "jetsaga")["podMetricsEndpoints"][0]


@mistake("a Deployment that runs another worker", "Deployment shipping, container worker: it runs `worker payment`, and not `worker shipping`")
def _(world):
    container(world, "shipping")["args"] = ["worker", "payment"]


@mistake("a Deployment that runs no worker", "it runs `idle`, and not `worker shipping`")
def _(world):
    container(world, "shipping")["args"] = ["idle"]


@mistake("pods called after another worker", "its pods are called payment")
def _(world):
    template(world, "shipping")["metadata"]["labels"]["app.kubernetes.io/name"] = "payment"


@mistake("a Job that makes nothing", "it runs `topology diff`, and not `topology ensure`")
def _(world):
    container(world, "topology", "Job")["args"] = ["topology", "diff"]


@mistake("no Job that makes the streams", "no Job runs `topology ensure`")
def _(world):
    world.objects.remove(world.get("Job", "topology"))


@mistake("a Job that makes one replica", "it makes streams with 1 replicas, and JETSAGA_REPLICAS of the workers is 3")
def _(world):
    env = container(world, "topology", "Job")["env"]
    env.remove(next(it for it in env if it["name"] == "JETSAGA_REPLICAS"))


@mistake("readiness that is only life", "its readinessProbe asks /livez; it asks /readyz")
def _(world):
    container(world, "order")["readinessProbe"]["httpGet"]["path"] = "/livez"


@mistake("a probe of a path that there is not", "its readinessProbe asks /readz, and it serves /livez, /readyz, /metrics")
def _(world):
    container(world, "order")["readinessProbe"]["httpGet"]["path"] = "/readz"


@mistake("a life that is asked of the metrics", "its livenessProbe asks /metrics; it asks /livez")
def _(world):
    container(world, "order")["livenessProbe"]["httpGet"]["path"] = "/metrics"


@mistake("a rollout that takes away first", "maxUnavailable 1, maxSurge 0: an old replica goes before a new one is there")
def _(world):
    spec(world, "Deployment", "payment")["strategy"]["rollingUpdate"] = {"maxUnavailable": 1, "maxSurge": 0}


@mistake("a rollout as Kubernetes has it by itself", "maxUnavailable 25%, maxSurge 25%: an old replica goes")
def _(world):
    del spec(world, "Deployment", "payment")["strategy"]


@mistake("a rollout that stops everything", "its strategy is Recreate")
def _(world):
    spec(world, "Deployment", "payment")["strategy"] = {"type": "Recreate"}


@mistake("a disruption budget that lets nobody go", "PodDisruptionBudget order lets none of 2 go")
def _(world):
    spec(world, "PodDisruptionBudget", "order")["maxUnavailable"] = 0


@mistake("a disruption budget that keeps them all", "PodDisruptionBudget outbound lets none of 2 go")
def _(world):
    budget = spec(world, "PodDisruptionBudget", "outbound")
    budget["minAvailable"] = "100%"
    del budget["maxUnavailable"]


@mistake("a request above its limit", "it requests 640Mi of memory, above its limit of 128Mi")
def _(world):
    container(world, "order")["resources"]["requests"]["memory"] = "640Mi"


@mistake("a request of CPU above its limit", "it requests 1500m of cpu, above its limit of 1")
def _(world):
    container(world, "order")["resources"]["requests"]["cpu"] = "1500m"


@mistake("less memory than a worker holds", "its limit of memory is 32Mi, and a worker holds up to")
def _(world):
    limits(world, "order")["memory"] = "32Mi"


@mistake("a request of less than a worker holds", "it requests 8Mi of memory, and a worker holds up to")
def _(world):
    container(world, "order")["resources"]["requests"]["memory"] = "8Mi"


@mistake("an account that there is not", "it asks for account JETSAGA, and nats.conf has $G")
def _(world):
    trigger(world, "order")["account"] = "JETSAGA"


@mistake("an account of the servers that nobody asks for", "it asks for account $G, and nats.conf has SHOP")
def _(world):
    world.config("nats-config")["nats.conf"] += "accounts { SHOP { jetstream: enabled } }\n"


@mistake("messages that wake nobody", "activationLagThreshold is 500: so many messages wake no replica")
def _(world):
    trigger(world, "notifier")["activationLagThreshold"] = "500"


@mistake("a threshold that is never reached", "lagThreshold is 200000, and a replica of order has 256 messages in work at once")
def _(world):
    trigger(world, "order")["lagThreshold"] = "200000"


@mistake("a threshold that everything reaches", "lagThreshold is 1, and a replica of order has 256 messages in work at once")
def _(world):
    trigger(world, "order")["lagThreshold"] = "1"


@mistake("less in work than what a replica is to hold", "lagThreshold is 200, and a replica of order has 64 messages in work at once")
def _(world):
    world.config("engine")["JETSAGA_CONCURRENCY"] = "64"


@mistake("another worker's consumer, without KEDA", "checkout-shipping is not the consumer of payment", "hpa")
def _(world):
    external(world, "payment")["metric"]["selector"]["matchLabels"]["consumer"] = "checkout-shipping"


@mistake("a consumer that there is not, without KEDA", "it asks for consumer payment, which the topology does not have", "hpa")
def _(world):
    external(world, "payment")["metric"]["selector"]["matchLabels"]["consumer"] = "payment"


@mistake("a consumer that nothing scales on, without KEDA", "no HorizontalPodAutoscaler scales on consumer inventory-shipped", "hpa")
def _(world):
    spec(world, "HorizontalPodAutoscaler", "inventory")["metrics"].pop()


@mistake("a metric that there is not", "there is no metric jetsaga_consumer_backlogs", "hpa")
def _(world):
    external(world, "payment")["metric"]["name"] = "jetsaga_consumer_backlogs"


@mistake("a threshold that is never reached, without KEDA", "averageValue is 20k, and a replica of payment", "hpa")
def _(world):
    external(world, "payment")["target"]["averageValue"] = "20k"


@mistake("metrics at a path that there is not", "it asks Deployment order for /metric; metrics are at /metrics")
def _(world):
    endpoint(world)["path"] = "/metric"


@mistake("metrics that do not say whose they are", "its relabelings make worker of nothing")
def _(world):
    endpoint(world)["relabelings"].pop()


@mistake("metrics under another job", "its relabelings make job of {'replacement': 'shop'}")
def _(world):
    endpoint(world)["relabelings"][0]["replacement"] = "shop"


@mistake("rules on nothing", "there are rules, and no PodMonitor")
def _(world):
    world.objects.remove(world.get("PodMonitor", "jetsaga"))
