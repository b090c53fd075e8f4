"""How a move ends, for whoever asks afterwards: the fault for its owner, the details for admins."""

import traceback

from cloud.rpc.errors import NoSuchTargetError, RpcError, RpcTimeoutError, is_expected
from cloud.services.compute.faults import told_to_owner
from cloud.services.conductor.moves.move import Move
from cloud.services.conductor.procedure import Failure

FAULT_CODE = 500
"""As nova has it, whatever the cause."""


def message_for_owner(move: Move, failure: Failure) -> str:
    """The cause, with no host's name in it."""
    hosts = {move.source, *(candidate.host for candidate in move.candidates), *move.refused}
    if move.migration.dest_compute is not None:
        hosts.add(move.migration.dest_compute)
    otherwise = f"cannot move instance {move.uuid}: {_in_a_word(failure.cause)} at step {failure.step}"
    return told_to_owner(failure.cause, hosts, otherwise=otherwise)


def details_for_admins(move: Move, failure: Failure) -> str:
    """Step, cause and hosts, and what could not be undone."""
    migration = move.migration
    lines = [
        f"step {failure.step}: {type(failure.cause).__name__}: {failure.cause}",
        f"migration {migration.id} from host {move.source} to host {migration.dest_compute or '(none yet)'}",
    ]
    lines += [f"no room on host {host}: {cause}" for host, cause in move.full.items()]
    others = {host: cause for host, cause in move.refused.items() if host != migration.dest_compute}
    lines += [f"refused by host {host}: {cause}" for host, cause in others.items()]
    if failure.left:
        lines.append(f"may not be undone: {', '.join(failure.left)}")
    elif migration.is_handed_over:
        lines.append("not undone: the destination has the instance")
    if not is_expected(failure.cause):
        lines += traceback.format_exception(failure.cause)
    return "\n".join(lines)


def error_of(failure: Failure) -> str:
    """What the migration's own record says."""
    left = f"; may not be undone: {', '.join(failure.left)}" if failure.left else ""
    return f"step {failure.step}: {_words(failure.cause)}{left}"


def _words(cause: Exception) -> str:
    return str(cause) if is_expected(cause) else f"{type(cause).__name__}: {cause}"


def _in_a_word(cause: Exception) -> str:
    if isinstance(cause, RpcTimeoutError | NoSuchTargetError):
        return "no answer"
    return "a service failed" if isinstance(cause, RpcError) else type(cause).__name__
