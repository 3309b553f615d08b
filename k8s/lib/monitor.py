"""Prometheus finds the workers' metrics, under the labels that rules and dashboards ask for."""

import re

import promql
import rules
import workloads

# What Prometheus itself says of a target. `job` it says as well, after the PodMonitor.
GIVEN = {"instance"}
NAME = "__meta_kubernetes_pod_label_app_kubernetes_io_name"


def check(world):
    if world.of("PrometheusRule") and not world.of("PodMonitor"):
        yield "there are rules, and no PodMonitor: nothing is measured"
    job = re.search(r'job="([^"]+)"', rules.SOURCE.read_text())[1]
    due = {"job": {"replacement": job}, "worker": {"sourceLabels": [NAME]}}
    for monitor in world.of("PodMonitor"):
        where = f"PodMonitor {monitor['metadata']['name']}"
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            for pod in world.selected(monitor["spec"]["selector"]):
                for container in pod.containers():
                    listed = [port.get("name") for port in container.get("ports", [])]
                    if endpoint["port"] in listed:
                        yield from (f"{where}: {why}" for why in scraped(world, endpoint, pod, container))
            made = {it.get("targetLabel"): {key: it[key] for key in it if key != "targetLabel"} for it in endpoint.get("relabelings", [])}
            for label in sorted(promql.SCRAPED - GIVEN):
                if made.get(label) != due.get(label):
                    yield f"{where}: its relabelings make {label} of {made.get(label, 'nothing')}; rules and dashboards ask for {due.get(label)}"


def scraped(world, endpoint, pod, container):
    path = endpoint.get("path", "/metrics")
    served = workloads.paths(world.facts["tool"], *container["args"][:2])
    if path != "/metrics" or path not in served:
        yield f"it asks {pod} for {path}; metrics are at /metrics"
