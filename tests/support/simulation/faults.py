"""What is done to the cluster: drawn from the seed, one thing after the other, then all is mended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc

from support.simulation.etcd_model import Refusal
from tenure_sidecar.etcd._generated import etcd_pb2 as pb

if TYPE_CHECKING:
    from support.simulation.world import Pod, World

LEAST = 20  # faults of one run
# Faults after which a message may reach its owner by the sweep: its watch was silent, or cut off.
HUSH = {"drop-events", "silence-watches", "cut-from-etcd", "pause-etcd", "slow-etcd", "pause"}
_LOOK, _LOOK_FOR = 0.02, 4.0  # seconds between looks for something that is lent, and in all
_CLEAR = 0.4  # share of runs without any of them, in which a sweep must find nothing


class Faults:
    """See the module docstring.  ``done`` says what was done, and when, in virtual seconds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.done: list[str] = []
        self.kinds: set[str] = set()
        self._over = False
        self.skew = 0.0  # seconds that a clock was wrong at most
        self._random = world.fork()
        # Not everything happens in every run: what one fault hides another one may show.
        self._share = self._random.choice((0.3, 0.6, 1.0))
        self._kinds: list[tuple[int, Callable[[], None]]] = [
            (4, self.kill),
            (2, self.kill_all),
            (4, self.pause),
            (3, self.drain),
            (3, self.cut_from_etcd),
            (2, self.cut_from_peer),
            (2, self.reset_peers),
            (4, self.strike_loan),
            (2, self.revoke_lease),
            (2, self.clock_jumps),
            (2, self.crash_etcd),
            (2, self.pause_etcd),
            (3, self.slow_etcd),
            (6, self.lose_requests),
            (3, self.break_watches),
            (2, self.silence_watches),
            (2, self.drop_events),
            (3, self.compact),
            (3, self.forget),
            (3, self.break_between_messages),
            (1, self.fill_etcd),
            (3, self.disconnect_app),
            (1, self.take_app_away),
            (1, self.take_all_apps_away),
            (2, self.pause_app),
            (4, self.app_misbehaves),
            (1, self.app_forgets_tokens),
        ]

    async def run(self, seconds: float) -> None:
        """Let at least ``LEAST`` faults happen in the time."""
        loop = self.world.loop
        count = self._random.randrange(LEAST, LEAST + 10)
        times = sorted(self._random.uniform(0.0, seconds) for _ in range(count))
        begin = loop.time()
        kinds = self._kinds
        if self._random.random() < _CLEAR:
            kinds = [one for one in kinds if one[1].__name__.replace("_", "-") not in HUSH]
        chosen = [one for one in kinds if self._random.random() < self._share]
        chosen.append((1, self.disconnect_app))  # which is possible at any time
        chosen.append((2, self.strike_loan))
        for number, at in enumerate(times, 1):
            await asyncio.sleep(begin + at - loop.time())
            weights = [weight for weight, _ in chosen]
            while len(self.done) < number:  # some find nothing that they could do
                (kind,) = self._random.choices([kind for _, kind in chosen], weights)
                kind()
        await asyncio.sleep(begin + seconds - loop.time())

    def _note(self, kind: str, *what: object) -> None:
        self.kinds.add(kind)
        text = " ".join(map(str, (kind, *what)))
        self.done.append(f"{self.world.loop.time():.3f} {text}")
        self.world.trace.add("fault", text)

    def _for(self, least: float, most: float, undo: Callable[[], object]) -> str:
        """Undo it after a while; how long that is."""
        seconds = self._random.uniform(least, most)
        self.world.loop.call_later(seconds, undo)
        return f"for {seconds:.3f} s"

    def _pod(self) -> Pod:
        return self._random.choice(self.world.pods)

    def _with_app(self) -> Pod:
        return self._random.choice(self.world.apps)

    def _member(self) -> str:
        return self._random.choice(list(self.world.servers.members))

    # --- sidecars -----------------------------------------------------------------------------

    def kill(self) -> None:
        """F1: SIGKILL of a sidecar."""
        pod = self._pod()
        pod.kill()
        self._note("kill", pod.name, self._for(0.05, 4.0, pod.boot))

    def kill_all(self) -> None:
        """F2: SIGKILL of all sidecars at once."""
        for pod in self.world.pods:
            pod.kill()
            self._note("kill-all", pod.name, self._for(0.05, 2.0, pod.boot))

    def pause(self) -> None:
        """F3: SIGSTOP of a sidecar, past its lease or not."""
        pod = self._pod()
        process = pod.sidecar
        process.pause()
        self._note("pause", pod.name, self._for(0.1, 8.0, process.resume))

    def drain(self) -> None:
        """F25: SIGTERM of a sidecar."""
        pod = self._pod()
        if pod.terminate():
            self._note("drain", pod.name)

    def revoke_lease(self) -> None:
        """F4: somebody ends a sidecar's lease."""
        model = self.world.servers.model
        before = model.revision
        owned = sorted({kv.lease for key in model.names() if (kv := model.value(key)) and kv.lease})
        if owned:
            lease = self._random.choice(owned)
            model.revoke(pb.LeaseRevokeRequest(id=lease))
            self.world.servers.wrote(before)
            self._note("revoke-lease", f"{lease:x}")

    def clock_jumps(self) -> None:
        """F12: a sidecar's wall clock jumps, and stays so until the next jump."""
        pod = self._pod()
        skew = self._random.choice((0.0, -5.0, 5.0, -0.5, 0.5))
        pod.sidecar.skew = pod.skew = skew
        self.skew = max(self.skew, abs(skew))
        self._note("clock", pod.name, skew)

    # --- network ------------------------------------------------------------------------------

    def _cut(self, kind: str, one: str, two: str, most: float) -> None:
        network = self.world.network
        network.cut(one, two)
        self._note(kind, one, two, self._for(0.2, most, lambda: network.heal(one, two)))

    def cut_from_etcd(self) -> None:
        """F6: a sidecar reaches no member of etcd, or not one of them."""
        pod, members = self._pod(), list(self.world.servers.members)
        if self._random.random() < 0.3:
            members = [self._random.choice(members)]
        for member in members:
            self._cut("cut-from-etcd", pod.name, member, 9.0)

    def cut_from_peer(self) -> None:
        """F6: two sidecars do not reach each other."""
        one, two = self._random.sample(self.world.apps, 2)
        self._cut("cut-from-peer", one.name, two.name, 9.0)

    def reset_peers(self) -> None:
        """A sidecar's connections to others break, and it is not there for a moment: a suspicion
        that may be wrong."""
        pod, network = self._pod(), self.world.network
        network.refuse(pod.name)
        for other in self.world.pods:
            network.reset(pod.name, other.name)
        undo = self._for(0.2, 3.0, lambda: network.accept(pod.name))
        self._note("reset-peers", pod.name, undo)

    def strike_loan(self) -> None:
        """The next time that something is lent, an end of it or what is between them fails."""
        until = self.world.loop.time() + _LOOK_FOR
        how = self._random.choice(("break", "break", "cut", "lender", "borrower", "app", "drain"))
        self._note("strike-loan", how)
        self._look_for_loan(how, until)

    def _look_for_loan(self, how: str, until: float) -> None:
        world = self.world
        for lender in world.apps:
            if (borrower := lender.borrower()) is not None:
                world.trace.add("strike", how, lender.name, borrower.name)
                self._strike(how, lender, borrower)
                return
        if not self._over and world.loop.time() < until:
            world.loop.call_later(_LOOK, self._look_for_loan, how, until)

    def _strike(self, how: str, lender: Pod, borrower: Pod) -> None:
        network, loop = self.world.network, self.world.loop
        seconds = self._random.uniform(0.05, 4.0)
        if how == "break":
            network.reset(lender.name, borrower.name)
        elif how == "cut":
            network.cut(lender.name, borrower.name)
            loop.call_later(3 * seconds, network.heal, lender.name, borrower.name)
        elif how == "app":
            borrower.app.process.post(borrower.app.disconnect)
        elif how == "drain":
            borrower.terminate()
        else:
            pod = lender if how == "lender" else borrower
            pod.kill()
            loop.call_later(seconds, pod.boot)

    # --- etcd ---------------------------------------------------------------------------------

    def crash_etcd(self) -> None:
        """F5: members of etcd are killed."""
        servers = self.world.servers
        names = list(servers.members)
        for name in names if self._random.random() < 0.5 else [self._random.choice(names)]:
            servers.crash(name)
            undo = self._for(0.2, 4.0, lambda name=name: servers.start(name))  # type: ignore[misc]
            self._note("crash-etcd", name, undo)

    def pause_etcd(self) -> None:
        """F6: a member of etcd stops, and what lies in it is carried out when it wakes."""
        name = self._member()
        process = self.world.servers.members[name]
        process.pause()
        self._note("pause-etcd", name, self._for(0.2, 6.0, process.resume))

    def slow_etcd(self) -> None:
        """F10: everything takes long."""
        network, name = self.world.network, self._member()
        factor = self._random.choice((20.0, 100.0, 600.0))
        network.slow[name] = factor
        undo = self._for(0.5, 5.0, lambda: network.slow.pop(name, None))
        self._note("slow-etcd", name, factor, undo)

    def lose_requests(self) -> None:
        """F10: requests are lost, or carried out and not answered, or carried out late."""
        trouble = self.world.servers.trouble
        shares = (0, 5, 20)
        if self._random.random() < 0.5:  # of messages alone, and more of them
            trouble.only, shares = b"/inbox/", (0, 20, 30)
        trouble.lost = self._random.choice(shares)
        trouble.unanswered = self._random.choice(shares)
        trouble.late = self._random.choice(shares)

        def over() -> None:
            trouble.lost = trouble.unanswered = trouble.late = 0
            trouble.only = b""

        undo = self._for(0.5, 5.0, over)
        self._note("lose-requests", trouble.lost, trouble.unanswered, trouble.late, undo)

    def break_watches(self) -> None:
        """F11: a sidecar's connections to etcd break."""
        pod = self._pod()
        self.world.servers.break_streams(pod.name)
        self._note("break-watches", pod.name)

    def silence_watches(self) -> None:
        """F11: watches say nothing, as on a half-open connection."""
        trouble = self.world.servers.trouble
        trouble.silent = True

        def over() -> None:
            if trouble.silent:
                trouble.silent = False
                for pod in self.world.pods:  # what was not said is lost with the connection
                    self.world.servers.break_streams(pod.name)

        self._note("silence-watches", self._for(0.5, 9.0, over))

    def drop_events(self) -> None:
        """F11, beyond what etcd promises: watches of inboxes miss events."""
        trouble = self.world.servers.trouble
        trouble.deaf = self._random.choice((10, 50))

        def over() -> None:
            trouble.deaf = 0

        self._note("drop-events", trouble.deaf, self._for(0.5, 4.0, over))

    def compact(self) -> None:
        """F11: etcd forgets what was, and connections break so that watches want it."""
        servers = self.world.servers
        if servers.model.revision > servers.model.compacted:
            for pod in self.world.pods:
                if self._random.random() < 0.5:
                    servers.break_streams(pod.name)

            self._note("compact", self._for(0.0, 1.0, self._compact))

    def _compact(self) -> None:
        model = self.world.servers.model
        try:
            model.compact(pb.CompactionRequest(revision=model.revision))
        except Refusal as refusal:
            assert refusal.code is grpc.StatusCode.OUT_OF_RANGE

    def forget(self) -> None:
        """F11: a sidecar is away for less than its lease, and etcd has forgotten what it missed."""
        pod, servers = self._pod(), self.world.servers
        network, members = self.world.network, list(servers.members)
        servers.break_streams(pod.name)
        for member in members:
            network.cut(pod.name, member)
        self.world.away += 1

        def back() -> None:
            self._compact()
            self.world.away -= 1
            for member in members:
                network.heal(pod.name, member)

        self._note("forget", pod.name, self._for(0.3, 1.2, back))

    def break_between_messages(self) -> None:
        """F11: watch streams break between one message and that of the very next revision."""
        self.world.servers.trouble.breaks = self._random.choice((1, 3, 6))
        self._note("break-between-messages", self.world.servers.trouble.breaks)

    def fill_etcd(self) -> None:
        """F7: the NOSPACE alarm."""
        model = self.world.servers.model
        model.full = True

        def over() -> None:
            model.full = False

        self._note("fill-etcd", self._for(0.5, 4.0, over))

    # --- apps ---------------------------------------------------------------------------------

    def disconnect_app(self) -> None:
        """F13: the app crashes: what it was doing is lost, and it comes back."""
        pod = self._with_app()
        pod.app.process.post(pod.app.disconnect)
        self._note("disconnect-app", pod.name)

    def take_app_away(self) -> None:
        """F13: the app is gone for a while, and the sidecar stays."""
        pod = self._with_app()
        pod.app_wanted = False
        pod.app.process.post(pod.app.disconnect)

        def back() -> None:
            pod.app_wanted = True

        self._note("take-app-away", pod.name, self._for(0.5, 8.0, back))

    def take_all_apps_away(self) -> None:
        """No app is there for a while: gateways own, or all sidecars if there is none."""
        for pod in self.world.apps:
            pod.app_wanted = False
            pod.app.process.post(pod.app.disconnect)

        def back() -> None:
            for pod in self.world.apps:
                pod.app_wanted = True

        self._note("take-all-apps-away", self._for(1.0, 8.0, back))

    def pause_app(self) -> None:
        """F13: SIGSTOP of the app."""
        process = self._with_app().app.process
        process.pause()
        self._note("pause-app", process.name, self._for(0.1, 8.0, process.resume))

    def app_misbehaves(self) -> None:
        """F13 and F14: items are never answered, late, or twice."""
        pod = self._with_app()
        mood = pod.app.mood
        mood.silent = self._random.choice((0, 10, 30))
        mood.late = self._random.choice((0, 10, 30))
        mood.twice = self._random.choice((0, 20, 50))

        def over() -> None:
            mood.silent = mood.late = mood.twice = 0

        undo = self._for(0.5, 8.0, over)
        self._note("app-misbehaves", pod.name, mood.silent, mood.late, mood.twice, undo)

    def app_forgets_tokens(self) -> None:
        """F14: an SDK that does not know completion tokens takes the app's place."""
        pod = self._with_app()
        pod.app.mood.nameless = True
        pod.app.process.post(pod.app.disconnect)

        def over() -> None:
            pod.app.mood.nameless = False
            pod.app.process.post(pod.app.disconnect)

        self._note("app-forgets-tokens", pod.name, self._for(1.0, 10.0, over))

    # --- the end ------------------------------------------------------------------------------

    def heal(self) -> None:
        """Everything works again."""
        world = self.world
        self._over = True
        world.trace.add("healed")
        world.network.heal_all()
        for name, member in world.servers.members.items():
            member.resume()
            world.servers.start(name)
        world.servers.calm()
        for pod in world.pods:
            pod.heal()
