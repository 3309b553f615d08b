"""What a container sees of its volumes."""


def holder(container, path):
    """The mount that a path lies on, or None: the one that is deepest."""
    mounts = container.get("volumeMounts", [])
    over = [it for it in mounts if path == it["mountPath"] or path.startswith(it["mountPath"].rstrip("/") + "/")]
    return max(over, key=lambda it: len(it["mountPath"]), default=None)


def volume(pod, mount):
    """The volume of a mount; of a claim's template nothing is known here."""
    return next((it for it in pod.spec.get("volumes", []) if mount and it["name"] == mount["name"]), {})


def parts(of):
    """What a volume is put together from."""
    return of.get("projected", {}).get("sources") or [of]


def secrets(pod):
    """Each Secret that is mounted: volume, name, and the mode of each of its files."""
    for it in pod.spec.get("volumes", []):
        for source in parts(it):
            found = source.get("secret")
            if found:
                usual = it.get("projected", found).get("defaultMode", 0o644)
                modes = [item.get("mode", usual) for item in found.get("items") or [{}]]
                yield it["name"], found.get("secretName") or found["name"], modes


def keys(world, pod, mount):
    """The files that are mounted, or None for what is not made of Secrets and ConfigMaps, or not known."""
    if not mount or "subPath" in mount:
        return None
    files = set()
    for source in parts(volume(pod, mount)):
        kind = next((it for it in ("configMap", "secret") if source.get(it)), None)
        if not kind:
            return None
        name = source[kind].get("secretName") or source[kind]["name"]
        there = (world.get("ConfigMap", name) or {}).get("data") if kind == "configMap" else None
        there = set(there) if there is not None else world.facts["made"][kind.lower()].get(name, set())
        chosen = source[kind].get("items")
        files |= {item["path"] for item in chosen if item["key"] in there} if chosen else there
    return files


def writable(pod, container, path):
    """Whether it may make a file there, its root being read-only."""
    mount = holder(container, path)
    of = volume(pod, mount)
    return bool(mount) and path != mount["mountPath"] and not mount.get("readOnly") and not {"configMap", "secret", "projected"} & set(of)
