"""Names of loggers: a module of this project speaks under the name that nova's logging.conf rules."""

_SERVICES = "cloud.services."
_PROJECT = "cloud."


def logger_name(module: str | None) -> str:
    """`cloud.services.compute.manager` -> `nova.compute.manager`, `cloud.rpc.client` -> `nova.rpc.client`.

    So `[logger_nova] qualname = nova` of the guide governs them all; a foreign module keeps its own name,
    and a program without one (`__main__`) speaks as `nova`.
    """
    if not module or module in {"__main__", "cloud"}:
        return "nova"
    for prefix in (_SERVICES, _PROJECT):
        if module.startswith(prefix):
            return "nova." + module.removeprefix(prefix)
    return module
