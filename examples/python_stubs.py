"""An agent on generated stubs alone: takes calls and says back what it hears, until interrupted (Ctrl-C)."""

import os
import queue
import signal
import sys

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "gen", "python"))
from callweave.v1 import agent_service_pb2 as pb, agent_service_pb2_grpc as stubs

address = os.environ.get("CALLWEAVE_ADDRESS", "127.0.0.1:7070")
metadata = [("authorization", "Bearer " + os.environ.get("CALLWEAVE_KEY", ""))]
outgoing = queue.SimpleQueue()


def say(**item):
    outgoing.put(pb.ServeRequest(items=[pb.AgentItem(**item)]))


say(register=pb.Register(agent_id="python-echo", capacity=1, answer_on_accept=True))
channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
messages = stubs.AgentServiceStub(channel).Serve(iter(outgoing.get, None), metadata=metadata)
signal.signal(signal.SIGINT, lambda *_: say(bye=pb.Bye()))  # after which the gateway ends the stream
for message in messages:
    for item in message.items:
        kind = item.WhichOneof("item")
        if kind == "offer":
            say(accept=pb.Accept(offer_id=item.offer.offer_id))
        elif kind == "audio":
            say(audio=pb.AgentAudio(pcm=item.audio.pcm))
        else:
            print(kind, flush=True)
