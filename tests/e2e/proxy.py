"""A network that can be broken: one TCP proxy per ordered pair of nodes, in one thread.

Node i dials node j through a port that stands for (i, j). Rules are per direction of a pair, whoever
dialled: blocked (bytes wait, as they do in TCP when packets are lost), delayed, narrow (so many bytes
a second and a small buffer, so that a sender feels it), refused (connections are reset). This works
on any kernel; tc netem does not exist on all of them.

Deliberately absent: changing bytes. TLS would only drop the link, which `reset` does as well.
"""
import asyncio
import collections
import socket
import threading
import time

CHUNK = 16384
NARROW_CHUNK = 1024
WAITING_CHUNKS_MAX = 256  # per direction; then the sender is slowed down, as by a full socket
NARROW_CHUNKS_MAX = 4  # the buffer of a narrow link
RECEIVE_BYTES = 16384  # of our sockets: what a node has sent is either in here or with the other one


class Network:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.blocked = set()  # (from, to)
        self.delay_s = {}  # (from, to) -> seconds
        self.bytes_per_s = {}  # (from, to) -> what a narrow link carries
        self.free_at = {}  # (from, to) -> when a narrow link has carried all that was put on it
        self.carried = collections.Counter()  # (from, to) -> bytes so far
        self.refused = set()  # (from, to), both directions of a pair
        self.open = {}  # writer -> (a, b)
        self.changed = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.ready = threading.Event()
        self.thread.start()
        self.ready.wait()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.changed = asyncio.Condition()
        self.ready.set()
        self.loop.run_forever()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def listen(self, dialler, target, port, target_port):
        async def accepted(reader, writer):
            await self._serve(dialler, target, target_port, reader, writer)

        async def begin():
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            listener.bind(("127.0.0.1", port))
            await asyncio.start_server(accepted, sock=listener, limit=CHUNK)
        self._call(begin())

    async def _until_open(self, direction):
        async with self.changed:
            await self.changed.wait_for(lambda: direction not in self.blocked)

    async def _carry(self, direction, size):
        """Returns when the link has carried that many bytes more; at once if it is not narrow."""
        self.carried[direction] += size
        rate = self.bytes_per_s.get(direction)
        if rate is not None:
            now = time.monotonic()
            self.free_at[direction] = max(now, self.free_at.get(direction, now)) + size / rate
            await asyncio.sleep(self.free_at[direction] - now)

    async def _pump(self, direction, reader, writer):
        waiting = asyncio.Queue(WAITING_CHUNKS_MAX)

        async def take():
            while True:
                while direction in self.bytes_per_s and waiting.qsize() >= NARROW_CHUNKS_MAX:
                    await asyncio.sleep(0.02)
                try:
                    chunk = await reader.read(
                        NARROW_CHUNK if direction in self.bytes_per_s else CHUNK)
                except OSError:  # reset: for the other side the same as an end
                    chunk = b""
                await waiting.put((time.monotonic() + self.delay_s.get(direction, 0), chunk))
                if not chunk:
                    return

        taking = asyncio.ensure_future(take())
        try:
            while True:
                due, chunk = await waiting.get()
                await asyncio.sleep(max(0, due - time.monotonic()))
                if direction in self.blocked:
                    await self._until_open(direction)
                if not chunk:
                    return
                await self._carry(direction, len(chunk))
                writer.write(chunk)
                await writer.drain()
        finally:
            taking.cancel()

    async def _serve(self, dialler, target, target_port, reader, writer):
        pair = (dialler, target)
        ends = [writer]
        self.open[writer] = pair
        try:
            if pair in self.refused:
                return
            # A SYN into a partition gets no answer: the dialler's own time limit ends it.
            for direction in (pair, pair[::-1]):
                if direction in self.blocked:
                    await self._until_open(direction)
            near = socket.socket()
            near.setblocking(False)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            await self.loop.sock_connect(near, ("127.0.0.1", target_port))
            far_reader, far_writer = await asyncio.open_connection(sock=near, limit=CHUNK)
            ends.append(far_writer)
            pumps = [asyncio.ensure_future(self._pump(pair, reader, far_writer)),
                     asyncio.ensure_future(self._pump(pair[::-1], far_reader, writer))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass
        finally:
            self.open.pop(writer, None)
            for end in ends:
                end.transport.abort()

    def _update(self, change):
        async def do():
            async with self.changed:
                change()
                self.changed.notify_all()
        self._call(do())

    def block(self, sources, targets, both=True):
        def change():
            for a in sources:
                for b in targets:
                    if a != b:
                        self.blocked.add((a, b))
                        if both:
                            self.blocked.add((b, a))
        self._update(change)

    def open_again(self, sources, targets):
        def change():
            for a in sources:
                for b in targets:
                    self.blocked -= {(a, b), (b, a)}
        self._update(change)

    def set_delay(self, node, others, seconds):
        def change():
            for other in others:
                if other != node:
                    self.delay_s[(node, other)] = self.delay_s[(other, node)] = seconds
        self._update(change)

    def set_rate(self, bytes_per_s, nodes):
        """What each link between those carries, each way."""
        def change():
            for a in nodes:
                for b in nodes:
                    if a != b:
                        self.bytes_per_s[(a, b)] = bytes_per_s
        self._update(change)

    def reset(self, a, b):
        """Cuts what is open between the two, in the middle of whatever is on the way."""
        def change():
            for writer, pair in list(self.open.items()):
                if set(pair) == {a, b}:
                    writer.transport.abort()
        self._update(change)

    def refuse(self, a, b):
        self._update(lambda: self.refused.update({(a, b), (b, a)}))
        self.reset(a, b)

    def heal(self):
        def change():
            self.blocked.clear()
            self.delay_s.clear()
            self.bytes_per_s.clear()
            self.free_at.clear()
            self.refused.clear()
        self._update(change)

    def stop(self):
        async def end():
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
        try:
            self._call(end())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(5)
