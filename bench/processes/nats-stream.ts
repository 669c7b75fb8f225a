import { type Register, RegisterReply, ServeRequest, ServeResponse } from "@callweave/proto";
import { connect, headers } from "nats";

/** What an agent needs of its stream, on whichever wire. */
export interface AgentStream {
  write(request: ServeRequest): void;
}

const AGENTS = "callweave.default.agents";
const REGISTER_TIMEOUT_MS = 10_000;

/** A stream on NATS by the letter of docs/nats-subjects.md; the registration is its first message. */
export async function openNatsStream(
  url: string,
  register: Register,
  onMessage: (stream: AgentStream, message: ServeResponse) => void,
): Promise<AgentStream> {
  const nc = await connect({ servers: url, noAsyncTraces: true });
  const first = ServeRequest.encode({ items: [{ item: { $case: "register", value: register } }] }).finish();
  const about = headers();
  about.set("Content-Type", "application/protobuf");
  const answer = await nc.request(`${AGENTS}.register`, first, {
    headers: about,
    timeout: REGISTER_TIMEOUT_MS,
  });
  const { session } = RegisterReply.decode(answer.data);
  if (session === "") throw new Error(answer.headers?.get("Nats-Service-Error") || "not registered");
  let sequence = 0;
  const stream: AgentStream = {
    write(request) {
      const lines = headers();
      lines.set("Callweave-Sequence", String(++sequence));
      nc.publish(`${AGENTS}.${session}.up`, ServeRequest.encode(request).finish(), { headers: lines });
    },
  };
  nc.subscribe(`${AGENTS}.${session}.down`, {
    callback: (_error, message) => {
      const status = message.headers?.get("Callweave-Status");
      if (status) {
        console.error(`the stream ended: ${message.headers?.get("Callweave-Reason") || status}`);
        process.exit(1);
      }
      onMessage(stream, ServeResponse.decode(message.data));
    },
  });
  stream.write({ items: [{ item: { $case: "heartbeat", value: { load: 0 } } }] });
  return stream;
}
