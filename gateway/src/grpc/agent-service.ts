import type { AgentServiceDefinition, ServeRequest, ServeResponse, ServiceHandlers } from "@callweave/proto";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { encodeServeResponse } from "../contract/audio-wire.js";
import { publicError } from "../contract/public-error.js";
import { ServeSession } from "../contract/serve-session.js";
import { directWrite, readDirectly } from "./direct-stream.js";
import { serviceError } from "./status.js";
import { BadRequest, type EdgeContext, identify } from "./unary.js";

/** The handlers of AgentService. */
export function agentService(context: EdgeContext): ServiceHandlers<typeof AgentServiceDefinition> {
  return { serve: (call) => serve(context, call) };
}

function serve(edge: EdgeContext, call: ServerDuplexStream<ServeRequest, ServeResponse>): void {
  const { api, authenticator, options, logger, stats } = edge;
  const { audit } = options;
  const name = call.getPath();
  const peer = call.getPeer();
  const session = new ServeSession(
    { agents: api.agents, authenticator, limits: options.stream, logger, stats, audit },
    {
      name,
      peer,
      write: directWrite(call, encodeServeResponse),
      finish: (error) => {
        if (error) call.emit("error", serviceError(error));
        else call.end();
      },
    },
  );
  call.once("end", () => session.halfClosed());
  call.once("cancelled", () => session.gone());
  call.once("close", () => session.gone());
  identify(edge, call).then(
    (credential) => {
      session.admit(credential);
      const take = (message: ServeRequest | BadRequest) => {
        if (message instanceof BadRequest) session.refuse(message.error);
        else session.message(message);
      };
      // Nothing is read before it is known who speaks.
      call.on("data", take);
      const { maxMessageBytes } = options.stream;
      readDirectly(call, take, (bytes, from, to) =>
        to - from <= maxMessageBytes ? session.audioMessage(bytes, from, to) : false,
      );
    },
    (error: unknown) => {
      session.refuse(publicError(error, logger, name));
      call.resume();
    },
  );
}
