"""The restricted Pod Security level, and what we hold beyond it."""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
LEVELS = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


def check(world):
    for namespace in world.of("Namespace"):
        labels = namespace["metadata"].get("labels", {})
        for label, level in LEVELS.items():
            if labels.get(label) != level:
                yield f"Namespace {namespace['metadata']['name']}: {label} is not {level}"
    for it in world.objects:
        if it["kind"] not in ("Namespace",) and it["metadata"].get("namespace") != "jetsaga":
            yield f"{it['kind']} {it['metadata']['name']}: it is in no namespace jetsaga"
        if it["kind"] in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret"):
            yield f"{it['kind']} {it['metadata']['name']}: nothing here needs one"
    for pod in world.pods():
        yield from (f"{pod}: {why}" for why in of_pod(pod.spec))
        for container in pod.containers():
            yield from (f"{pod}, container {container['name']}: {why}" for why in of_container(pod.spec, container))


def of_pod(spec):
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(host):
            yield f"{host} is on"
    if spec.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken is not off"
    if spec.get("enableServiceLinks") is not False:
        yield "enableServiceLinks is not off"
    if spec.get("serviceAccountName", "default") != "default":
        yield "it has a service account"
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']} is a {', '.join(sorted(kinds - VOLUMES))}"
        if "emptyDir" in volume and not volume["emptyDir"].get("sizeLimit"):
            yield f"volume {volume['name']} has no sizeLimit"
    context = spec.get("securityContext", {})
    if context.get("sysctls") or context.get("seLinuxOptions") or context.get("windowsOptions"):
        yield "sysctls, SELinux or Windows options are set"
    if context.get("fsGroup") in (None, 0) and any("persistentVolumeClaim" in v for v in spec.get("volumes", [])):
        yield "it writes to a volume and has no fsGroup"


def of_container(spec, container):
    around, own = spec.get("securityContext", {}), container.get("securityContext", {})
    both = around | own
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if (both.get("runAsUser") or 0) < 10000:
        yield "runAsUser is below 10000, or left to the image"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile is not RuntimeDefault"
    if own.get("privileged"):
        yield "it is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    capabilities = own.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "its capabilities are not dropped, all of them"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "its root file system is not read-only"
    if own.get("procMount", "Default") != "Default":
        yield "procMount is set"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "it has a port of the host"
    resources = container.get("resources", {})
    for side in ("requests", "limits"):
        for what in ("cpu", "memory"):
            if not resources.get(side, {}).get(what):
                yield f"resources.{side}.{what} is missing"
