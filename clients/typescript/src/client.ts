import { Calls } from "./calls.js";
import { type ConnectionOptions, connectionConfig, RotatingConnection } from "./connection.js";
import { Contexts } from "./contexts.js";
import { Fleet } from "./fleet.js";

/** Connects an observer or supervisor. Nothing is sent before the first request. Throws INVALID_FIELD. */
export function connect(options: ConnectionOptions = {}): CallweaveClient {
  return new CallweaveClient(options);
}

/** What somebody does who has no seat: list, watch, hear and command calls, read contexts, see who is there. */
export class CallweaveClient {
  /** Lists, watches, hears and commands calls. */
  readonly calls: Calls;
  /** Reads and writes the contexts of calls. */
  readonly contexts: Contexts;
  /** Pools, agents and gateways. */
  readonly fleet: Fleet;
  private readonly connections: RotatingConnection;

  /** @internal Use `connect`. */
  constructor(options: ConnectionOptions) {
    this.connections = new RotatingConnection(connectionConfig(options));
    this.calls = new Calls(this.connections);
    this.contexts = new Contexts(this.connections);
    this.fleet = new Fleet(this.connections);
  }

  /** Closes the connection; what is under way rejects. */
  close(): void {
    this.connections.close();
  }
}
