"""An echo of ACS streaming in Python: asyncio, websockets and json, as the official samples have it."""

import asyncio
import base64
import json

import websockets


async def serve(ws, *_):
    async for message in ws:
        data = json.loads(message)
        if data["kind"] != "AudioData":
            continue
        # A bot works on samples, so they are decoded.
        samples = base64.b64decode(data["audioData"]["data"])
        out = {"Kind": "AudioData", "AudioData": {"Data": base64.b64encode(samples).decode()}, "StopAudio": None}
        await ws.send(json.dumps(out))


async def main():
    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        print("ws://127.0.0.1:%d/media" % server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
