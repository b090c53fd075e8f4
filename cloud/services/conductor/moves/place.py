"""Where a move goes: chosen by nova-scheduler, claimed before anything is done there, given back when it is undone."""

from collections.abc import Sequence
from dataclasses import replace

from cloud.domain.flavor import Flavor
from cloud.domain.host import Candidate
from cloud.errors import CloudError, HostNotFoundError, InstanceNotFoundError, NoRoomError, NoValidHostError
from cloud.logs.emit import logger
from cloud.logs.events import PROGRESS
from cloud.logs.events import Procedure as Vocabulary
from cloud.services.conductor.build import CLAIM_ROUNDS
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import Move, Scheduler, aborted, described
from cloud.services.conductor.tables import Tables


class Placing:
    """The steps `schedule` and `claim` of every kind of move."""

    def __init__(self, tables: Tables, scheduler: Scheduler, journal: Journal, vocabulary: Vocabulary) -> None:
        self._tables = tables
        self._scheduler = scheduler
        self._journal = journal
        self._vocabulary = vocabulary

    def schedule(self, move: Move) -> None:
        """NoValidHostError when no host passes."""
        move.candidates = self._scheduler.select_hosts(move.request)

    def claim(self, move: Move) -> None:
        """On the best candidate that still has room; where others were faster, hosts are chosen anew.

        The migration has the destination then. On the instance's own host, for a resize, its claim grows.
        """
        if self._is_claimed(move):
            return
        self.release(move)
        cause = "there is no candidate"
        # No other choice is made where one host is asked for, however often.
        rounds = 1 if _is_host_named(move) else CLAIM_ROUNDS
        for attempt in range(rounds):
            if attempt > 0 or not move.candidates:
                self.schedule(move)
            for candidate in move.candidates:
                try:
                    self._claim_on(move, candidate)
                except (NoRoomError, HostNotFoundError) as exc:
                    cause = move.full[candidate.host] = str(exc)
                else:
                    return
            self._say_full(move, move.candidates)
        others = f"others were faster {rounds} times; " if rounds > 1 else ""
        raise NoValidHostError(f"no valid host: {others}{cause}")

    def claim_next(self, move: Move, refusal: CloudError, *, step: str) -> bool:
        """Where the destination has refused it at `step`: give back the claim there, and claim on the next candidate.

        False, and all is as it was, where a host was asked for, or each candidate was tried. Errors as of `claim`.
        """
        refused = move.destination
        move.refused[refused] = str(refusal)
        move.request = replace(move.request, ignored_hosts=(*move.request.ignored_hosts, refused))
        others = () if _is_host_named(move) else self._others(move)
        if not others:
            return False
        self._journal.refresh(move)
        if move.migration.is_abort_wanted:
            raise aborted(move)
        line = logger.bind(event=self._vocabulary.event(step, PROGRESS), step=step, **described(move))
        line.bind(error=str(refusal), cause=type(refusal).__name__).warning("host is refused, another one is tried")
        self._journal.note(move, step="claim")  # before it is given back: whoever takes it up here claims anew
        self.release(move)
        move.candidates = others
        self.claim(move)
        self._journal.note(move, step=step)
        return True

    def release(self, move: Move) -> None:
        """Undo the claim at the destination, if there is one."""
        host = move.migration.dest_compute
        if host == move.source:
            self._settle(move, move.migration.old_flavor)
        elif host is not None:
            self._journal.release(move, host)

    def release_source(self, move: Move) -> None:
        """Give back what it had at its source, now that it is at its destination for good."""
        if move.destination == move.source:
            self._settle(move, move.migration.new_flavor)
        else:
            self._journal.release(move, move.source)

    def _others(self, move: Move) -> Sequence[Candidate]:
        """Behind those that were tried; chosen anew by whoever has taken it up, who does not know of them."""
        if not move.candidates:
            try:
                self.schedule(move)
            except NoValidHostError:
                return ()
        return tuple(candidate for candidate in move.candidates if candidate.host not in move.refused)

    def _is_claimed(self, move: Move) -> bool:
        """By whoever had this step before; on the instance's own host that cannot be seen."""
        host = move.migration.dest_compute
        return host is not None and host != move.source and host in self._tables.claims.of(move.uuid)

    def _claim_on(self, move: Move, candidate: Candidate) -> None:
        node = self._tables.compute_nodes.get(candidate.host)
        self._journal.note(move, dest_compute=candidate.host, dest_node=candidate.node, dest_host=node.host_ip)
        wanted = move.migration.new_flavor.resources
        if candidate.host == move.source:
            either = wanted.or_more(move.migration.old_flavor.resources)  # it may have to be put back
            self._journal.resize_claim(move, candidate.host, either, candidate.limits)
        else:
            self._journal.claim(move, candidate.host, wanted, candidate.limits)

    def _settle(self, move: Move, flavor: Flavor) -> None:
        """It stays on its host, and has claimed there what either flavor takes: from now on what this one takes."""
        try:
            self._journal.resize_claim(move, move.source, flavor.resources, None)
        except InstanceNotFoundError:
            return  # deleted, and its claims with it

    def _say_full(self, move: Move, candidates: Sequence[Candidate]) -> None:
        logger.bind(
            event=self._vocabulary.event("claim", PROGRESS),
            candidates=len(candidates),
            full=dict(move.full),
            **described(move),
        ).info("candidates were full before they could be claimed")


def _is_host_named(move: Move) -> bool:
    return bool(move.request.forced_host or move.request.requested_host)
