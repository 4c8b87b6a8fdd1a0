"""What listens on a socket by itself: connections are served until they end, or until everybody is hung up on."""

import asyncio
import ssl as tls
from abc import ABC, abstractmethod


class Listener(ABC):
    """Serves each connection by `serve`, until `stop`."""

    def __init__(self, host: str, port: int, *, ssl: tls.SSLContext | None) -> None:
        """Port 0 is chosen by the system; `port` tells which after `start`."""
        self.host = host
        self.port = port
        self._ssl = ssl
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._connected, self.host, self.port, ssl=self._ssl)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read and answer until nothing comes; the connection is closed afterwards."""

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self.serve(reader, writer)
        except OSError:
            pass  # the sender is gone; what came whole is kept
        except asyncio.CancelledError:
            pass  # we are stopping, and asyncio would report the end of this task as an error
        finally:
            self._serving.discard(task)
            writer.close()
