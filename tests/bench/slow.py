"""`python -m tests.bench.slow PORT RATE`: a link of so many bytes a second to a port; says its own port."""

from __future__ import annotations

import asyncio
import sys
import time

_PIECE = 1 << 16


async def main(port: int, rate: float) -> None:
    """Until it is ended."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        free = time.monotonic()
        try:
            while piece := await reader.read(_PIECE):
                writer.write(piece)
                await writer.drain()
                free = max(free, time.monotonic() - 0.01) + len(piece) / rate
                await asyncio.sleep(max(0.0, free - time.monotonic()))
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_PIECE)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
