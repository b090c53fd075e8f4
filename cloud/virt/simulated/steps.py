"""The steps of the simulated hypervisor: at each of them knobs can let it fail, or take its time."""

from collections.abc import Mapping, Sequence

STEPS: Mapping[str, Sequence[str]] = {
    "resources": (),
    "instances": (),
    "spawn": ("disk", "network", "boot"),
    "destroy": ("stop", "disk"),
    "reboot": ("stop", "start"),
    "power_off": (),
    "power_on": (),
    "console_output": (),
    "snapshot": ("copy",),
    "check_can_leave": (),
    "check_can_come": (),
    "prepare_arrival": ("ready",),
    "start_transfer": (),
    # Its own name is asking for it; the steps are the transfer's, in a thread of their own. At `stop` the instance is
    # paused, at `hand_over` all has been sent, at `depart` the destination has it.
    "transfer": ("start", "disk", "memory", "stop", "hand_over", "depart"),
    "abort_transfer": (),
    "force_transfer": (),
    "take_in": ("define",),
    "complete_arrival": (),
    "cancel_arrival": (),
    "clear_departed": ("disk",),
    "prepare_disk": ("ready",),
    "send_disk": ("copy",),
    "adopt": ("disk", "define"),
    "set_aside": (),
    "take_back": (),
    "drop_aside": ("disk",),
    "resize": ("disk",),
    "define_again": ("disk",),
    "keep": ("guest",),
    "kept_copies": (),
    "remove_kept": (),
}
"""Of each method the steps, in order; its own name is a step before them. `take_in` is when a destination finds what a
transfer has brought, whatever it is asked.
"""

NAMES = frozenset(STEPS) | {f"{method}.{step}" for method, steps in STEPS.items() for step in steps}
