/** Running and ending. */
export interface ServeConfig {
  /** Gateways on this machine, each a process of its own; more than one needs NATS. Default 1. */
  readonly gateways: number;
  /** The ports of each are so much higher than those of the one before. Default 10. */
  readonly portStep: number;
  /** With several gateways: when one that ended is started again. */
  readonly restart: RestartConfig;
  /**
   * How much the heap of a gateway may grow over what a full collection left before the next one. 0: as V8 decides.
   * Default 100.
   */
  readonly heapGrowthPercent: number;
  /**
   * With no call up for so long the memory that calls have left is given back; again after each further such time, until 15
   * minutes after the last call. 0: never. Default 30.
   */
  readonly heapRestSeconds: number;
  /** Default "info". */
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error" | "fatal";
  readonly drain: {
    /** How long calls may go on after the signal to end. Default 3,600. */
    readonly maxWaitSeconds: number;
    /**
     * Where another gateway stays: how long after the signal calls without an agent wait for agents to come by it. 0: not
     * at all. Default 5,000.
     */
    readonly agentsMoveMs: number;
  };
}

/** When a gateway that ended is started again. */
export interface RestartConfig {
  /** Wait before the first start; doubled with each further one in the window. Default 500. */
  readonly firstPauseMs: number;
  /** Default 30,000. */
  readonly maxPauseMs: number;
  /** In a window; then it is given up, and the others go on. 0: never again. Default 5. */
  readonly maxRestarts: number;
  /** Default 300. */
  readonly windowSeconds: number;
}
